/** The source of a pipeline: a reader of the binlog, and what makes entries of its events. */
import { Assembler } from "../binlog/assembler.ts";
import { Definitions } from "../binlog/definitions.ts";
import { openReader } from "../binlog/open-reader.ts";
import type { MysqlServer } from "../binlog/server.ts";
import { BinlogSource } from "../binlog/source.ts";
import type { Config } from "../config/config.ts";
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import type { Start } from "./start.ts";

export interface SourceOptions {
  readonly config: Pick<Config, "source" | "queue">;
  readonly server: MysqlServer;
  readonly wants: (database: string, table: string) => boolean;
  readonly start: Pick<Start, "position" | "serverUuid">;
  /** As a replica of the server. */
  readonly serverId: number;
  readonly replicaUuid: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called when the connection was lost. */
  readonly onLoss?: () => void;
}

export const ENTRY_BYTES_MAX = 64 * 1024;
export const ENTRY_ROWS_MAX = 500;

export function makeSource(options: SourceOptions): BinlogSource {
  const { config, server, wants, start, serverId, replicaUuid, clock, logger, onLoss } = options;
  const { serverUuid } = start;
  const rowBytesMax = config.queue.maxRowBytes;
  const definitions = new Definitions(server, wants);
  return new BinlogSource({
    definitions,
    reader: openReader(config.source.reader, {
      ...{ connection: config.source, serverId, replicaUuid },
      ...{ wants, definitions, rowBytesMax, clock },
    }),
    assembler: new Assembler({
      ...{ start: start.position, serverUuid, rowBytesMax },
      entryBytesMax: ENTRY_BYTES_MAX,
      entryRowsMax: ENTRY_ROWS_MAX,
    }),
    identify: async () => (await server.inspect()).serverUuid,
    ...{ serverUuid, clock, logger },
    ...(onLoss === undefined ? {} : { onLoss }),
  });
}
