import type { Entry, Mark } from "../../src/core/entry.ts";
import { type Column, type Operation, type Rows, type TableShape } from "../../src/core/rows.ts";
import { PackedRowsWriter } from "./packed-rows.ts";

export const SERVER = "6db3edf2-e588-11f1-8730-02fc00000001";

export function column(name: string, options: Partial<Column> = {}): Column {
  return { name, type: "int", unsigned: false, nullable: true, length: 0, scale: 0, ...options };
}

/** Table `shop.orders (id int primary key, note varchar)`, or like it. */
export function table(options: Partial<TableShape> = {}): TableShape {
  return {
    database: "shop",
    name: "orders",
    columns: [column("id", { nullable: false }), column("note", { type: "varchar" })],
    primaryKey: [0],
    ...options,
  };
}

/** Rows of inserts or deletes: one array of cell texts a row, `null` for NULL. */
export function rows(
  shape: TableShape,
  cells: readonly (readonly (string | null)[])[],
  operation: Operation = "insert",
): Rows {
  const writer = new PackedRowsWriter();
  for (const row of cells) {
    for (const cell of row) {
      if (cell === null) writer.null();
      else writer.utf8(cell);
    }
  }
  return writer.finish(shape, operation);
}

export function mark(position: number, options: Partial<Mark> = {}): Mark {
  return {
    serverUuid: SERVER,
    boundary: { file: "binlog.000001", fileCreated: 1, position },
    gtids: [],
    anonymous: false,
    transaction: undefined,
    eventTimeS: 1_790_000_000,
    ...options,
  };
}

export function entry(seq: number, options: Partial<Entry> = {}): Entry {
  return { seq, bytes: 10, changes: [], mark: mark(100 + seq), ...options };
}
