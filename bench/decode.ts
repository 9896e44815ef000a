/** How fast the binlog is read and decoded, and nothing done with it, beside mysqlbinlog's copying. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { build } from "esbuild";
import type { RowDataPacket } from "mysql2/promise";
import type { ReaderName } from "../src/binlog/open-reader.ts";
import { keptFolder } from "../tools/services/keeper.ts";
import { startMysql } from "../tools/services/services.ts";
import { summarize, type BenchResult } from "./catch-up.ts";
import { copySeconds } from "./mysqlbinlog.ts";
import type { BenchOptions } from "./options.ts";
import { mysqlArgs, openSource } from "./pipeline.ts";
import type { Reading, ReadingTask } from "./reading.ts";
import type { Round } from "./round.ts";
import { expectedCounts, loadOrders, rowChanges } from "./workload.ts";

const run = promisify(execFile);

export async function benchDecode(
  options: BenchOptions,
  say: (text: string) => void,
): Promise<BenchResult> {
  const { transactions, rounds, nodeArgs } = options;
  const folder = keptFolder("bench");
  say("starting MySQL");
  const mysql = await startMysql("mysql-9", { args: mysqlArgs });
  const connection = await openSource(mysql);
  const [[status]] = await connection.query<RowDataPacket[]>("SHOW BINARY LOG STATUS");
  const rows = rowChanges(expectedCounts(transactions));
  say(`loading ${rows} row changes`);
  await loadOrders(connection, transactions);
  await connection.end();
  const program = await bundle(folder);
  const { host, port, user, password } = mysql;
  const file = String(status?.["File"]);
  const from = { host, port, user, password, file, position: Number(status?.["Position"]), rows };
  const read = async (reader: ReaderName): Promise<Round> => {
    const task: ReadingTask = { ...from, reader };
    const { stdout } = await run(process.execPath, [...nodeArgs, program, JSON.stringify(task)]);
    const reading = JSON.parse(stdout) as Reading;
    say(`${reader}: ${Math.round(rows / reading.seconds)} rows/s`);
    const { seconds, cpuSeconds } = reading;
    return { ...reading, streamingSeconds: seconds, streamingCpuSeconds: cpuSeconds };
  };
  const results: Round[] = [];
  for (let round = 0; round < rounds; round += 1) results.push(await read("native"));
  const zongji = await read("zongji");
  const copied = await copySeconds(mysql, file, folder);
  const result = summarize("decode", rows, results);
  return {
    ...result,
    zongji_rows_per_s: Math.round(rows / zongji.seconds),
    mysqlbinlog_rows_per_s: Math.round(rows / copied),
  };
}

async function bundle(folder: string): Promise<string> {
  const outfile = join(folder, "reading.mjs");
  await build({
    entryPoints: [join(import.meta.dirname, "reading.ts")],
    ...{ outfile, bundle: true, platform: "node", format: "esm", target: "node20" },
    define: { __MUTANT__: '""', __VERSION__: '"bench"' },
    banner: {
      js: 'import { createRequire as r } from "node:module"; const require = r(import.meta.url);',
    },
  });
  return outfile;
}
