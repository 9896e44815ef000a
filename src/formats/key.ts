/** The message key: the primary key as JSON, such as `{"id":1}`. */
import { CellState, type Image, type Rows, type TableShape } from "../core/rows.ts";
import type { JsonWriter } from "./json-writer.ts";
import type { MessageWriter } from "./message-writer.ts";
import { ObjectWriter, type ColumnWriters } from "./object-writer.ts";

export class KeyWriter {
  readonly #columns: readonly number[];
  readonly #object: ObjectWriter;

  /** The columns stand in key order, which need not be the table's. */
  constructor(table: TableShape, writers: ColumnWriters) {
    this.#columns = table.primaryKey;
    // With a minimal row image, the after image of an update holds only the key columns that it sets.
    this.#object = new ObjectWriter(table, table.primaryKey, writers, "before");
  }

  /** False for a table without primary key, whose messages have none. */
  get exists(): boolean {
    return this.#columns.length > 0;
  }

  /** Writes the key, if there is one, as that of the messages that follow. */
  write(out: MessageWriter, rows: Rows, row: number, image: Image): void {
    if (this.#columns.length === 0) return;
    this.object(out.keys, rows, row, image);
    out.endKey();
  }

  /** Writes the key where a message shows it too. */
  object(json: JsonWriter, rows: Rows, row: number, image: Image): void {
    this.#object.write(json, rows, row, image);
  }

  /** Whether an update gives the row another key; a key column absent from its after image is unchanged. */
  isChanged(rows: Rows, row: number): boolean {
    return isKeyChanged(this.#columns, rows, row);
  }
}

/** Of the key that stands in these columns. */
export function isKeyChanged(columns: readonly number[], rows: Rows, row: number): boolean {
  for (const column of columns) {
    if (rows.state(row, "after", column) !== CellState.present) continue;
    const after = rows.cell(row, "after", column);
    if (!after.equals(rows.cell(row, "before", column))) return true;
  }
  return false;
}
