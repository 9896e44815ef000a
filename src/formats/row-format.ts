/**
 * What the formats with one plain value a change have in common: the key, and what becomes of a row
 * whose key an update changes. Two rows are meant then, whose messages may go different ways: a delete
 * of the old one and an insert of the new one keep each of them in order.
 */
import type { Change } from "../core/entry.ts";
import type { Image, Operation, Rows, TableShape } from "../core/rows.ts";
import type { Format } from "./format.ts";
import type { JsonWriter } from "./json-writer.ts";
import { KeyWriter } from "./key.ts";
import type { IdSuffix, MessageWriter } from "./message-writer.ts";
import { PLAIN } from "./plain-values.ts";
import { RowWriter } from "./row-writer.ts";

/** What is worked out once per table. */
export interface PlainTable {
  readonly shape: TableShape;
  readonly key: KeyWriter;
  readonly row: RowWriter;
}

/** A row of which a message is made. */
export interface ChangedRow {
  readonly change: Change;
  readonly rows: Rows;
  readonly row: number;
  /** What the message says; `delete` and `insert` for the halves of a changed key. */
  readonly operation: Exclude<Operation, "read">;
  /** The row was there already; `operation` is `insert`, as most consumers know nothing else. */
  readonly isRead: boolean;
  /** The image that the message's key is taken from. */
  readonly image: Image;
  readonly table: PlainTable;
}

export abstract class RowFormat implements Format {
  abstract readonly name: string;
  readonly #tables = new WeakMap<TableShape, PlainTable>();

  /** Writes the message's value. */
  protected abstract value(json: JsonWriter, changed: ChangedRow): void;

  write(change: Change, row: number, out: MessageWriter): void {
    const { rows } = change;
    const { operation } = rows;
    const table = this.#table(rows.table);
    const isRead = operation === "read";
    const add = (idSuffix: IdSuffix, as: ChangedRow["operation"]): void => {
      const image = as === "insert" ? "after" : "before";
      table.key.write(out, rows, row, image);
      this.value(out.values, { change, rows, row, operation: as, isRead, image, table });
      out.message(idSuffix);
    };
    if (operation === "update" && table.key.isChanged(rows, row)) {
      add(":d", "delete");
      add(":c", "insert");
    } else {
      add("", isRead ? "insert" : operation);
    }
  }

  #table(shape: TableShape): PlainTable {
    let table = this.#tables.get(shape);
    if (table === undefined) {
      table = { shape, key: new KeyWriter(shape, PLAIN), row: new RowWriter(shape, PLAIN) };
      this.#tables.set(shape, table);
    }
    return table;
  }
}
