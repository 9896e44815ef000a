/**
 * Turns binlog events into entries, each with what releasing it means for the checkpoint.
 *
 *   gtid, begin, rows, rows, …, commit  ──▶  entry(rows), entry(rows), …, entry(rows + transaction end)
 *
 * Invariants:
 *
 *   1. A boundary is the end of a complete transaction. It ends at XID, Query COMMIT or ROLLBACK, or,
 *      where no BEGIN is open, at its Query (DDL). A GTID is completed there and nowhere else.
 *   2. An entry holds rows of one transaction only. Marks of transactions without captured rows are
 *      gathered and leave with the next entry, or at the end of a batch.
 *   3. Row numbers count the captured rows of a transaction and table from 0, before any filter on
 *      events, so that a message id never depends on the configuration.
 *   4. `restart` goes back to what was handed out: the rows of the open transaction that are in entries
 *      already are read again, compared by checksum, and dropped.
 */
import { crc32 } from "node:zlib";
import type {
  Boundary,
  PreparedGroup,
  SourcePosition,
  TablePart,
  TransactionPart,
} from "../core/checkpoint.ts";
import type { Change, Entry, Mark, RowsOrigin, TableNotice, Transaction } from "../core/entry.ts";
import { TidemarkError } from "../core/errors.ts";
import { GtidSet } from "../core/gtid-set.ts";
import type { TableName } from "../core/name-template.ts";
import { tableId, type Rows, type TableShape } from "../core/rows.ts";
import type { ChangedTable, SchemaChange } from "../core/schema-change.ts";
import type { BinlogPlace } from "./binlog-place.ts";
import type { Definitions } from "./definitions.ts";
import type { BinlogEvent, DumpStart } from "./reader.ts";

type Event<K extends BinlogEvent["kind"]> = Extract<BinlogEvent, { kind: K }>;

export interface AssemblerOptions {
  /** Where the stream begins; its `transaction` is dropped from the replay. */
  readonly start: SourcePosition;
  /** The server that is read; another one than `start.serverUuid` after a failover. */
  readonly serverUuid: string;
  readonly entryBytesMax: number;
  readonly entryRowsMax: number;
  /** A larger row is refused. */
  readonly rowBytesMax: number;
  /** What is known of tables that the binlog does not tell, for the checkpoint. */
  readonly definitions?: Pick<Definitions, "hashes"> | undefined;
}

/**
 * What a run of rows costs beside its bytes: measured 510 bytes of objects for a run of one row, and as
 * much again for what waits for the garbage collector. Without it, small events would fill the memory
 * several times over before the budget is reached.
 */
const CHANGE_BYTES = 768;
const COLUMN_BYTES = 200;
/** Rows of XA transactions that are kept until their end tells whether they count; more are read anew then. */
const XA_BYTES_MAX = 4 << 20;
const PREPARED_MAX = 1000;
/** Entries that carry no rows are cut at this many GTIDs, so that their marks stay small. */
const GTIDS_MAX = 1000;
const NONE: readonly Entry[] = [];

/** A part of a table that still grows. */
type CountedRows = { -readonly [K in keyof TablePart]: TablePart[K] };

/** In an entry that is being built. */
interface HeldChange extends Change {
  endsTransaction: boolean;
}

interface OpenTransaction extends Transaction {
  thread: number | undefined;
  /** BEGIN or XA START was seen: only a commit or rollback ends it. */
  begun: boolean;
  /** Captured rows seen so far, by table. */
  readonly tables: Map<string, CountedRows>;
  /** The table of the rows before, and its part of `tables`: looking that up by name costs more. */
  lastTable: TableShape | undefined;
  lastCounted: CountedRows | undefined;
  /** Its rows so far, if it was begun by XA START; "many" if they are not kept. */
  xaRows: Rows[] | "many" | undefined;
  /** What is dropped from it because it is in entries already. */
  readonly released: Readonly<Record<string, TablePart>> | undefined;
}

