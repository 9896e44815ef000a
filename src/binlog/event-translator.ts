/**
 * One binlog event after the other → the events that the assembler understands.
 *
 *   header ─▶ GTID, Query, XID, rotation, XA ─▶ `parse` of the dump (small-events.ts, or zongji)
 *        └──▶ table maps and rows ─▶ table-cache.ts, rows-event.ts
 *
 * 1. Whatever can carry rows and is not understood is a fault; it stops the stream.
 * 2. Positions are those of the file: an event starts where the one before it ended.
 * 3. A group is as long as its GTID event says, so that no event of it was left out.
 */
import { sourceOf } from "../compression/byte-source.ts";
import { ZstdUnpacker } from "../compression/zstd-blocks.ts";
import { TidemarkError, unreadable } from "../core/errors.ts";
import type { Rows } from "../core/rows.ts";
import { StoredRowsBuilder } from "../core/stored-rows.ts";
import { ByteCursor } from "./byte-cursor.ts";
import type { Collations } from "./charsets.ts";
import { compressedTooLarge, unpackRows } from "./compressed-rows.ts";
import { DefinitionsMissing, type Definitions } from "./definitions.ts";
import { EventFault, setGlobal } from "./event-fault.ts";
import {
  EventType,
  HEADER_SIZE,
  isIgnorable,
  isThreadSpecific,
  nextPositionOf,
  serverIdOf,
  sizeOf,
  timestampOf,
  typeOf,
} from "./event-header.ts";
import type { EventParts } from "./event-parts.ts";
import { payloadEvents } from "./payload.ts";
import type { BinlogEvent, TableFilter, XaMode, XaStep } from "./reader.ts";
import { isDummyRows, readLargeRows, readRows, tableIdOf, type RowsLayout } from "./rows-event.ts";
import { isMariadbPrepared, parseSmallEvent, type SmallEvent } from "./small-events.ts";
import { classifyStatement, emptiedTable, xaEnd } from "./statements.ts";
import { TableCache } from "./table-cache.ts";
import type { MappedTable } from "./table-map.ts";

export interface TranslatorOptions {
  readonly wants: TableFilter;
  readonly emit: (event: BinlogEvent) => void;
  readonly xa: XaMode;
  /** A row that takes more than twice this in the event is refused before it is decoded. */
  readonly rowBytesMax: number;
  /** Tell the columns where the binlog does not. */
  readonly definitions?: Definitions | undefined;
  /** Reads an event beside table maps and rows. */
  readonly parse: (event: Buffer) => SmallEvent;
}

type Place = Pick<
  Extract<BinlogEvent, { kind: "commit" }>,
  "position" | "nextPosition" | "timestampS" | "serverId"
>;

const ROWS: ReadonlyMap<number, RowsLayout> = new Map([
  [EventType.writeRowsV1, { operation: "insert", hasExtra: false }],
  [EventType.updateRowsV1, { operation: "update", hasExtra: false }],
  [EventType.deleteRowsV1, { operation: "delete", hasExtra: false }],
  [EventType.writeRows, { operation: "insert", hasExtra: true }],
  [EventType.updateRows, { operation: "update", hasExtra: true }],
  [EventType.deleteRows, { operation: "delete", hasExtra: true }],
  [EventType.partialUpdateRows, { operation: "update", hasExtra: true, isPartial: true }],
  [EventType.mariadbWriteRowsCompressedV1, packed("insert", false)],
  [EventType.mariadbUpdateRowsCompressedV1, packed("update", false)],
  [EventType.mariadbDeleteRowsCompressedV1, packed("delete", false)],
  [EventType.mariadbWriteRowsCompressed, packed("insert", true)],
  [EventType.mariadbUpdateRowsCompressed, packed("update", true)],
  [EventType.mariadbDeleteRowsCompressed, packed("delete", true)],
]);

function packed(operation: RowsLayout["operation"], hasExtra: boolean): RowsLayout {
  return { operation, hasExtra, isCompressed: true };
}

/** Enough of a large event for its header and the number of its table. */
const LARGE_HEAD_SIZE = 64;
/** Table maps and rows have at least the number of the table, and flags. */
const COMMON_SIZE_MIN = HEADER_SIZE + 8;
const LARGE_STATEMENT_MAX = 64 * 2 ** 20;

