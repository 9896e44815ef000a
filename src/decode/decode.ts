/**
 * The changes of a live server for looking at. It is a replica of its own, with an id and a uuid that
 * nobody else has, and keeps no position: a pipeline that runs does not notice.
 */
import { randomInt, randomUUID } from "node:crypto";
import type { MysqlConnectionOptions } from "../binlog/connection.ts";
import type { DumpStart } from "../binlog/reader.ts";
import { MysqlServer } from "../binlog/server.ts";
import { openReader } from "../binlog/open-reader.ts";
import type { StartConfig } from "../config/config.ts";
import { compileTableFilter } from "../config/table-pattern.ts";
import { startFresh } from "../pipeline/start.ts";
import { EventLines } from "./event-line.ts";

export interface DecodeOptions {
  readonly connection: MysqlConnectionOptions;
  readonly start: StartConfig;
  readonly tables: readonly string[];
  readonly limit: number;
  /** Resolves when the next line may come. */
  readonly write: (line: Buffer) => Promise<void>;
  readonly signal: AbortSignal;
}

/** Above what people and Tidemark itself number replicas with. */
const SERVER_ID_MIN = 2 ** 31;
const SERVER_ID_MAX = 2 ** 32 - 100;

/** Ends at the limit or when the signal aborts. */
export async function decode(options: DecodeOptions): Promise<void> {
  const { connection, start, tables, limit, write, signal } = options;
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
  const lines = new EventLines();
  let written = 0;
  const isAborted = (): boolean => signal.aborted;
  for await (const events of reader.events(from, signal)) {
    for (const event of events) {
      const line = lines.line(event);
      if (line === undefined) continue;
      await write(line);
      written += 1;
      if (written >= limit || isAborted()) return;
    }
  }
}
