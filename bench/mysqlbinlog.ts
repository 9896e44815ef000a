/** The server's own dump speed: mysqlbinlog copies the same files over the same kind of connection. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Failure } from "../tools/demo/failure.ts";
import type { Mysql } from "../tools/services/interfaces.ts";
import { mysqlProgram } from "../tools/services/mysql-program.ts";

const SERVER = /usr\/sbin\/mysqld$/;

/** Copies everything from this file on into the folder, and ends. */
export async function mysqlbinlogCall(
  { host, port, user, password }: Mysql,
  { file, folder }: { readonly file: string; readonly folder: string },
) {
  const { command, args } = await mysqlProgram("mysql-9");
  const program = args.findIndex(arg => SERVER.test(arg));
  return {
    command,
    args: [
      ...args.slice(0, program),
      (args[program] ?? "").replace(SERVER, "usr/bin/mysqlbinlog"),
      ...["--no-defaults", "--raw", "--read-from-remote-server", "--to-last-log"],
      ...[`--host=${host}`, `--port=${port}`, `--user=${user}`],
      ...[`--result-file=${folder}/`, file],
    ],
    env: { MYSQL_PWD: password },
  };
}

/** Seconds for everything from this file on. */
export async function copySeconds(mysql: Mysql, file: string, folder: string): Promise<number> {
  const target = mkdtempSync(join(folder, "raw-"));
  const { command, args, env } = await mysqlbinlogCall(mysql, { file, folder: target });
  const startedAt = performance.now();
  const child = spawn(command, args, {
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, ...env },
  });
  const [code] = (await once(child, "exit")) as [number | null];
  rmSync(target, { recursive: true });
  if (code !== 0) throw new Failure(`mysqlbinlog ended with ${code}.`);
  return (performance.now() - startedAt) / 1_000;
}
