/**
 * One event of the binlog as one line of JSON for people:
 *
 *   {"type":"update","file":"binlog.000003","position":4711,"gtid":"…:17","time":"…","table":"shop.orders",
 *    "rows":[{"before":{"id":1,"note":"a"},"after":{"id":1,"note":"b"}}]}
 *
 * Values stand as MySQL shows them: dates as text, decimals as exact text, bytes in base64.
 */
import type { BinlogEvent } from "../binlog/reader.ts";
import { unreadable } from "../core/errors.ts";
import { hasOnlyAfter, tableId, type Column, type Image, type TableShape } from "../core/rows.ts";
import { JsonWriter } from "../formats/json-writer.ts";
import { ObjectWriter, type ValueWriter } from "../formats/object-writer.ts";

const COMMA = 0x2c;
const BRACE_OPEN = 0x7b;
const BRACE_CLOSE = 0x7d;

export class EventLines {
  readonly #json = new JsonWriter();
  readonly #writers = new WeakMap<TableShape, ObjectWriter>();
  #file = "";
  #gtid: string | undefined;

  /** The line, with its line break; undefined for an event that says nothing by itself. */
  line(event: BinlogEvent): Buffer | undefined {
    switch (event.kind) {
      case "file":
        this.#file = event.file;
        return undefined;
      case "gtid":
        this.#gtid = event.gtid;
        return undefined;
      case "rows":
        return event.rows.count === 0 ? undefined : this.#guardedRows(event);
      case "statement":
        return this.#head(event, "statement", {
          database: event.database,
          sql: withoutPasswords(event.sql),
        });
      case "rollback":
        return this.#head(event, "rollback", {});
      case "begin":
      case "commit":
      case "xa":
      case "heartbeat":
        return undefined;
    }
  }

  #fields(event: { position: number; timestampS: number }, type: string): object {
    return {
      type,
      file: this.#file,
      position: event.position,
      gtid: this.#gtid ?? null,
      time: new Date(event.timestampS * 1_000).toISOString(),
    };
  }

  #head(event: { position: number; timestampS: number }, type: string, more: object): Buffer {
    return Buffer.from(`${JSON.stringify({ ...this.#fields(event, type), ...more })}\n`);
  }

  #guardedRows(event: Extract<BinlogEvent, { kind: "rows" }>): Buffer {
    try {
      return this.#rows(event);
    } catch (thrown) {
      throw unreadable(this.#file, event.position, thrown);
    }
  }

  #rows(event: Extract<BinlogEvent, { kind: "rows" }>): Buffer {
    const { rows } = event;
    const { table, operation } = rows;
    const fields = { ...this.#fields(event, operation), table: tableId(table) };
    const json = this.#json;
    json.clear();
    json.raw(Buffer.from(`${JSON.stringify(fields).slice(0, -1)},"rows":[`));
    const object = this.#writer(table);
    const images: readonly Image[] =
      operation === "update" ? ["before", "after"] : [hasOnlyAfter(operation) ? "after" : "before"];
    for (let row = 0; row < rows.count; row += 1) {
      if (row > 0) json.byte(COMMA);
      json.byte(BRACE_OPEN);
      for (const [i, image] of images.entries()) {
        if (i > 0) json.byte(COMMA);
        json.ascii(`"${image}":`);
        object.write(json, rows, row, image);
      }
      json.byte(BRACE_CLOSE);
    }
    json.ascii("]}\n");
    return json.take();
  }

  #writer(table: TableShape): ObjectWriter {
    let writer = this.#writers.get(table);
    if (writer === undefined) {
      writer = new ObjectWriter(table, [...table.columns.keys()], WRITERS);
      this.#writers.set(table, writer);
    }
    return writer;
  }
}

const writeRaw: ValueWriter = (json, cell) => json.raw(cell);
const writeText: ValueWriter = (json, cell) => json.string(cell);
const writeBase64: ValueWriter = (json, cell) => json.base64(cell);

function plainValue({ type, length }: Column): ValueWriter {
  switch (type) {
    case "tinyint":
    case "smallint":
    case "mediumint":
    case "int":
    case "bigint":
    case "float":
    case "double":
    case "json":
      return writeRaw;
    case "bit":
      return (json, cell) => json.ascii(`"${bitsOf(cell, length)}"`);
    case "binary":
    case "varbinary":
    case "blob":
    case "geometry":
    case "vector":
      return writeBase64;
    case "decimal":
    case "year":
    case "date":
    case "time":
    case "datetime":
    case "timestamp":
    case "char":
    case "varchar":
    case "text":
    case "enum":
    case "set":
      return writeText;
  }
}

const WRITERS = { canonical: plainValue, stored: () => undefined };

function bitsOf(cell: Buffer, length: number): string {
  return Array.from(cell, byte => byte.toString(2).padStart(8, "0"))
    .join("")
    .slice(-length);
}

/** The binlog holds passwords of users as hashes, which are worth stealing too. */
export function withoutPasswords(sql: string): string {
  return sql.replaceAll(
    /\b((?:IDENTIFIED|PASSWORD)\b[^'"]*?)('(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|0x[0-9a-f]+)(\s+(?:AS|BY)\s+(?:'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"))?/gis,
    "$1'********'",
  );
}
