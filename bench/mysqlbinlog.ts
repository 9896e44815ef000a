/** The server's own dump speed: mysqlbinlog copies the same files over the same kind of connection. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Failure } from "../tools/demo/failure.ts";
import type { Mysql } from "../tools/services/interfaces.ts";
import { mysqlProgram } from "../tools/services/mysql-program.ts";

const SERVER = /usr\/sbin\/mysqld$/;

/** Seconds for everything from this file on. */
export async function copySeconds(mysql: Mysql, file: string, folder: string): Promise<number> {
  const { command, args } = await mysqlProgram("mysql-9");
  const program = args.findIndex(arg => SERVER.test(arg));
  const call = [
    ...args.slice(0, program),
    (args[program] ?? "").replace(SERVER, "usr/bin/mysqlbinlog"),
  ];
  const target = mkdtempSync(join(folder, "raw-"));
  const { host, port, user, password } = mysql;
  const startedAt = performance.now();
  const child = spawn(
    command,
    [
      ...call,
      ...["--no-defaults", "--raw", "--read-from-remote-server", "--to-last-log"],
      ...[`--host=${host}`, `--port=${port}`, `--user=${user}`],
      ...[`--result-file=${target}/`, file],
    ],
    { stdio: ["ignore", "ignore", "inherit"], env: { ...process.env, MYSQL_PWD: password } },
  );
  const [code] = (await once(child, "exit")) as [number | null];
  rmSync(target, { recursive: true });
  if (code !== 0) throw new Failure(`mysqlbinlog ended with ${code}.`);
  return (performance.now() - startedAt) / 1_000;
}
