/**
 * Reads a server's binlog to count what changes, and delivers nothing: no position is kept. As a replica it
 * has a uuid of its own, so that a pipeline which runs does not notice.
 */
import { randomUUID } from "node:crypto";
import { Assembler } from "../binlog/assembler.ts";
import { Definitions } from "../binlog/definitions.ts";
import { openReader } from "../binlog/open-reader.ts";
import { MysqlServer } from "../binlog/server.ts";
import { BinlogSource } from "../binlog/source.ts";
import type { Config } from "../config/config.ts";
import { compileTableFilter } from "../config/table-pattern.ts";
import { systemClock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import type { Vitals } from "../core/vitals.ts";
import { startFresh } from "./start.ts";

export interface CountOptions {
  readonly config: Config;
  readonly serverId: number;
  /** Where it is counted. */
  readonly vitals: Vitals;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

const ENTRY_BYTES_MAX = 64 * 1024;
const ENTRY_ROWS_MAX = 500;

/** Ends when the signal aborts. A server that goes away later is waited for; one that is not there is not. */
export async function countChanges(options: CountOptions): Promise<void> {
  const { config, serverId, vitals, logger, signal } = options;
  const wants = compileTableFilter(config.pipelines.flatMap(({ tables }) => tables));
  const server = new MysqlServer(config.source);
  const clock = systemClock;
  const rowBytesMax = config.queue.maxRowBytes;
  try {
    await server.preflight();
    const { position, serverUuid } = await startFresh(server, config.source.start);
    const definitions = new Definitions(server, wants);
    const source = new BinlogSource({
      definitions,
      reader: openReader(config.source.reader, {
        ...{ connection: config.source, serverId, replicaUuid: randomUUID() },
        ...{ wants, definitions, rowBytesMax, clock },
      }),
      assembler: new Assembler({
        ...{ start: position, serverUuid, rowBytesMax },
        entryBytesMax: ENTRY_BYTES_MAX,
        entryRowsMax: ENTRY_ROWS_MAX,
      }),
      identify: async () => (await server.inspect()).serverUuid,
      ...{ serverUuid, clock, logger },
    });
    vitals.enter("running");
    for await (const entries of source.entries(signal)) {
      for (const entry of entries) vitals.countRead(entry);
    }
  } finally {
    server.close();
  }
}
