import {
  ABSENT as ABSENT_CELL,
  CellState,
  NULL as NULL_CELL,
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
    if (cells) this.#writeStored(json, cells, row, image);
    else this.#writeCanonical(json, rows, row, image);
    // Each name begins with a comma; the first one becomes the opening brace.
    if (json.length === start) json.byte(BRACE_OPEN);
    else json.patch(start, BRACE_OPEN);
    json.byte(BRACE_CLOSE);
  }

  #writeStored(json: JsonWriter, cells: StoredCells, row: number, image: Image): void {
    const { data, index, forms } = cells;
    const writers = this.#storedWriters(forms);
    const columns = this.#columns;
    const first = cells.first(row, image);
    for (let i = 0; i < columns.length; i++) {
      const column = columns[i] as number;
      let at = first + 2 * column;
      let source = image;
      if (index[at + 1] === ABSENT_CELL && this.#absentFrom !== undefined) {
        source = this.#absentFrom;
        at = cells.first(row, source) + 2 * column;
      }
      const length = index[at + 1] as number;
      if (length === ABSENT_CELL) continue;
      json.raw(this.#names[i] as Buffer);
      const write = writers[i];
      if (length === NULL_CELL) json.raw(NULL);
      else if (write) write(json, data, index[at] as number, length);
      else (this.#canonical[i] as ValueWriter)(json, cells.cell(row, source, column));
    }
  }

  #writeCanonical(json: JsonWriter, rows: Rows, row: number, image: Image): void {
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
      if (state === CellState.null) json.raw(NULL);
      else (this.#canonical[i] as ValueWriter)(json, rows.cell(row, source, column));
    }
  }

  #storedWriters(forms: readonly StoredForm[]): readonly (StoredWriter | undefined)[] {
    this.#stored ??= this.#shapes.map((column, i) =>
      this.#storedWriter(column, forms[this.#columns[i] as number] as StoredForm),
    );
    return this.#stored;
  }
}
