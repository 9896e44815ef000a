/**
 * Debezium's JSON envelope without schema: equal to Debezium Server 3.6 with
 * `decimal.handling.mode=string`, its other defaults unchanged. docs/formats.md lists the differences.
 *
 *   insert                        c
 *   update                        u
 *   update of the primary key     d with the old key, its tombstone, c with the new key
 *   delete                        d, its tombstone
 *
 * A table without primary key has no message key, and so no tombstones.
 */
import type { Clock } from "../core/clock.ts";
import type { Change, RowsOrigin, Transaction } from "../core/entry.ts";
import type { TableShape } from "../core/rows.ts";
import { storedWriter } from "./debezium-stored.ts";
import { valueWriter } from "./debezium-values.ts";
import type { Format, FormattedMessage } from "./format.ts";
import { JsonWriter } from "./json-writer.ts";
import { KeyWriter } from "./key.ts";
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

/** The parts of `source` around the row's number, which are the same for all rows of one event. */
interface SourceParts {
  readonly origin: RowsOrigin;
  readonly transaction: Transaction;
  readonly table: TableShape;
  readonly head: Buffer;
  readonly tail: Buffer;
}

const WRITERS = { canonical: valueWriter, stored: storedWriter };
const BEFORE = Buffer.from('{"before":');
const AFTER = Buffer.from(',"after":');
const NULL = Buffer.from("null");
const TS_US = Buffer.from(',"ts_us":');
const TS_NS = Buffer.from(',"ts_ns":');
const THOUSAND = Buffer.from("000");
const MILLION = Buffer.from("000000");
const BRACE_CLOSE = 0x7d;

const OPERATIONS = {
  c: Buffer.from(',"transaction":null,"op":"c","ts_ms":'),
  u: Buffer.from(',"transaction":null,"op":"u","ts_ms":'),
  d: Buffer.from(',"transaction":null,"op":"d","ts_ms":'),
} as const;

export class DebeziumFormat implements Format {
  readonly name = "debezium";
  readonly #options: DebeziumFormatOptions;
  /** `,"source":{"version":…,"connector":"mysql","name":…`. */
  readonly #sourceStart: string;
  readonly #tables = new WeakMap<TableShape, TableWriters>();
  readonly #json = new JsonWriter();
  #lastSource: SourceParts | undefined;

  constructor(options: DebeziumFormatOptions) {
    this.#options = options;
    const { name, version = __VERSION__ } = options;
    this.#sourceStart =
      `,"source":{"version":${JSON.stringify(version)},"connector":"mysql",` +
      `"name":${JSON.stringify(name)}`;
  }

  messages(change: Change, row: number): readonly FormattedMessage[] {
    const { rows } = change;
    const { key } = this.#writers(rows.table);
    this.#json.clear(); // A cell that could not be read may have left half a message behind.
    switch (rows.operation) {
      case "insert": {
        const value = this.#value(change, row, "c");
        return [{ idSuffix: "", key: key.key(this.#json, rows, row, "after"), value }];
      }
      case "delete": {
        const oldKey = key.key(this.#json, rows, row, "before");
        const deleted = {
          idSuffix: "",
          key: oldKey,
          value: this.#value(change, row, "d"),
        } as const;
        return [deleted, ...this.#tombstone(oldKey)];
      }
      case "update": {
        const oldKey = key.key(this.#json, rows, row, "before");
        if (oldKey === null || !key.isChanged(rows, row)) {
          return [{ idSuffix: "", key: oldKey, value: this.#value(change, row, "u") }];
        }
        const newKey = key.key(this.#json, rows, row, "after");
        return [
          { idSuffix: ":d", key: oldKey, value: this.#value(change, row, "d") },
          ...this.#tombstone(oldKey),
          { idSuffix: ":c", key: newKey, value: this.#value(change, row, "c") },
        ];
      }
    }
  }

  #tombstone(key: Buffer | null): readonly FormattedMessage[] {
    if (key === null || !this.#options.tombstones) return [];
    return [{ idSuffix: ":t", key, value: null }];
  }

  #value(change: Change, row: number, operation: keyof typeof OPERATIONS): Buffer {
    const { rows } = change;
    const json = this.#json;
    const { row: object } = this.#writers(rows.table);
    json.raw(BEFORE);
    if (operation === "c") json.raw(NULL);
    else object.write(json, rows, row, "before");
    json.raw(AFTER);
    if (operation === "d") json.raw(NULL);
    else object.write(json, rows, row, "after");

    const source = this.#source(change);
    json.raw(source.head);
    json.integer(row);
    json.raw(source.tail);

    const nowMs = Math.floor(this.#options.clock.wallMs());
    json.raw(OPERATIONS[operation]);
    json.integer(nowMs);
    json.raw(TS_US);
    json.integer(nowMs);
    json.raw(THOUSAND);
    json.raw(TS_NS);
    json.integer(nowMs);
    json.raw(MILLION);
    json.byte(BRACE_CLOSE);
    return json.take();
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

  /** Rows come event by event, so remembering the last one is enough. */
  #source(change: Change): SourceParts {
    const { origin, transaction } = change;
    const { table } = change.rows;
    const last = this.#lastSource;
    if (last?.origin === origin && last.transaction === transaction && last.table === table) {
      return last;
    }
    const parts = { origin, transaction, table, ...this.#sourceParts(change) };
    this.#lastSource = parts;
    return parts;
  }

  #sourceParts({ origin, transaction, rows }: Change): Pick<SourceParts, "head" | "tail"> {
    const { database, name } = rows.table;
    // The header of an event holds seconds; MySQL adds the moment of the commit to the GTID.
    const tsUs = transaction.committedAtUs ?? origin.timestampS * 1_000_000;
    const tsMs = Math.floor(tsUs / 1000);
    const head =
      `${this.#sourceStart},"ts_ms":${tsMs},"snapshot":"false","db":${JSON.stringify(database)},` +
      `"sequence":null,"ts_us":${tsUs},"ts_ns":${tsUs}${tsUs === 0 ? "" : "000"},` +
      `"table":${JSON.stringify(name)},"server_id":${origin.serverId},` +
      `"gtid":${JSON.stringify(transaction.gtid ?? null)},"file":${JSON.stringify(origin.file)},` +
      `"pos":${origin.position},"row":`;
    const tail = `,"thread":${transaction.thread ?? "null"},"query":null}`;
    return { head: Buffer.from(head), tail: Buffer.from(tail) };
  }
}
