/** Chosen cells of a row as JSON: for formats that do not always show the whole row as one object. */
import {
  CellState,
  type Image,
  type Rows,
  type StoredCells,
  type StoredForm,
  type TableShape,
} from "../core/rows.ts";
import type { JsonWriter } from "./json-writer.ts";
import type { ColumnWriters, StoredWriter, ValueWriter } from "./object-writer.ts";

const NULL = Buffer.from("null");

/** Columns that an image has, in the order in which they are written. */
export interface Cells {
  readonly rows: Rows;
  readonly row: number;
  readonly image: Image;
  readonly columns: readonly number[];
}

export class RowWriter {
  readonly #table: TableShape;
  readonly #all: readonly number[];
  /** As JSON strings. */
  readonly #names: readonly Buffer[];
  readonly #canonical: readonly ValueWriter[];
  readonly #storedWriter: ColumnWriters["stored"];
  /** Made with the first rows, since a table's form comes with them; the same for all. */
  #stored: readonly (StoredWriter | undefined)[] | undefined;

  constructor(table: TableShape, writers: ColumnWriters) {
    this.#table = table;
    this.#all = [...table.columns.keys()];
    this.#names = table.columns.map(({ name }) => Buffer.from(JSON.stringify(name)));
    this.#canonical = table.columns.map(writers.canonical);
    this.#storedWriter = writers.stored;
  }

  /** All that the image has. */
  present(rows: Rows, row: number, image: Image): Cells {
    const isPresent = (column: number): boolean =>
      rows.state(row, image, column) !== CellState.absent;
    const all = this.#all;
    return { rows, row, image, columns: all.every(isPresent) ? all : all.filter(isPresent) };
  }

  /** `{"id":1,…}` */
  object(json: JsonWriter, cells: Cells): void {
    json.ascii("{");
    for (const [i, column] of cells.columns.entries()) {
      if (i > 0) json.ascii(",");
      json.raw(this.#names[column] as Buffer);
      json.ascii(":");
      this.value(json, cells, column);
    }
    json.ascii("}");
  }

  /** `["id",…]` */
  names(json: JsonWriter, { columns }: Cells): void {
    json.ascii("[");
    for (const [i, column] of columns.entries()) {
      if (i > 0) json.ascii(",");
      json.raw(this.#names[column] as Buffer);
    }
    json.ascii("]");
  }

  /** `[1,…]` */
  values(json: JsonWriter, cells: Cells): void {
    json.ascii("[");
    for (const [i, column] of cells.columns.entries()) {
      if (i > 0) json.ascii(",");
      this.value(json, cells, column);
    }
    json.ascii("]");
  }

  value(json: JsonWriter, { rows, row, image }: Omit<Cells, "columns">, column: number): void {
    if (rows.state(row, image, column) !== CellState.present) {
      json.raw(NULL);
      return;
    }
    const { stored } = rows;
    const write = stored && this.#storedWriters(stored)[column];
    if (write) {
      const at = stored.first(row, image) + 2 * column;
      write(json, stored.data, stored.index[at] as number, stored.index[at + 1] as number);
    } else {
      (this.#canonical[column] as ValueWriter)(json, rows.cell(row, image, column));
    }
  }

  #storedWriters({ forms }: StoredCells): readonly (StoredWriter | undefined)[] {
    this.#stored ??= this.#table.columns.map((column, i) =>
      this.#storedWriter(column, forms[i] as StoredForm),
    );
    return this.#stored;
  }
}

/**
 * What an update changed: the columns that have another value after it, as far as the images have them.
 * One that only the image after it has counts as changed, as does one that was changed and changed back.
 */
export function changesOf(rows: Rows, row: number): { before: Cells; after: Cells } {
  const { touched } = rows;
  const before: number[] = [];
  const after: number[] = [];
  for (let column = 0; column < rows.table.columns.length; column += 1) {
    const now = rows.state(row, "after", column);
    const then = rows.state(row, "before", column);
    if (now === CellState.absent) continue;
    const isSame = now === then && (now === CellState.null || isSameCell(rows, row, column));
    if (isSame && touched?.has(column) !== true) continue;
    after.push(column);
    if (then !== CellState.absent) before.push(column);
  }
  return {
    before: { rows, row, image: "before", columns: before },
    after: { rows, row, image: "after", columns: after },
  };
}

function isSameCell(rows: Rows, row: number, column: number): boolean {
  const { stored } = rows;
  if (stored === undefined) {
    return rows.cell(row, "before", column).equals(rows.cell(row, "after", column));
  }
  const { data, index } = stored;
  const before = stored.first(row, "before") + 2 * column;
  const after = stored.first(row, "after") + 2 * column;
  const [start = 0, length = 0] = [index[before], index[before + 1]];
  const [otherStart = 0, otherLength = 0] = [index[after], index[after + 1]];
  if (length !== otherLength) return false;
  return data.compare(data, otherStart, otherStart + length, start, start + length) === 0;
}
