/**
 * Debezium's JSON envelope without schema: equal to Debezium Server 3.6 with
 * `decimal.handling.mode=string`, its other defaults unchanged. docs/formats.md lists the differences.
 *
 *   insert                        c
 *   row of a snapshot             r
 *   update                        u
 *   update of the primary key     d with the old key, its tombstone, c with the new key
 *   delete                        d, its tombstone
 *   TRUNCATE                      t, without before, after and key
 *   changes that are lost         m, as Debezium calls what is about no row, with `gap`
 *
 * A table without primary key has no message key, and so no tombstones.
 */
import type { Clock } from "../core/clock.ts";
import type { Change, RowsOrigin, TableNotice, Transaction } from "../core/entry.ts";
import type { Rows, TableShape } from "../core/rows.ts";
import { storedWriter } from "./debezium-stored.ts";
import { valueWriter } from "./debezium-values.ts";
import type { Format } from "./format.ts";
import type { JsonWriter } from "./json-writer.ts";
import { KeyWriter } from "./key.ts";
import type { MessageWriter } from "./message-writer.ts";
import { ObjectWriter } from "./object-writer.ts";

export interface DebeziumFormatOptions {
  /** `source.name`, Debezium's topic prefix: the pipeline's name. */
  readonly name: string;
  /** Whether a delete is followed by a message with the same key and no value. */
  readonly tombstones: boolean;
  readonly clock: Pick<Clock, "wallMs">;
  /** `source.version`; this program's version if left out. */
  readonly version?: string;
}

/** What is worked out once per table. */
interface TableWriters {
  readonly row: ObjectWriter;
  readonly key: KeyWriter;
}

/** The parts of `source` around position and row, which are mostly the same for a whole transaction. */
interface SourceParts {
  readonly place: SourcePlace;
  readonly timestampS: number;
  readonly transaction: Transaction;
  readonly head: Buffer;
  readonly tail: Buffer;
}

/** What stays the same from one transaction to the next, as text between times and GTID. */
interface SourcePlace {
  readonly file: string;
  readonly serverId: number;
  readonly table: TableShape;
  readonly isRead: boolean;
  readonly start: string;
  readonly database: string;
  readonly tableName: string;
  readonly position: string;
}

const WRITERS = { canonical: valueWriter, stored: storedWriter };
const BEFORE = Buffer.from('{"before":');
const AFTER = Buffer.from(',"after":');
const NULL = Buffer.from("null");
const ROW = Buffer.from(',"row":');

const OPERATIONS = {
  c: Buffer.from(',"transaction":null,"op":"c"'),
  u: Buffer.from(',"transaction":null,"op":"u"'),
  d: Buffer.from(',"transaction":null,"op":"d"'),
  r: Buffer.from(',"transaction":null,"op":"r"'),
} as const;

export class DebeziumFormat implements Format {
  readonly name = "debezium";
  readonly #options: DebeziumFormatOptions;
  /** `,"source":{"version":…,"connector":"mysql","name":…`. */
  readonly #sourceStart: string;
  readonly #tables = new WeakMap<TableShape, TableWriters>();
  #lastSource: SourceParts | undefined;
  #nowMs = Number.NaN;
  /** The end of every message of this millisecond. */
  #ending = Buffer.alloc(0);

  constructor(options: DebeziumFormatOptions) {
    this.#options = options;
    const { name, version = __VERSION__ } = options;
    this.#sourceStart =
      `,"source":{"version":${JSON.stringify(version)},"connector":"mysql",` +
      `"name":${JSON.stringify(name)}`;
  }

