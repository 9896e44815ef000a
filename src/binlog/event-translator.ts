/**
 * One binlog event after the other → the events that the assembler understands.
 *
 *   header ─▶ what zongji parses well (GTID, Query, XID, rotation, XA) ─▶ its event object
 *        └──▶ table maps and rows ─▶ table-cache.ts, rows-event.ts
 *
 * 1. Whatever can carry rows and is not understood is a fault; it stops the stream.
 * 2. Positions are those of the file: an event starts where the one before it ended.
 */
import { TidemarkError } from "../core/errors.ts";
import { PackedRowsWriter } from "../core/rows.ts";
import { ByteCursor } from "./byte-cursor.ts";
import type { Collations } from "./charsets.ts";
import { EventFault } from "./event-fault.ts";
import {
  EventType,
  HEADER_SIZE,
  isIgnorable,
  nextPositionOf,
  serverIdOf,
  sizeOf,
  timestampOf,
  typeOf,
} from "./event-header.ts";
import type { BinlogEvent, TableFilter } from "./reader.ts";
import { isDummyRows, readRows, tableIdOf, type RowsLayout } from "./rows-event.ts";
import { classifyStatement, emptiedTable } from "./statements.ts";
import { TableCache } from "./table-cache.ts";

/** What is used of the events that zongji parses. */
export interface ZongjiEvent {
  readonly gtid?: string;
  readonly query?: string;
  readonly schema?: string;
  readonly slaveProxyId?: number;
  readonly binlogName?: string;
  readonly onePhase?: boolean;
  readonly standalone?: boolean;
}

export interface TranslatorOptions {
  readonly wants: TableFilter;
  readonly emit: (event: BinlogEvent) => void;
  /** Rows of a transaction that is only prepared are handed out instead of stopping the stream. */
  readonly xaAtPrepare: boolean;
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
]);

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
    EventType.transactionPayload,
    "the transaction is compressed; run SET PERSIST binlog_transaction_compression = OFF",
  ],
  [
    EventType.partialUpdateRows,
    "an update holds only parts of a JSON column; run SET PERSIST binlog_row_value_options = ''",
  ],
  [
    EventType.beginLoadQuery,
    "LOAD DATA was logged as a statement; run SET PERSIST binlog_format = ROW",
  ],
  [
    EventType.executeLoadQuery,
    "LOAD DATA was logged as a statement; run SET PERSIST binlog_format = ROW",
  ],
]);

export class EventTranslator {
  readonly #options: TranslatorOptions;
  readonly #tables: TableCache;
  readonly #writer = new PackedRowsWriter();
  #file = "";
  /** Where the event after the last one starts; 0 until that is known. */
  #next = 0;
  /** Rows were handed out since the last end of a transaction. */
  #rowsOpen = false;

  constructor(options: TranslatorOptions) {
    this.#options = options;
    this.#tables = new TableCache(options.wants);
  }

  set collations(collations: Collations) {
    this.#tables.collations = collations;
  }

  /**
   * @param event its bytes from the header on, without checksum.
   * @param parse lets zongji make an object of it.
   * @throws TidemarkError EVENT_UNREADABLE or SOURCE_SETTING, with file and position.
   */
  translate(event: Buffer, parse: () => ZongjiEvent): void {
    let place: Place | undefined;
    try {
      const type = typeOf(event);
      if (type === EventType.heartbeat || type === EventType.heartbeatV2) {
        this.#heartbeat(event, type);
      } else if (type === EventType.rotate) this.#rotate(parse());
      else if (type === EventType.formatDescription) this.#beginFile(event);
      else {
        place = this.#place(event);
        this.#translate(event, { type, place, parse });
      }
    } catch (thrown) {
      throw this.#fault(thrown, place?.position ?? this.#next);
    }
  }