export class Assembler {
  readonly #options: AssemblerOptions;
  /** Transactions done before the start. A replica may log them in another order than we saw them. */
  readonly #done: GtidSet;
  /** What the entries handed out so far lead to. */
  #handedOut: Mark;
  #file = "";
  #fileCreated = 0;
  #boundary: Boundary;
  #transaction: OpenTransaction | undefined;
  /** Released part of the transaction that comes next, after a start or restart inside it. */
  #replay: TransactionPart | undefined;
  /** XA transactions that are prepared: replaced, never changed, for marks share it. */
  #prepared: readonly PreparedGroup[];
  /** The rows of some of them, by xid. */
  readonly #kept = new Map<string, readonly Rows[]>();
  #keptBytes = 0;
  /** The transaction is done already: its rows are passed over. */
  #passOver = false;
  #seq = 0;
  #changes: HeldChange[] = [];
  #schemaChanges: SchemaChange[] = [];
  /** Entries that the event at hand has completed: a fault behind them does not lose them. */
  #ready: Entry[] = [];
  /** Where the event after the rows held begins. */
  #heldTo = 0;
  #rowsHeld = 0;
  #bytesHeld = 0;
  #gtids: string[] = [];
  #anonymous = false;
  #marked = false;
  #statement = false;
  #eventTimeS = 0;