  write(change: Change, row: number, out: MessageWriter): void {
    const { rows } = change;
    const { key } = this.#writers(rows.table);
    switch (rows.operation) {
      case "insert":
        key.write(out, rows, row, "after");
        this.#value(out.values, change, row, "c");
        out.message("");
        return;
      case "read":
        key.write(out, rows, row, "after");
        this.#value(out.values, change, row, "r");
        out.message("");
        return;
      case "delete":
        key.write(out, rows, row, "before");
        this.#value(out.values, change, row, "d");
        out.message("");
        if (key.exists && this.#options.tombstones) out.tombstone(":t");
        return;
      case "update":
        key.write(out, rows, row, "before");
        if (key.exists && key.isChanged(rows, row)) this.#move(out, change, row, key);
        else {
          this.#value(out.values, change, row, "u");
          out.message("");
        }
    }
  }

  /** An update that gives the row another key. */
  #move(out: MessageWriter, change: Change, row: number, key: KeyWriter): void {
    this.#value(out.values, change, row, "d");
    out.message(":d");
    if (this.#options.tombstones) out.tombstone(":t");
    key.write(out, change.rows, row, "after");
    this.#value(out.values, change, row, "c");
    out.message(":c");
  }

  #value(json: JsonWriter, change: Change, row: number, operation: keyof typeof OPERATIONS): void {
    const { rows } = change;
    const { row: object } = this.#writers(rows.table);
    json.raw(BEFORE);
    if (operation === "c" || operation === "r") json.raw(NULL);
    else object.write(json, rows, row, "before");
    json.raw(AFTER);
    if (operation === "d") json.raw(NULL);
    else object.write(json, rows, row, "after");

    const source = this.#source(change);
    json.raw(source.head);
    json.integer(change.origin.position);
    json.raw(ROW);
    json.integer(operation === "r" ? 0 : row);
    json.raw(source.tail);
    json.raw(OPERATIONS[operation]);
    json.raw(this.#end());
  }

  noticeValue(notice: TableNotice): Buffer {
    const { origin, transaction, database, table, gap } = notice;
    const place = this.#newPlace(origin, { database, name: table, isRead: false });
    const head = sourceHead(place, transaction, origin.timestampS);
    const text =
      `{"before":null,"after":null${head}${origin.position},"row":0${sourceTail(transaction)}` +
      `,"transaction":null,` +
      (gap === undefined ? '"op":"t"' : `"op":"m","gap":${JSON.stringify(gap)}`);
    return Buffer.concat([Buffer.from(text), this.#end()]);
  }

  #end(): Buffer {
    const nowMs = Math.floor(this.#options.clock.wallMs());
    if (nowMs !== this.#nowMs) {
      this.#nowMs = nowMs;
      this.#ending = Buffer.from(`,"ts_ms":${nowMs},"ts_us":${nowMs}000,"ts_ns":${nowMs}000000}`);
    }
    return this.#ending;
  }

  #writers(table: TableShape): TableWriters {
    let writers = this.#tables.get(table);
    if (writers === undefined) {
      writers = {
        row: new ObjectWriter(table, [...table.columns.keys()], WRITERS),
        key: new KeyWriter(table, WRITERS),
      };
      this.#tables.set(table, writers);
    }
    return writers;
  }

  /** Rows come in the order of the binlog, so remembering the last one is enough. */
  #source({ origin, transaction, rows }: Change): SourceParts {
    const { timestampS } = origin;
    const place = this.#place(origin, rows);
    const last = this.#lastSource;
    if (
      last?.transaction === transaction &&
      last.place === place &&
      last.timestampS === timestampS
    ) {
      return last;
    }
    const head = Buffer.from(sourceHead(place, transaction, timestampS));
    const tail = Buffer.from(sourceTail(transaction));
    this.#lastSource = { place, timestampS, transaction, head, tail };
    return this.#lastSource;
  }

  #place({ file, serverId }: RowsOrigin, { table, operation }: Rows): SourcePlace {
    const last = this.#lastSource?.place;
    const isRead = operation === "read";
    if (
      last?.table === table &&
      last.file === file &&
      last.serverId === serverId &&
      last.isRead === isRead
    ) {
      return last;
    }
    const { database, name } = table;
    return { table, ...this.#newPlace({ file, serverId }, { database, name, isRead }) };
  }

  #newPlace(
    { file, serverId }: Pick<RowsOrigin, "file" | "serverId">,
    { database, name, isRead }: { database: string; name: string; isRead: boolean },
  ): Omit<SourcePlace, "table"> {
    return {
      ...{ file, serverId, isRead },
      start: `${this.#sourceStart},"ts_ms":`,
      database: `,"snapshot":"${isRead}","db":${JSON.stringify(database)},"sequence":null,"ts_us":`,
      tableName: `,"table":${JSON.stringify(name)},"server_id":${serverId},"gtid":`,
      position: `,"file":${JSON.stringify(file)},"pos":`,
    };
  }
}

function sourceTail({ thread }: Transaction): string {
  return `,"thread":${thread ?? "null"},"query":null}`;
}

function sourceHead(
  place: Omit<SourcePlace, "table">,
  transaction: Transaction,
  timestampS: number,
): string {
  const { gtid, committedAtUs } = transaction;
  // The header of an event holds seconds; MySQL adds the moment of the commit to the GTID.
  const tsUs = committedAtUs ?? timestampS * 1_000_000;
  const tsMs = Math.floor(tsUs / 1000);
  return (
    `${place.start}${tsMs}${place.database}${tsUs},"ts_ns":${tsUs}${tsUs === 0 ? "" : "000"}` +
    `${place.tableName}${gtid === undefined ? "null" : JSON.stringify(gtid)}${place.position}`
  );
}
