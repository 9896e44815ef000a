/** How a client program of MySQL is called: it stands beside the server. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { Failure } from "../tools/demo/failure.ts";
import type { Mysql } from "../tools/services/interfaces.ts";
import { mysqlProgram } from "../tools/services/mysql-program.ts";
import type { OneShotCall } from "./one-shot.ts";

const SERVER = /usr\/sbin\/mysqld$/;

export async function clientCall(
  name: "mysql" | "mysqlbinlog",
  { host, port, user, password }: Mysql,
  args: readonly string[],
): Promise<OneShotCall> {
  const server = await mysqlProgram("mysql-9");
  const program = server.args.findIndex(arg => SERVER.test(arg));
  return {
    command: server.command,
    args: [
      ...server.args.slice(0, program),
      (server.args[program] ?? "").replace(SERVER, `usr/bin/${name}`),
      ...["--no-defaults", `--host=${host}`, `--port=${port}`, `--user=${user}`, ...args],
    ],
    env: { MYSQL_PWD: password },
  };
}

/** Until it ends; what it prints is thrown away. */
export async function secondsOf({ command, args, env }: OneShotCall): Promise<number> {
  const startedAt = performance.now();
  const child = spawn(command, args, {
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, ...env },
  });
  const [code] = (await once(child, "exit")) as [number | null];
  if (code !== 0) throw new Failure(`${args.at(-1) ?? command} ended with ${code}.`);
  return (performance.now() - startedAt) / 1_000;
}