/** Events that say nothing about rows. */
const SKIPPED: ReadonlySet<number> = new Set([
  EventType.stop,
  EventType.intvar, // These three only prepare a statement, which is judged itself.
  EventType.rand,
  EventType.userVar,
  EventType.ignorable,
  EventType.rowsQuery,
  EventType.previousGtids,
  EventType.transactionContext,
  EventType.viewChange,
  EventType.mariadbAnnotateRows,
  EventType.mariadbCheckpoint,
  EventType.mariadbGtidList,
  EventType.mariadbStartEncryption,
]);

const FAULTS: ReadonlyMap<number, string> = new Map([
  [
    EventType.incident,
    "the server lost changes here (an INCIDENT event) and did not write them; " +
      "the tables have to be read anew from a position behind it",
  ],
  [
    EventType.beginLoadQuery,
    `LOAD DATA was logged as a statement; ${setGlobal("binlog_format", "ROW")}`,
  ],
  [
    EventType.executeLoadQuery,
    `LOAD DATA was logged as a statement; ${setGlobal("binlog_format", "ROW")}`,
  ],
]);

export class EventTranslator {
  readonly #options: TranslatorOptions;
  readonly #tables: TableCache;
  readonly #builder = new StoredRowsBuilder();
  /** Made for the first compressed transaction. */
  #unpacker: ZstdUnpacker | undefined;
  #file = "";
  /** Where the event after the last one starts; 0 until that is known. */
  #next = 0;
  /** Rows were handed out since the last end of a transaction. */
  #rowsOpen = false;
  /** BEGIN was seen, so that a statement does not end the group. */
  #begun = false;
  /** Where the group at hand begins. */
  #groupStart: number | undefined;
  /** Where the group at hand ends, as its GTID event says; undefined if none does. */
  #groupEnd: number | undefined;

  constructor(options: TranslatorOptions) {
    this.#options = options;
    this.#tables = new TableCache(options.wants, options.definitions);
  }

  set collations(collations: Collations) {
    this.#tables.collations = collations;
  }

  /**
   * As `translate`, for an event that stands in `bytes` from `start` to before `end`. Table maps and rows, which
   * nearly all events are, are read where they stand: a view of each would cost as much as reading it.
   */
  translateIn(bytes: Buffer, start: number, end: number): Iterator<void> | undefined {
    const type = typeOf(bytes, start);
    const layout = ROWS.get(type);
    const isCommon = type === EventType.tableMap || (layout && layout.isCompressed !== true);
    if (!isCommon || end - start < COMMON_SIZE_MIN) {
      return this.translate(bytes.subarray(start, end));
    }
    let position = this.#next;
    try {
      position = this.#pass(bytes, start);
      if (layout !== undefined) this.#rowsIn(bytes, start, end, { layout, position });
      else if (!this.#tables.again(bytes, start, end)) {
        this.#map(bytes.subarray(start, end), position);
      }
      return undefined;
    } catch (thrown) {
      throw this.#fault(thrown, position);
    }
  }

  /**
   * @param event its bytes from the header on, without checksum.
   * @returns for a large event what hands out its rows, step by step.
   * @throws TidemarkError of an EventFault's code, with file and position.
   */
  translate(event: Buffer | EventParts): Iterator<void> | undefined {
    const isWhole = Buffer.isBuffer(event);
    const head = isWhole ? event : event.read(0, LARGE_HEAD_SIZE);
    let place: Place | undefined;
    try {
      const type = typeOf(head);
      if (type === EventType.heartbeat || type === EventType.heartbeatV2) {
        this.#heartbeat(head, type);
      } else if (type === EventType.rotate) this.#rotate(this.#options.parse(head));
      else if (type === EventType.formatDescription) this.#beginFile(head);
      else {
        place = this.#place(head);
        if (isWhole && type !== EventType.transactionPayload) {
          this.#translate(event, type, place, this.#options.parse);
        } else {
          const parts = isWhole ? sourceOf(event) : event;
          return this.#guarded(this.#translateParts(parts, head, type, place), place);
        }
      }
      return undefined;
    } catch (thrown) {
      throw this.#fault(thrown, place?.position ?? this.#next);
    }
  }