  constructor(options: AssemblerOptions) {
    this.#options = options;
    this.#boundary = options.start.boundary;
    this.#replay = options.start.transaction;
    this.#prepared = options.start.prepared ?? [];
    this.#done = GtidSet.parse(options.start.gtidSet);
    this.#handedOut = {
      serverUuid: options.start.serverUuid,
      boundary: options.start.boundary,
      gtids: [],
      anonymous: false,
      transaction: options.start.transaction,
      prepared: this.#prepared,
      definitions: options.start.definitions,
      eventTimeS: 0,
    };
  }

  /** Forgets what was not handed out, and says where the reader has to begin again. */
  restart(): DumpStart {
    const { serverUuid, start } = this.#options;
    this.#file = "";
    this.#boundary = this.#handedOut.boundary;
    this.#replay = this.#handedOut.transaction;
    this.#prepared = this.#handedOut.prepared ?? [];
    this.#dropOpen();
    this.#passOver = false;
    this.#clear();
    if (this.#handedOut.serverUuid !== serverUuid) {
      return { kind: "gtid-set", gtidSet: start.gtidSet };
    }
    return { kind: "position", file: this.#boundary.file, position: this.#boundary.position };
  }

  #dropOpen(): void {
    const { xaRows } = this.#transaction ?? {};
    if (Array.isArray(xaRows)) this.#forget(xaRows);
    this.#transaction = undefined;
  }

  /**
   * Takes one event; returns the entries that it completes, mostly none or one.
   *
   * @param emptied the table that a statement has emptied, if anybody has to be told.
   */
  push(event: BinlogEvent, emptied?: TableName): readonly Entry[] {
    switch (event.kind) {
      case "file":
        return this.#onFile(event);
      case "gtid":
        this.#open(event.gtid, event.position, event.committedAtUs);
        return NONE;
      case "begin":
        this.#onBegin(event);
        return NONE;
      case "rows":
        return this.#onRows(event);
      case "commit":
        return this.#finish(event);
      case "rollback":
        return this.#onRollback(event);
      case "statement":
        if (this.#transaction?.begun === true) return NONE;
        return emptied === undefined ? this.#finish(event) : this.#empty(event, emptied);
      case "xa":
        return this.#onXa(event);
      case "heartbeat":
        this.#onHeartbeat(event.nextPosition);
        return NONE;
    }
  }

  /**
   * The group whose rows have to be read, and pushed, before this end of an XA transaction. Where nobody knows it,
   * because it was prepared before the stream began or on another server, it stands before a place.
   */
  lacking(end: Event<"xa">): PreparedGroup | { readonly before: BinlogPlace } | undefined {
    const { step, xid, position } = end;
    if (this.#passOver) return undefined;
    if (step === "one-phase" && this.#transaction?.xaRows === "many") return this.#groupOf(end);
    if (step !== "commit" || this.#kept.has(xid)) return undefined;
    const known = this.#prepared.find(group => group.xid === xid);
    const isHere = known?.server_uuid === this.#options.serverUuid;
    return isHere ? known : { before: { file: this.#file, position } };
  }

  /** Rows that `lacking` asked for: they count as changed where the transaction is committed. */
  pushRead(rows: Rows, { position, nextPosition, timestampS, serverId }: Event<"xa">) {
    const transaction = this.#transaction ?? this.#open(undefined, position);
    transaction.xaRows = undefined;
    return this.#onRows({ kind: "rows", position, nextPosition, timestampS, serverId, rows });
  }

  /** What a statement, which has to be pushed next, made of captured tables. */
  changeSchema(event: Event<"statement">, tables: readonly ChangedTable[]): void {
    const { position, serverId, timestampS, database, sql: statement } = event;
    const transaction = this.#transaction ?? this.#open(undefined, position);
    // In front of released rows, as in CREATE … SELECT, it is released too.
    if (this.#passOver || transaction.released !== undefined) return;
    const origin: RowsOrigin = { file: this.#file, position, serverId, timestampS };
    this.#schemaChanges.push({ transaction, origin, database, statement, tables });
    this.#bytesHeld += schemaChangeBytes(statement, tables);
  }

  /** The marks gathered so far, if there are any: called where the stream pauses. Rows are not cut here. */
  flush(): readonly Entry[] {
    return this.#marked && this.#transaction === undefined ? [this.#cut()] : [];
  }

  /** What is held at a fault in the stream: rows of the open transaction only where nobody doubts them. */
  flushAt({ drains }: TidemarkError): readonly Entry[] {
    if (drains === undefined) return [];
    if (this.#rowsHeld === 0) return [...this.#takeReady(), ...this.flush()];
    return drains === "rows" ? [...this.#takeReady(), this.#cut()] : [];
  }

  #onFile({ file, fileCreated }: Event<"file">): readonly Entry[] {
    const first = this.#file === "";
    this.#file = file;
    this.#fileCreated = fileCreated;
    if (first) {
      this.#onFirstFile(file, fileCreated);
      return [];
    }
    if (this.#transaction !== undefined) this.#abandon("its binlog file ended before its commit");
    this.#boundary = { file, fileCreated, position: 4 };
    this.#marked = true;
    return [];
  }

  #onFirstFile(file: string, fileCreated: number): void {
    const { start, serverUuid } = this.#options;
    const known = this.#handedOut.boundary;
    if (this.#handedOut.serverUuid !== serverUuid) {
      // Read by GTID set: what stands in this file before the first event sent to us is done.
      this.#boundary = { file, fileCreated, position: 4 };
      return;
    }
    // A server that was set up anew begins its file names anew: the same name is then another file.
    if (file !== known.file || known.fileCreated === fileCreated) return;
    throw new TidemarkError(
      "POSITION_UNUSABLE",
      `The server's ${file} is not the file that the checkpoint of ${start.serverUuid} names: it was ` +
        `created at ${fileCreated}, not at ${known.fileCreated}. The server was reset or replaced; ` +
        "set a new position with `tidemark position set`.",
    );
  }

  #open(gtid: string | undefined, position: number, committedAtUs?: number): OpenTransaction {
    const id = gtid ?? `${this.#options.serverUuid}/${this.#file}@${this.#fileCreated}/${position}`;
    this.#passOver = gtid !== undefined && this.#done.contains(gtid);
    const part = this.#passOver ? undefined : this.#replay;
    if (!this.#passOver) this.#replay = undefined;
    if (part !== undefined && part.id !== id) {
      throw new TidemarkError(
        "POSITION_UNUSABLE",
        `The checkpoint lies inside transaction ${part.id}, but the server sends ${id} at ` +
          `${this.#file}:${position}. Set a new position with \`tidemark position set\`.`,
      );
    }
    this.#transaction = {
      id,
      gtid,
      committedAtUs,
      thread: undefined,
      begun: false,
      tables: new Map(),
      lastTable: undefined,
      lastCounted: undefined,
      released: part?.tables,
      xaRows: undefined,
    };
    return this.#transaction;
  }

  #onBegin(event: Event<"begin">): void {
    const transaction = this.#transaction ?? this.#open(undefined, event.position);
    transaction.begun = true;
    transaction.thread = event.thread;
    if (event.xa === true) transaction.xaRows = [];
  }

  #onRows(event: Event<"rows">): readonly Entry[] {
    const transaction = this.#transaction;
    if (transaction === undefined) {
      throw new TidemarkError(
        "EVENT_UNREADABLE",
        `The rows event at ${this.#file}:${event.position} stands outside a transaction.`,
      );
    }
    if (this.#passOver) return NONE;
    if (transaction.xaRows !== undefined) {
      this.#keep(event.rows, transaction);
      return NONE;
    }
    const first = this.#dropReleased(event, transaction);
    for (let from = first; from < event.rows.count;) from = this.#take(event, from);
    return this.#takeReady();
  }

  #takeReady(): readonly Entry[] {
    if (this.#ready.length === 0) return NONE;
    const ready = this.#ready;
    this.#ready = [];
    return ready;
  }

  /** Passes over rows that are in entries already; returns the first row that is not. */
  #dropReleased({ rows, position }: Event<"rows">, transaction: OpenTransaction): number {
    if (transaction.released === undefined) return 0;
    const table = tableId(rows.table);
    const known = countedRows(transaction, table);
    const released = transaction.released[table];
    if (released === undefined || known.rows >= released.rows) return 0;
    const count = Math.min(rows.count, released.rows - known.rows);
    known.crc = crcOfRows(rows, 0, count, known.crc);
    known.rows += count;
    if (known.rows === released.rows && known.crc !== released.crc) {
      throw new TidemarkError(
        "POSITION_UNUSABLE",
        `Transaction ${transaction.id} holds other rows of ${table} than when its first ` +
          `${released.rows} were delivered (seen at ${this.#file}:${position}). ` +
          "Set a new position with `tidemark position set`.",
      );
    }
    return count;
  }

  /** Takes rows from `from` into the entry being built, as many as fit; returns the row after them. */
  #take(event: Event<"rows">, from: number): number {
    const { entryBytesMax, entryRowsMax, rowBytesMax } = this.#options;
    const { rows } = event;
    // A full entry waits for the next row, or for the end of its transaction, which is then part of it.
    if (this.#rowsHeld >= entryRowsMax || this.#bytesHeld >= entryBytesMax) {
      this.#ready.push(this.#cut());
    }
    let to = from;
    let bytes = 0;
    while (
      to < rows.count &&
      this.#rowsHeld + to - from < entryRowsMax &&
      this.#bytesHeld + bytes < entryBytesMax
    ) {
      const size = rows.rowSize(to);
      if (size > rowBytesMax) {
        this.#hold(event, from, to - from, bytes);
        throw this.#rowTooLarge(event, size);
      }
      bytes += size;
      to += 1;
    }
    this.#hold(event, from, to - from, bytes);
    return to;
  }

  #hold(event: Event<"rows">, first: number, count: number, bytes: number): void {
    const transaction = this.#transaction;
    if (transaction === undefined || count === 0) return;
    const { rows } = event;
    if (rows.table !== transaction.lastTable) {
      transaction.lastTable = rows.table;
      transaction.lastCounted = countedRows(transaction, tableId(rows.table));
    }
    const known = transaction.lastCounted as CountedRows;
    const origin: RowsOrigin = {
      file: this.#file,
      position: event.position,
      serverId: event.serverId,
      timestampS: event.timestampS,
    };
    const firstNumber = known.rows;
    const endsTransaction = false;
    this.#changes.push({ transaction, origin, rows, first, count, firstNumber, endsTransaction });
    this.#heldTo = event.nextPosition;
    known.rows += count;
    this.#rowsHeld += count;
    this.#bytesHeld += bytes;
    this.#eventTimeS = event.timestampS;
  }

  #rowTooLarge(event: Event<"rows">, size: number): TidemarkError {
    return new TidemarkError(
      "ROW_TOO_LARGE",
      `A row of ${tableId(event.rows.table)} at ${this.#file}:${event.position} has ${size} bytes, ` +
        `more than queue.max_row allows (${this.#options.rowBytesMax}): raise it, and queue.memory with it.`,
    );
  }

  #onXa(event: Event<"xa">): readonly Entry[] {
    const { step, xid } = event;
    const rows = this.#transaction?.xaRows;
    if (this.#passOver) return this.#finish(event);
    if (step === "prepare") {
      this.#prepare(event);
      if (Array.isArray(rows)) this.#kept.set(xid, rows);
      return this.#finish(event);
    }
    const kept = Array.isArray(rows) ? rows : (this.#kept.get(xid) ?? []);
    this.#forget(kept);
    this.#kept.delete(xid);
    if (step !== "one-phase") this.#prepared = this.#prepared.filter(group => group.xid !== xid);
    const counts = step === "rollback" ? [] : kept;
    const entries = counts.flatMap(each => this.pushRead(each, event));
    return [...entries, ...this.#finish(event)];
  }

  #keep(rows: Rows, transaction: OpenTransaction): void {
    if (!Array.isArray(transaction.xaRows)) return;
    transaction.xaRows.push(rows);
    this.#keptBytes += rows.bytes;
    if (this.#keptBytes <= XA_BYTES_MAX) return;
    this.#forget(transaction.xaRows);
    transaction.xaRows = "many";
  }

  #forget(rows: readonly Rows[]): void {
    for (const { bytes } of rows) this.#keptBytes -= bytes;
  }

  #prepare(event: Event<"xa">): void {
    const earlier = this.#kept.get(event.xid); // After a restart the same comes again.
    if (earlier !== undefined) this.#forget(earlier);
    this.#kept.delete(event.xid);
    this.#prepared = this.#prepared.filter(({ xid }) => xid !== event.xid);
    if (this.#prepared.length >= PREPARED_MAX) {
      throw new TidemarkError(
        "TRANSACTION_IN_DOUBT",
        `More than ${PREPARED_MAX} XA transactions are prepared and not ended at ${this.#file}:` +
          `${event.position}. Run XA RECOVER, and XA COMMIT or XA ROLLBACK of those that it lists.`,
      );
    }
    this.#prepared = [...this.#prepared, this.#groupOf(event)];
  }

  #groupOf({ xid, group }: Event<"xa">): PreparedGroup {
    return { xid, server_uuid: this.#options.serverUuid, file: this.#file, position: group };
  }

  #onRollback(event: Event<"rollback">): readonly Entry[] {
    const delivered = this.#transaction !== undefined && this.#transaction.tables.size > 0;
    if (delivered) this.#abandon("it was rolled back after rows that were delivered");
    return this.#finish(event);
  }

  /** Rows of a transaction that never completes may have been delivered: a person has to look. */
  #abandon(reason: string): void {
    const transaction = this.#transaction;
    this.#transaction = undefined;
    if (transaction === undefined || transaction.tables.size === 0) return;
    throw new TidemarkError(
      "TRANSACTION_IN_DOUBT",
      `Transaction ${transaction.id} in ${this.#file} cannot be taken back: ${reason}. ` +
        "Compare the tables it names with the destination, then set a new position.",
    );
  }

  #finish(event: Event<"commit" | "rollback" | "statement" | "xa">): readonly Entry[] {
    this.#complete(event);
    const holds = this.#rowsHeld > 0 || this.#schemaChanges.length > 0;
    return holds || this.#gtids.length >= GTIDS_MAX ? [this.#cut()] : NONE;
  }

  #complete({
    kind,
    position,
    nextPosition,
    timestampS,
  }: Event<"commit" | "rollback" | "statement" | "xa">): void {
    const transaction = this.#transaction ?? this.#open(undefined, position);
    if (!this.#passOver) {
      if (transaction.gtid === undefined) this.#anonymous = true;
      else this.#gtids.push(transaction.gtid);
    }
    this.#transaction = undefined;
    this.#passOver = false;
    this.#boundary = { file: this.#file, fileCreated: this.#fileCreated, position: nextPosition };
    this.#eventTimeS = timestampS;
    this.#marked = true;
    if (kind === "statement") this.#statement = true;
    const last = this.#changes.at(-1);
    if (last) last.endsTransaction = true;
  }

  /** An entry of its own, which is what tells of the table. */
  #empty(event: Event<"statement">, { database, table }: TableName): readonly Entry[] {
    const transaction = this.#transaction ?? this.#open(undefined, event.position);
    if (this.#passOver) return this.#finish(event);
    const { position, serverId, timestampS } = event;
    const origin: RowsOrigin = { file: this.#file, position, serverId, timestampS };
    this.#complete(event);
    return [this.#cut({ operation: "truncate", database, table, transaction, origin })];
  }

  /** A heartbeat moves the position outside transactions only, and the set never. */
  #onHeartbeat(nextPosition: number): void {
    const here = this.#boundary.file === this.#file;
    if (this.#transaction !== undefined || !here) return;
    if (nextPosition <= this.#boundary.position) return;
    this.#boundary = { ...this.#boundary, position: nextPosition };
    this.#marked = true;
  }

  /** Closes the entry being built. */
  #cut(notice?: TableNotice): Entry {
    const mark = this.#statement ? { ...this.#mark(), statement: true } : this.#mark();
    const bytes = this.#bytesHeld + this.#changes.length * CHANGE_BYTES;
    const schemaChanges = this.#schemaChanges.length > 0 ? this.#schemaChanges : undefined;
    const entry: Entry = {
      seq: this.#seq,
      bytes,
      schemaChanges,
      changes: this.#changes,
      notice,
      mark,
    };
    this.#seq += 1;
    this.#handedOut = mark;
    this.#clear();
    return entry;
  }

  #mark(): Mark {
    const transaction = this.#transaction;
    const { serverUuid } = this.#options;
    const eventTimeS = this.#eventTimeS;
    if (__MUTANT__ === "gtid-before-commit" && transaction?.gtid !== undefined) {
      const boundary = { ...this.#boundary, position: this.#heldTo };
      const gtids = [transaction.gtid];
      return { serverUuid, eventTimeS, boundary, gtids, anonymous: false, transaction: undefined };
    }
    return {
      serverUuid,
      eventTimeS,
      boundary: this.#boundary,
      gtids: this.#gtids,
      anonymous: this.#anonymous,
      transaction: transaction
        ? { id: transaction.id, tables: this.#tableParts(transaction) }
        : this.#replay,
      prepared: this.#prepared,
      definitions: this.#options.definitions?.hashes,
    };
  }

  /** Checksums are needed only where an entry ends inside its transaction, so they are made here. */
  #tableParts(transaction: OpenTransaction): Record<string, TablePart> {
    for (const { rows, first, count } of this.#changes) {
      const known = countedRows(transaction, tableId(rows.table));
      known.crc = crcOfRows(rows, first, count, known.crc);
    }
    const parts = [...transaction.tables].map(([table, part]) => [table, { ...part }] as const);
    return Object.fromEntries(parts);
  }

  #clear(): void {
    this.#changes = [];
    this.#schemaChanges = [];
    this.#rowsHeld = 0;
    this.#bytesHeld = 0;
    this.#gtids = [];
    this.#anonymous = false;
    this.#marked = false;
    this.#statement = false;
  }
}

/** Texts take two bytes a character at most, and a column is an object. */
function schemaChangeBytes(statement: string, tables: readonly ChangedTable[]): number {
  const columns = tables.reduce((sum, table) => sum + (table.columns?.length ?? 0), 0);
  return CHANGE_BYTES + 2 * statement.length + COLUMN_BYTES * columns;
}

function countedRows({ tables }: OpenTransaction, table: string): CountedRows {
  let counted = tables.get(table);
  if (counted === undefined) {
    counted = { rows: 0, crc: 0 };
    tables.set(table, counted);
  }
  return counted;
}

/** The CRC32 of a checkpoint, over the images of `count` rows from `first` on. */
export function crcOfRows(rows: Rows, first: number, count: number, crc: number): number {
  let value = crc;
  for (let row = first; row < first + count; row += 1) value = crc32(rows.rowBytes(row), value);
  return value;
}
