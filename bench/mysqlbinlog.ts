/** The server's own dump speed: mysqlbinlog copies the same files over the same kind of connection. */
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Mysql } from "../tools/services/interfaces.ts";
import { clientCall, secondsOf } from "./client-call.ts";

/** Copies everything from this file on into the folder, and ends. */
export function mysqlbinlogCall(
  mysql: Mysql,
  { file, folder }: { readonly file: string; readonly folder: string },
) {
  const what = ["--raw", "--read-from-remote-server", "--to-last-log", `--result-file=${folder}/`];
  return clientCall("mysqlbinlog", mysql, [...what, file]);
}

/** Seconds for everything from this file on. */
export async function copySeconds(mysql: Mysql, file: string, folder: string): Promise<number> {
  const target = mkdtempSync(join(folder, "raw-"));
  const seconds = await secondsOf(await mysqlbinlogCall(mysql, { file, folder: target }));
  rmSync(target, { recursive: true });
  return seconds;
}