  *#guarded(steps: Iterable<void>, { position }: Place): Generator<void> {
    try {
      yield* steps;
    } catch (thrown) {
      throw this.#fault(thrown, position);
    }
  }

  #fault(thrown: unknown, position: number): Error {
    if (thrown instanceof DefinitionsMissing) return thrown;
    const error = unreadable(this.#file, position, thrown);
    if (!(thrown instanceof EventFault)) return error;
    return new TidemarkError(thrown.code, error.message, { cause: thrown });
  }

  /** A rotation names the file; that it begins is told by its format description event. */
  #rotate({ binlogName = "" }: SmallEvent): void {
    this.#file = binlogName;
    this.#next = 0;
    this.#closeGroup();
  }

  #beginFile(event: Buffer): void {
    this.#next = nextPositionOf(event); // 0 where the dump begins further on.
    this.#tables.serverVersion = serverVersionOf(event);
    if (isServerStart(event)) this.#options.definitions?.forgetNumbers();
    this.#options.emit({ kind: "file", file: this.#file, fileCreated: timestampOf(event) });
  }

  #heartbeat(event: Buffer, type: number): void {
    const nextPosition =
      type === EventType.heartbeat ? nextPositionOf(event) : heartbeatPosition(event);
    this.#options.emit({ kind: "heartbeat", nextPosition });
  }

  #place(event: Buffer): Place {
    return {
      position: this.#pass(event, 0),
      nextPosition: this.#next,
      timestampS: timestampOf(event),
      serverId: serverIdOf(event),
    };
  }

  /** Where the event begins; `#next` is then where it ends. */
  #pass(bytes: Buffer, start: number): number {
    const size = sizeOf(bytes, start);
    // MariaDB writes no position inside a transaction: there it is what came before, plus the size.
    const nextPosition = nextPositionOf(bytes, start) || this.#next + size;
    if (nextPosition - size < this.#next) {
      throw new EventFault(
        "the file is larger than 4 GiB here, and MySQL cannot resume behind that; " +
          "split the transaction into smaller ones",
      );
    }
    this.#next = nextPosition;
    return nextPosition - size;
  }

  #translate(
    event: Buffer,
    type: number,
    place: Place,
    parse: (event: Buffer) => SmallEvent,
  ): void {
    const layout = ROWS.get(type);
    if (layout) {
      this.#rows(event, layout, place);
      return;
    }
    switch (type) {
      case EventType.tableMap:
        if (!this.#tables.again(event, 0, event.length)) this.#map(event, place.position);
        return;
      case EventType.xid:
        this.#end(place, "commit");
        return;
      case EventType.query:
      case EventType.mariadbQueryCompressed:
        this.#statement(parse(event), place, isThreadSpecific(event));
        return;
      case EventType.gtid:
      case EventType.gtidTagged:
        this.#gtid(parse(event), place);
        return;
      case EventType.anonymousGtid:
        this.#gtid({ ...parse(event), gtid: undefined }, place);
        return;
      case EventType.mariadbGtid:
        this.#mariadbGtid(parse(event), place, isMariadbPrepared(event));
        return;
      case EventType.xaPrepare:
        this.#xaPrepare(parseSmallEvent(event), place);
        return;
      default:
        this.#other(event, type);
    }
  }

  *#translateParts(event: EventParts, head: Buffer, type: number, place: Place): Generator<void> {
    if (type !== EventType.transactionPayload) {
      yield* this.#translateLarge(event, head, type, place);
      return;
    }
    this.#unpacker ??= new ZstdUnpacker();
    for (const inner of payloadEvents(event, this.#unpacker)) {
      const isWhole = Buffer.isBuffer(inner);
      const innerHead = isWhole ? inner : inner.read(0, LARGE_HEAD_SIZE);
      const innerType = typeOf(innerHead);
      // It stands where the payload does: positions inside mean nothing.
      const innerPlace = { ...place, timestampS: timestampOf(innerHead) };
      if (innerType === EventType.transactionPayload) {
        throw new EventFault("its compressed transaction holds another one");
      }
      if (isWhole) this.#translate(inner, innerType, innerPlace, parseSmallEvent);
      else yield* this.#translateLarge(inner, innerHead, innerType, innerPlace);
      yield;
    }
  }

  /** Only rows are ever so large that they matter; the rest is read whole, within a bound. */
  *#translateLarge(event: EventParts, head: Buffer, type: number, place: Place): Generator<void> {
    const layout = ROWS.get(type);
    if (layout === undefined) {
      if (event.size > LARGE_STATEMENT_MAX && !SKIPPED.has(type)) {
        throw new EventFault(`it has ${event.size} bytes, and is no rows event`);
      }
      const bytes = SKIPPED.has(type) ? head : event.read(0, event.size);
      this.#translate(bytes, type, place, parseSmallEvent);
      return;
    }
    const mapped = this.#mappedFor(head);
    if (mapped === undefined) return;
    const { rowBytesMax } = this.#options;
    if (layout.isCompressed === true) {
      if (event.size > 2 * rowBytesMax) throw compressedTooLarge(event.size, 2 * rowBytesMax);
      this.#rows(event.read(0, event.size), layout, place);
      return;
    }
    const options = { layout, mapped, builder: this.#builder, rowBytesMax, start: HEADER_SIZE };
    for (const rows of readLargeRows(event, options)) {
      this.#emitRows(rows, place);
      yield;
    }
  }

  #map(event: Buffer, position: number): void {
    this.#tables.map(event, {
      at: { file: this.#file, position },
      group: { file: this.#file, position: this.#groupStart ?? position },
    });
  }

  #gtid({ gtid, transactionLength, committedAtUs }: SmallEvent, place: Place): void {
    this.#closeGroup();
    this.#groupStart = place.position;
    if (transactionLength !== undefined && transactionLength > 0) {
      this.#groupEnd = place.position + transactionLength;
    }
    const { position, nextPosition, timestampS, serverId } = place;
    this.#options.emit({
      kind: "gtid",
      position,
      nextPosition,
      timestampS,
      serverId,
      gtid,
      committedAtUs,
    });
  }

  /** MariaDB has no BEGIN: a GTID that stands for more than one statement opens the transaction. */
  #mariadbGtid({ gtid, standalone = false }: SmallEvent, place: Place, isPrepared: boolean): void {
    this.#closeGroup();
    this.#groupStart = place.position;
    this.#options.emit({ ...place, kind: "gtid", gtid });
    if (!standalone) this.#begin(place, undefined, isPrepared && this.#isAtCommit);
  }

  #begin(place: Place, thread: number | undefined, xa = false): void {
    this.#begun = true;
    const { position, nextPosition, timestampS, serverId } = place;
    this.#options.emit({ kind: "begin", position, nextPosition, timestampS, serverId, thread, xa });
  }

  #end(place: Place, kind: "commit" | "rollback"): void {
    this.#checkGroup(place);
    this.#closeGroup();
    const { position, nextPosition, timestampS, serverId } = place;
    this.#options.emit({ kind, position, nextPosition, timestampS, serverId });
  }

  #closeGroup(): void {
    this.#tables.endTransaction();
    this.#rowsOpen = false;
    this.#begun = false;
    this.#groupStart = undefined;
    this.#groupEnd = undefined;
  }

  #checkGroup({ nextPosition }: Place): void {
    if (this.#groupEnd === undefined || this.#groupEnd === nextPosition) return;
    throw new EventFault(
      `its transaction ends at ${nextPosition}, but its GTID event says ${this.#groupEnd}: ` +
        "events of it are missing, or the file is damaged",
      "TRANSACTION_IN_DOUBT",
    );
  }

  #rows(event: Buffer, layout: RowsLayout, place: Place): void {
    const mapped = this.#mappedFor(event);
    if (mapped === undefined) return;
    const task = { layout, mapped, builder: this.#builder };
    if (layout.isCompressed === true) {
      const body = event.subarray(HEADER_SIZE);
      const unpacked = unpackRows(body, layout, 2 * this.#options.rowBytesMax);
      this.#emitRows(readRows(unpacked, 0, unpacked.length, task), place);
    } else this.#emitRows(readRows(event, HEADER_SIZE, event.length, task), place);
  }

  #rowsIn(
    bytes: Buffer,
    start: number,
    end: number,
    { layout, position }: { layout: RowsLayout; position: number },
  ): void {
    const mapped = this.#mappedFor(bytes, start);
    if (mapped === undefined) return;
    const task = { layout, mapped, builder: this.#builder };
    const rows = readRows(bytes, start + HEADER_SIZE, end, task);
    const timestampS = timestampOf(bytes, start);
    const serverId = serverIdOf(bytes, start);
    this.#emitRows(rows, { position, nextPosition: this.#next, timestampS, serverId });
  }

  /** Undefined for rows that nobody wants. */
  #mappedFor(bytes: Buffer, start = 0): MappedTable | undefined {
    const tableId = tableIdOf(bytes, start + HEADER_SIZE);
    const mapped = this.#tables.find(tableId);
    if (mapped !== "unmapped") return mapped;
    if (isDummyRows(tableId)) return undefined;
    throw new EventFault("rows came without the description of their table");
  }

  #emitRows(rows: Rows, place: Place): void {
    if (rows.count === 0) return;
    this.#rowsOpen = true;
    const { position, nextPosition, timestampS, serverId } = place; // Spreading it is slow.
    this.#options.emit({ kind: "rows", position, nextPosition, timestampS, serverId, rows });
  }

  #statement(
    { query = "", schema = "", slaveProxyId }: SmallEvent,
    place: Place,
    isTemporary: boolean,
  ): void {
    const kind = classifyStatement(query);
    switch (kind) {
      case "begin":
        this.#begin(place, slaveProxyId);
        return;
      case "xa-begin":
        this.#begin(place, slaveProxyId, this.#isAtCommit);
        return;
      case "commit":
      case "rollback":
        this.#end(place, kind);
        return;
      case "rows":
        this.#requireUnwanted(query);
        break;
      case "xa-end":
        if (!this.#isAtCommit) break;
        this.#xaEnd(query, place);
        return;
      case "other":
        break;
    }
    if (!this.#begun) this.#checkGroup(place);
    const at = { file: this.#file, position: place.position };
    this.#options.definitions?.note(at, schema, query);
    const told = { ...place, kind: "statement", database: schema, sql: query } as const;
    this.#options.emit(isTemporary ? { ...told, isTemporary } : told);
  }

  #requireUnwanted(query: string): void {
    const emptied = emptiedTable(query);
    if (emptied && !this.#options.wants(emptied.database, emptied.name)) return;
    throw new EventFault(
      "a change of rows was logged as a statement, which does not tell the rows; " +
        `${setGlobal("binlog_format", "ROW")}, and see that no session changes it`,
    );
  }

  #xaPrepare({ onePhase = false, xid = "" }: SmallEvent, place: Place): void {
    if (this.#isAtCommit) {
      this.#xa(onePhase ? "one-phase" : "prepare", xid, place);
      return;
    }
    if (!onePhase && this.#rowsOpen && this.#options.xa === "stop") {
      throw new EventFault(
        "its transaction was ended by XA PREPARE, so its rows may yet be rolled back; set source.xa to " +
          "at_commit, or use XA COMMIT … ONE PHASE for the tables that are read",
        "TRANSACTION_IN_DOUBT",
      );
    }
    this.#end(place, "commit");
  }

  get #isAtCommit(): boolean {
    return this.#options.xa === "at_commit";
  }

  #xaEnd(query: string, place: Place): void {
    const end = xaEnd(query);
    if (end !== undefined) {
      this.#xa(end.step, end.xid, place);
      return;
    }
    throw new EventFault(
      "it ends an XA transaction, but does not name it as servers do",
      "TRANSACTION_IN_DOUBT",
    );
  }

  #xa(step: XaStep, xid: string, place: Place): void {
    const group = this.#groupStart ?? place.position;
    this.#checkGroup(place);
    this.#closeGroup();
    this.#options.emit({ ...place, kind: "xa", step, xid, group });
  }

  #other(event: Buffer, type: number): void {
    if (SKIPPED.has(type)) return;
    const reason = FAULTS.get(type);
    if (reason !== undefined) throw new EventFault(reason);
    if (isIgnorable(event)) return;
    throw new EventFault(`its type ${type} is not known, and it may hold changes`);
  }
}

/** Two bytes of format version, then fifty with the server's, filled up with zeros. */
function serverVersionOf(event: Buffer): string {
  const text = event.toString("latin1", HEADER_SIZE + 2, HEADER_SIZE + 52);
  return text.slice(0, (text + "\0").indexOf("\0"));
}

/** Behind the version stands when the server was started, or 0 where it only went on to another file. */
function isServerStart(event: Buffer): boolean {
  return event.readUInt32LE(HEADER_SIZE + 52) !== 0;
}

const HEARTBEAT_POSITION = 2;

/** The second version of the heartbeat is a list of fields, each with type and length. */
function heartbeatPosition(event: Buffer): number {
  const cursor = new ByteCursor(event, HEADER_SIZE);
  while (!cursor.atEnd) {
    const field = cursor.packedUint();
    const value = new ByteCursor(cursor.packedBytes());
    if (field === HEARTBEAT_POSITION) return value.packedUint();
    if (field === 0) break;
  }
  throw new EventFault("it is a heartbeat without a position");
}
