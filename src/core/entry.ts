/**
 * What moves through the pipeline: an entry is a run of consecutive row changes of one transaction with
 * the marks beside it. Queue, commit-log map and watcher work per entry, never per row.
 */
import type { Boundary, PreparedGroup, SourcePosition, TransactionPart } from "./checkpoint.ts";
import type { Rows, TableOperation } from "./rows.ts";
import type { SchemaChange } from "./schema-change.ts";
import type { Gap, SnapshotStep } from "./snapshot-state.ts";

/** The transaction that rows belong to. */
export interface Transaction {
  /** The GTID, or `<server_uuid>/<file>@<file_created>/<offset of its first event>`. */
  readonly id: string;
  readonly gtid: string | undefined;
  /** Connection id of the client that made the change, where the binlog tells it. */
  readonly thread: number | undefined;
  /** Microseconds since 1970 of the original commit, where the GTID event tells it. */
  readonly committedAtUs?: number | undefined;
}

/** Where rows come from. */
export interface RowsOrigin {
  readonly file: string;
  /** Byte offset at which the rows event starts. */
  readonly position: number;
  readonly serverId: number;
  /** Seconds since 1970 of the event's header. */
  readonly timestampS: number;
}

/** Rows `first` to `first + count - 1` of one rows event. */
export interface Change {
  readonly transaction: Transaction;
  readonly origin: RowsOrigin;
  readonly rows: Rows;
  readonly first: number;
  readonly count: number;
  /** Number, within the transaction and table, of row `first`: the last part of the message id. */
  readonly firstNumber: number;
  /** Whether the last of these rows is the last captured row of its transaction. */
  readonly endsTransaction: boolean;
}

/** Something about a whole table: each partition that its messages go to has to be told. */
export interface TableNotice {
  readonly operation: TableOperation;
  readonly database: string;
  readonly table: string;
  readonly transaction: Transaction;
  readonly origin: RowsOrigin;
  /** What is missing, if that is what it tells. */
  readonly gap?: Gap;
}

/**
 * What releasing an entry adds to the checkpoint. GTIDs are kept as the ones that were completed, not as
 * the set they lead to: writing out the set for each entry would cost more than everything else.
 */
export interface Mark {
  readonly serverUuid: string;
  readonly boundary: Boundary;
  readonly gtids: readonly string[];
  /** True if a transaction without GTID was completed. */
  readonly anonymous: boolean;
  readonly transaction: TransactionPart | undefined;
  /** Undefined stands for none. */
  readonly prepared?: readonly PreparedGroup[];
  readonly definitions?: SourcePosition["definitions"];
  /** Seconds since 1970 of the newest event in the entry; 0 if none carried a time. */
  readonly eventTimeS: number;
  /** A statement that may have changed a table, or emptied it, was passed. */
  readonly statement?: boolean;
  /** Set if its rows are not from the binlog. */
  readonly snapshot?: SnapshotStep;
  /** This has been told of the gap in this table. */
  readonly toldGap?: { readonly table: string; readonly operation: TableOperation };
}

/** Changes that are encoded and delivered together: an entry, or what a de-duplication window lets go. */
export interface Parcel {
  /** Dense: 0, 1, 2 … within one run of a pipeline. */
  readonly seq: number;
  /** Memory that its rows take; that of an entry counts against the budget until it is delivered. */
  readonly bytes: number;
  /** Statements in front of `changes`. */
  readonly schemaChanges?: readonly SchemaChange[] | undefined;
  readonly changes: readonly Change[];
  /** Stands alone: the entry has no changes then. */
  readonly notice?: TableNotice | undefined;
}

export interface Entry extends Parcel {
  readonly mark: Mark;
}