  #fault(thrown: unknown, position: number): TidemarkError {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    const code = thrown instanceof EventFault ? thrown.code : "EVENT_UNREADABLE";
    return new TidemarkError(
      code,
      `The event at ${this.#file}:${position} cannot be read: ${reason}.`,
      { cause: thrown },
    );
  }

  /** A rotation names the file; that it begins is told by its format description event. */
  #rotate({ binlogName = "" }: ZongjiEvent): void {
    this.#file = binlogName;
    this.#next = 0;
    this.#tables.endTransaction();
  }

  #beginFile(event: Buffer): void {
    this.#next = nextPositionOf(event); // 0 where the dump begins further on.
    this.#tables.serverVersion = serverVersionOf(event);
    this.#options.emit({ kind: "file", file: this.#file, fileCreated: timestampOf(event) });
  }

  #heartbeat(event: Buffer, type: number): void {
    const nextPosition =
      type === EventType.heartbeat ? nextPositionOf(event) : heartbeatPosition(event);
    this.#options.emit({ kind: "heartbeat", nextPosition });
  }

  #place(event: Buffer): Place {
    const size = sizeOf(event);
    // MariaDB writes no position inside a transaction: there it is what came before, plus the size.
    const nextPosition = nextPositionOf(event) || this.#next + size;
    if (nextPosition - size < this.#next) {
      throw new EventFault(
        "the file is larger than 4 GiB here, and MySQL cannot resume behind that; " +
          "split the transaction into smaller ones",
      );
    }
    this.#next = nextPosition;
    return {
      position: nextPosition - size,
      nextPosition,
      timestampS: timestampOf(event),
      serverId: serverIdOf(event),
    };
  }

  #translate(
    event: Buffer,
    { type, place, parse }: { type: number; place: Place; parse: () => ZongjiEvent },
  ): void {
    const layout = ROWS.get(type);
    if (layout) {
      this.#rows(event.subarray(HEADER_SIZE), layout, place);
      return;
    }
    switch (type) {
      case EventType.tableMap:
        this.#tables.map(event.subarray(HEADER_SIZE));
        return;
      case EventType.xid:
        this.#end({ ...place, kind: "commit" });
        return;
      case EventType.query:
      case EventType.mariadbQueryCompressed:
        this.#statement(parse(), place);
        return;
      case EventType.gtid:
      case EventType.gtidTagged:
        this.#end({ ...place, kind: "gtid", gtid: parse().gtid });
        return;
      case EventType.anonymousGtid:
        this.#end({ ...place, kind: "gtid", gtid: undefined });
        return;
      case EventType.mariadbGtid:
        this.#mariadbGtid(parse(), place);
        return;
      case EventType.xaPrepare:
        this.#xaPrepare(parse(), place);
        return;
      default:
        this.#other(event, type);
    }
  }

  /** An event with which a transaction ends or begins: what came before it is closed. */
  #end(event: BinlogEvent): void {
    this.#tables.endTransaction();
    this.#rowsOpen = false;
    this.#options.emit(event);
  }

  /** MariaDB has no BEGIN: a GTID that stands for more than one statement opens the transaction. */
  #mariadbGtid({ gtid, standalone = false }: ZongjiEvent, place: Place): void {
    this.#end({ ...place, kind: "gtid", gtid });
    if (!standalone) this.#options.emit({ ...place, kind: "begin", thread: undefined });
  }

  #rows(body: Buffer, layout: RowsLayout, place: Place): void {
    const mapped = this.#tables.find(tableIdOf(body));
    if (mapped === undefined) return;
    if (mapped === "unmapped") {
      if (isDummyRows(body)) return;
      throw new EventFault("rows came without the description of their table");
    }
    const rows = readRows(body, layout, mapped, this.#writer);
    if (rows.count === 0) return;
    this.#rowsOpen = true;
    this.#options.emit({ ...place, kind: "rows", rows });
  }

  #statement({ query = "", schema = "", slaveProxyId }: ZongjiEvent, place: Place): void {
    const kind = classifyStatement(query);
    switch (kind) {
      case "begin":
        this.#options.emit({ ...place, kind, thread: slaveProxyId });
        return;
      case "commit":
      case "rollback":
        this.#end({ ...place, kind });
        return;
      case "rows":
        this.#requireUnwanted(query);
        break;
      case "xa-end":
      case "other":
        break;
    }
    this.#options.emit({ ...place, kind: "statement", database: schema, sql: query });
  }

  #requireUnwanted(query: string): void {
    const emptied = emptiedTable(query);
    if (emptied && !this.#options.wants(emptied.database, emptied.name)) return;
    throw new EventFault(
      "a change of rows was logged as a statement, which does not tell the rows; " +
        "run SET PERSIST binlog_format = ROW, and see that no session changes it",
    );
  }

  #xaPrepare({ onePhase = false }: ZongjiEvent, place: Place): void {
    if (!onePhase && this.#rowsOpen && !this.#options.xaAtPrepare) {
      throw new EventFault(
        "its transaction was ended by XA PREPARE, so its rows may yet be rolled back; " +
          "set source.xa to at_prepare to send them all the same",
      );
    }
    this.#end({ ...place, kind: "commit" });
  }

  #other(event: Buffer, type: number): void {
    if (SKIPPED.has(type)) return;
    if (
      type >= EventType.mariadbWriteRowsCompressedV1 &&
      type <= EventType.mariadbDeleteRowsCompressed
    ) {
      throw new EventFault("its rows are compressed; run SET GLOBAL log_bin_compress = OFF");
    }
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
