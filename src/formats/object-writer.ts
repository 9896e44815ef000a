import {
  CellState,
  type Column,
  type Image,
  type Rows,
  type StoredCells,
  type StoredForm,
  type TableShape,
} from "../core/rows.ts";
import type { JsonWriter } from "./json-writer.ts";

/** Writes a present cell, given in canonical form, as a JSON value. */
export type ValueWriter = (json: JsonWriter, cell: Buffer) => void;

/** Writes a cell from what MySQL stored: `length` bytes of `data` from `start` on. */
export type StoredWriter = (json: JsonWriter, data: Buffer, start: number, length: number) => void;

export interface ColumnWriters {
  readonly canonical: (column: Column) => ValueWriter;
  /** Undefined for a column whose canonical form has to be made first. */
  readonly stored: (column: Column, form: StoredForm) => StoredWriter | undefined;
}

const BRACE_OPEN = 0x7b;
const BRACE_CLOSE = 0x7d;
const NULL = Buffer.from("null");

/** Columns of a table as a JSON object. What depends on the table alone is worked out once, here. */
export class ObjectWriter {
  readonly #columns: readonly number[];
  /** `,"name":` of each. */
  readonly #names: readonly Buffer[];
  readonly #canonical: readonly ValueWriter[];
  readonly #absentFrom: Image | undefined;
  readonly #shapes: readonly Column[];
  readonly #storedWriter: ColumnWriters["stored"];
  /** Made with the first rows, since a table's form comes with them; the same for all. */
  #stored: readonly (StoredWriter | undefined)[] | undefined;

  /**
   * @param columns indexes, in the order in which they are to be written.
   * @param absentFrom the image that a cell is taken from where the asked one lacks it; without it, and
   *   where both lack it, the cell is left out.
   */
  constructor(
    table: TableShape,
    columns: readonly number[],
    writers: ColumnWriters,
    absentFrom?: Image,
  ) {
    this.#absentFrom = absentFrom;
    this.#columns = columns;
    this.#shapes = columns.flatMap(index => table.columns[index] ?? []);
    this.#names = this.#shapes.map(column => Buffer.from(`,${JSON.stringify(column.name)}:`));
    this.#canonical = this.#shapes.map(writers.canonical);
    this.#storedWriter = writers.stored;
  }

  write(json: JsonWriter, rows: Rows, row: number, image: Image): void {
    const start = json.length;
    const cells = rows.stored;
    const writers = cells && this.#storedWriters(cells);
    for (let i = 0; i < this.#columns.length; i++) {
      const column = this.#columns[i] as number;
      let source = image;
      let state = rows.state(row, source, column);
      if (state === CellState.absent && this.#absentFrom !== undefined) {
        source = this.#absentFrom;
        state = rows.state(row, source, column);
      }
      if (state === CellState.absent) continue;
      json.raw(this.#names[i] as Buffer);
      const writeStored = writers?.[i];
      if (state === CellState.null) json.raw(NULL);
      else if (cells && writeStored) {
        const at = cells.first(row, source) + 2 * column;
        writeStored(json, cells.data, cells.index[at] as number, cells.index[at + 1] as number);
      } else (this.#canonical[i] as ValueWriter)(json, rows.cell(row, source, column));
    }
    // Each name begins with a comma; the first one becomes the opening brace.
    if (json.length === start) json.byte(BRACE_OPEN);
    else json.patch(start, BRACE_OPEN);
    json.byte(BRACE_CLOSE);
  }

  #storedWriters({ forms }: StoredCells): readonly (StoredWriter | undefined)[] {
    this.#stored ??= this.#shapes.map((column, i) =>
      this.#storedWriter(column, forms[this.#columns[i] as number] as StoredForm),
    );
    return this.#stored;
  }
}
