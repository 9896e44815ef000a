/** One dump: a connection on which the server sends its binlog, until it is closed or cannot go on. */
import type { Clock } from "../core/clock.ts";
import { TidemarkError } from "../core/errors.ts";
import type { Collations } from "./charsets.ts";
import type { MysqlConnectionOptions } from "./connection.ts";
import type { EventParts } from "./event-parts.ts";
import type { DumpStart } from "./reader.ts";
import type { SmallEvent } from "./small-events.ts";

export interface DumpOptions {
  readonly connection: MysqlConnectionOptions;
  readonly secure: boolean;
  readonly serverId: number;
  readonly replicaUuid: string;
  readonly heartbeatMs: number;
  readonly startTimeoutMs: number;
  readonly clock: Clock;
}

export interface DumpHandlers {
  collations(collations: Collations): void;
  /**
   * An event from its header on, without checksum: `bytes` from `start` to before `end`. Throwing ends the
   * dump with that error. What is returned hands out the rest of a large event, step by step; a dump that
   * cannot wait between the steps does them all at once.
   */
  event(bytes: Buffer, start: number, end: number): Iterator<void> | undefined;
  /** The same for an event that is too large to be held in memory. */
  large(event: EventParts): Iterator<void> | undefined;
  /** Called once, when the dump cannot go on. */
  end(error: unknown): void;
}

export interface Dump {
  open(start: DumpStart): void;
  /** After this no more events come than are handed out already, or lie in memory. */
  pause(): void;
  resume(): void;
  /** Reads the event handed out last, if it is none of table maps and rows. */
  parse(event: Buffer): SmallEvent;
  /** Bytes that came over the wire so far. */
  readonly bytesRead: number;
  /** What keeps it from reading although the connection stands, and what mends it. */
  readonly obstacle: string | undefined;
  /** Leaves nothing behind: no socket, no timer, no event. */
  close(): Promise<void>;
}

/** The server sends at most this long without our reading: a full queue must not cost the connection. */
const NET_TIMEOUT_S = 7_200;
export const SILENT_HEARTBEATS = 3;

/** What the session of a dump has to be told first. */
export function sessionStatement(
  options: Pick<DumpOptions, "heartbeatMs" | "replicaUuid">,
): string {
  const { heartbeatMs, replicaUuid } = options;
  const heartbeatNs = heartbeatMs * 1_000_000;
  // Both names of each: the first of 5.7 and 8.0, the second of 8.0.26 and newer.
  const session = [
    `@master_heartbeat_period = ${heartbeatNs}, @source_heartbeat_period = ${heartbeatNs}`,
    `@slave_uuid = '${replicaUuid}', @replica_uuid = '${replicaUuid}'`,
    "@master_binlog_checksum = 'CRC32', @source_binlog_checksum = 'CRC32'",
    "@mariadb_slave_capability = 4", // MariaDB rewrites its GTIDs for those who say less.
    `SESSION net_write_timeout = ${NET_TIMEOUT_S}, SESSION net_read_timeout = ${NET_TIMEOUT_S}`,
  ];
  return `SET ${session.join(", ")}`;
}

/** From MariaDB 10.10.1 on, those that several character sets share stand in another table. Only it reads `M!`. */
export const COLLATIONS_QUERY =
  "SELECT ID AS id, CHARACTER_SET_NAME AS charset FROM information_schema.COLLATIONS WHERE ID IS NOT NULL " +
  "/*M!101001 UNION SELECT ID, CHARACTER_SET_NAME FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY */";

/** @throws TidemarkError SOURCE_UNAVAILABLE for an answer that no server gives. */
export function collationMap(rows: unknown): Collations {
  if (!Array.isArray(rows)) {
    throw new TidemarkError(
      "SOURCE_UNAVAILABLE",
      "MySQL answered a question with something else: the connection is disturbed.",
    );
  }
  const list = rows as readonly { readonly id: number | string; readonly charset: string }[];
  return new Map(list.map(({ id, charset }) => [Number(id), charset]));
}
