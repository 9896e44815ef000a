/**
 * Changes for looking at, from a live server or from binlog files. Of a server it is a replica of its own,
 * with an id and a uuid that nobody else has, and keeps no position: a pipeline that runs does not notice.
 */
import { randomInt, randomUUID } from "node:crypto";
import type { MysqlConnectionOptions } from "../binlog/connection.ts";
import { readBinlogFile } from "../binlog/file-reader.ts";
import type { BinlogEvent, DumpStart } from "../binlog/reader.ts";
import { MysqlServer } from "../binlog/server.ts";
import { openReader } from "../binlog/open-reader.ts";
import type { StartConfig } from "../config/config.ts";
import { compileTableFilter } from "../config/table-pattern.ts";
import { startFresh } from "../pipeline/start.ts";
import { EventLines } from "./event-line.ts";

interface PrintOptions {
  readonly tables: readonly string[];
  readonly limit: number;
  /** Resolves when the next line may come. */
  readonly write: (line: Buffer) => Promise<void>;
  readonly signal: AbortSignal;
}

export interface ServerOptions extends PrintOptions {
  readonly connection: MysqlConnectionOptions;
  readonly start: StartConfig;
}

export interface FilesOptions extends PrintOptions {
  readonly paths: readonly string[];
  /** Takes a sentence about a file that was still being written. */
  readonly warn: (sentence: string) => void;
}

/** Above what people and Tidemark itself number replicas with. */
const SERVER_ID_MIN = 2 ** 31;
const SERVER_ID_MAX = 2 ** 32 - 100;

/** Ends at the limit or when the signal aborts. */
export async function decodeServer(options: ServerOptions): Promise<void> {
  const { connection, start, tables, signal } = options;
  const server = new MysqlServer(connection);
  await server.preflight();
  const { position } = await startFresh(server, start);
  const { boundary, gtidSet } = position;
  const from: DumpStart =
    boundary.file === "" ? { kind: "gtid-set", gtidSet } : { kind: "position", ...boundary };
  const reader = openReader("native", {
    connection,
    serverId: randomInt(SERVER_ID_MIN, SERVER_ID_MAX),
    replicaUuid: randomUUID(),
    wants: compileTableFilter(tables),
  });
  await print(reader.events(from, signal), options);
}

/** Ends after the last file, at the limit, or when the signal aborts. */
export async function decodeFiles(options: FilesOptions): Promise<void> {
  await print(eventsOfFiles(options), options);
}

async function* eventsOfFiles({
  paths,
  tables,
  warn,
}: FilesOptions): AsyncGenerator<readonly BinlogEvent[]> {
  const wants = compileTableFilter(tables);
  for (const path of paths) yield* readBinlogFile(path, { wants, warn });
}

async function print(
  batches: AsyncIterable<readonly BinlogEvent[]>,
  { limit, write, signal }: PrintOptions,
): Promise<void> {
  const lines = new EventLines();
  let written = 0;
  for await (const events of batches) {
    for (const event of events) {
      if (signal.aborted) return;
      const line = lines.line(event);
      if (line === undefined) continue;
      await write(line);
      written += 1;
      if (written >= limit) return;
    }
  }
}
