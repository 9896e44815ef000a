/**
 * MySQL's replication stream as events that the assembler understands.
 *
 * A reader is one connection: it is opened at a boundary, pulled, and ends with an error. Reconnecting
 * is the caller's work (src/binlog/source.ts), always with a new reader. It is pulled: while nobody asks
 * for the next batch, the socket is paused after what it already holds, the watchdog rests, and the
 * server waits. It never disconnects to slow down.
 *
 * Whatever can carry rows and cannot be decoded ends the stream with EVENT_UNREADABLE, never silently.
 */
import type { Rows } from "../core/rows.ts";

interface EventHeader {
  /** Byte offset at which the event starts, and the one after it, in the current file. */
  readonly position: number;
  readonly nextPosition: number;
  readonly timestampS: number;
  readonly serverId: number;
}

/**
 * The stream, reduced to what decides about rows and boundaries:
 *
 *   file       a binlog file begins, or the dump goes on in it; always the first event of a stream
 *   gtid       opens a group; `gtid` is undefined for an anonymous one
 *   begin      BEGIN or XA START inside the group; `xa` if what follows may only be prepared
 *   rows       row changes of one table
 *   commit     XID, or Query COMMIT: the transaction is complete
 *   rollback   Query ROLLBACK: it is complete, and what its rows said is undone
 *   statement  any other Query inside or outside a transaction: DDL, SAVEPOINT
 *   xa         with `source.xa: at_commit` the end of a group of XA START, or XA COMMIT or XA ROLLBACK of such
 *   heartbeat  nothing new; `nextPosition` is the server's current position in the file
 */
export type BinlogEvent =
  | { readonly kind: "file"; readonly file: string; readonly fileCreated: number }
  | (EventHeader & {
      readonly kind: "gtid";
      readonly gtid: string | undefined;
      readonly committedAtUs?: number | undefined;
    })
  | (EventHeader & {
      readonly kind: "begin";
      readonly thread: number | undefined;
      readonly xa?: boolean;
    })
  | (EventHeader & {
      readonly kind: "xa";
      readonly step: XaStep;
      readonly xid: string;
      /** Byte offset at which its group starts. */
      readonly group: number;
    })
  | (EventHeader & { readonly kind: "rows"; readonly rows: Rows })
  | (EventHeader & { readonly kind: "commit" })
  | (EventHeader & { readonly kind: "rollback" })
  | (EventHeader & {
      readonly kind: "statement";
      readonly database: string;
      readonly sql: string;
      /** It is about tables of its session alone. */
      readonly isTemporary?: boolean;
    })
  | { readonly kind: "heartbeat"; readonly nextPosition: number };

/** What becomes of an XA transaction: `one-phase` is committed where it ends, and never was prepared. */
export type XaStep = "prepare" | "one-phase" | "commit" | "rollback";

/**
 * What is done with rows that XA PREPARE has made last, but nobody has committed:
 *
 *   stop        end the stream
 *   at_prepare  hand them out
 *   at_commit   mark them, so that they can be read anew at their XA COMMIT
 */
export type XaMode = "stop" | "at_prepare" | "at_commit";

/** Where a dump begins: a boundary of this server, or the set of GTIDs that are done. */
export type DumpStart =
  | { readonly kind: "position"; readonly file: string; readonly position: number }
  | { readonly kind: "gtid-set"; readonly gtidSet: string };

/** Says which tables' rows are wanted; rows of others come as events of no rows, or not at all. */
export type TableFilter = (database: string, table: string) => boolean;

export interface BinlogReader {
  /**
   * Batches of events, in order, until the signal aborts.
   *
   * @throws TidemarkError SOURCE_UNAVAILABLE when the connection is lost, POSITION_UNUSABLE when the
   *   server no longer has the position, SOURCE_TAKEN_OVER, ACCESS_DENIED, EVENT_UNREADABLE.
   */
  events(start: DumpStart, signal: AbortSignal): AsyncIterable<readonly BinlogEvent[]>;

  /** What moves on the present connection; undefined while there is none. */
  traffic(): ReaderTraffic | undefined;
}

export interface ReaderTraffic {
  /** Bytes that came over the connection so far. */
  readonly bytesRead: number;
  /** True while nobody asks for the next batch, so that the silence of the server means nothing. */
  readonly paused: boolean;
  /** What keeps it from reading although the connection stands, and what mends it. */
  readonly obstacle: string | undefined;
}
