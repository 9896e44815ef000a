/**
 * The program that `decode` measures, in a process of its own: reads a binlog from a position until so
 * many rows have come, and prints what that took.
 */
import { randomUUID } from "node:crypto";
import { openReader, type ReaderName } from "../src/binlog/open-reader.ts";

export interface ReadingTask {
  readonly reader: ReaderName;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly file: string;
  readonly position: number;
  readonly rows: number;
}

export interface Reading {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly peakRssMb: number;
}

async function read(task: ReadingTask): Promise<Reading> {
  const reader = openReader(task.reader, {
    connection: task,
    serverId: 77,
    replicaUuid: randomUUID(),
    wants: () => true,
  });
  const stop = new AbortController();
  const start = { kind: "position", file: task.file, position: task.position } as const;
  const startedAt = performance.now();
  let rows = 0;
  for await (const events of reader.events(start, stop.signal)) {
    for (const event of events) if (event.kind === "rows") rows += event.rows.count;
    if (rows >= task.rows) break;
  }
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
  return {
    seconds: (performance.now() - startedAt) / 1_000,
    cpuSeconds: (userCPUTime + systemCPUTime) / 1e6,
    peakRssMb: Math.round(maxRSS / 1_024),
  };
}

const reading = await read(JSON.parse(process.argv[2] ?? "") as ReadingTask);
process.stdout.write(JSON.stringify(reading));
