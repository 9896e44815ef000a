/** The source of a pipeline: a reader of the binlog, and what makes entries of its events. */
import { Assembler } from "../binlog/assembler.ts";
import type { MysqlConnectionOptions } from "../binlog/connection.ts";
import { Definitions } from "../binlog/definitions.ts";
import { NewColumns } from "../binlog/new-columns.ts";
import { openReader } from "../binlog/open-reader.ts";
import { PreparedGroups } from "../binlog/prepared-groups.ts";
import type { MysqlServer } from "../binlog/server.ts";
import { BinlogSource, type BinlogSourceOptions } from "../binlog/source.ts";
import type { Config } from "../config/config.ts";
import type { Clock } from "../core/clock.ts";
import type { SourcePosition } from "../core/checkpoint.ts";
import { TidemarkError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import type { Start } from "./start.ts";

export interface SourceOptions {
  readonly config: Pick<Config, "source" | "queue">;
  readonly server: MysqlServer;
  /** Where each new connection leads. */
  readonly connection: MysqlConnectionOptions;
  /** Which server is to be read on a new connection, and whether it can be. */
  readonly identify: BinlogSourceOptions["identify"];
  readonly wants: (database: string, table: string) => boolean;
  readonly wantsDatabase: (database: string) => boolean;
  readonly lowerCaseNames: boolean;
  readonly tellsSchemaChanges?: boolean;
  /** Messages tell of a table that is emptied. */
  readonly tellsTruncate?: boolean;
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
  const { connection, identify, wantsDatabase, lowerCaseNames, tellsTruncate = false } = options;
  const { serverUuid } = start;
  const rowBytesMax = config.queue.maxRowBytes;
  const definitions = new Definitions(server, wants, start.position.definitions);
  const { reader, xa } = config.source;
  if (xa !== "at_commit") refusePrepared(start.position);
  const shared = { connection, wants, definitions, rowBytesMax, clock, xa };
  return new BinlogSource({
    ...{ definitions, wants, wantsDatabase, lowerCaseNames, tellsTruncate },
    newColumns: options.tellsSchemaChanges === true ? new NewColumns(server) : undefined,
    reader: openReader(reader, { ...shared, serverId, replicaUuid }),
    preparedGroups: new PreparedGroups({
      server,
      open: () => openReader(reader, { ...shared, ...server.newReplica() }),
    }),
    assembler: new Assembler({
      ...{ start: start.position, serverUuid, rowBytesMax, definitions },
      entryBytesMax: ENTRY_BYTES_MAX,
      entryRowsMax: ENTRY_ROWS_MAX,
    }),
    ...{ identify, serverUuid, clock, logger },
    ...(onLoss === undefined ? {} : { onLoss }),
  });
}

/** Their XA COMMIT would be passed by, and their rows with it. */
function refusePrepared({ prepared = [] }: SourcePosition): void {
  const [first] = prepared;
  if (first === undefined) return;
  throw new TidemarkError(
    "CONFIG_INVALID",
    `The checkpoint holds ${prepared.length} XA transactions that are prepared and not ended, the first ` +
      `${first.xid}: leave source.xa at at_commit until they are.`,
  );
}
