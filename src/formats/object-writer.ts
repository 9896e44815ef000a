import { CellState, type Column, type Image, type Rows, type TableShape } from "../core/rows.ts";
import type { JsonWriter } from "./json-writer.ts";

/** Writes a present cell as a JSON value. */
export type ValueWriter = (json: JsonWriter, cell: Buffer) => void;

const BRACE_OPEN = 0x7b;
const BRACE_CLOSE = 0x7d;
const NULL = Buffer.from("null");

/** Columns of a table as a JSON object. What depends on the table alone is worked out once, here. */
export class ObjectWriter {
  readonly #columns: readonly number[];
  /** `,"name":` of each. */
  readonly #names: readonly Buffer[];
  readonly #values: readonly ValueWriter[];

  readonly #absentFrom: Image | undefined;

  /**
   * @param columns indexes, in the order in which they are to be written.
   * @param absentFrom the image that a cell is taken from where the asked one lacks it; without it, and
   *   where both lack it, the cell is left out.
   */
  constructor(
    table: TableShape,
    columns: readonly number[],
    valueWriter: (column: Column) => ValueWriter,
    absentFrom?: Image,
  ) {
    this.#absentFrom = absentFrom;
    this.#columns = columns;
    const shapes = columns.flatMap(index => table.columns[index] ?? []);
    this.#names = shapes.map(column => Buffer.from(`,${JSON.stringify(column.name)}:`));
    this.#values = shapes.map(valueWriter);
  }

  write(json: JsonWriter, rows: Rows, row: number, image: Image): void {
    const start = json.length;
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
      else (this.#values[i] as ValueWriter)(json, rows.cell(row, source, column));
    }
    // Each name begins with a comma; the first one becomes the opening brace.
    if (json.length === start) json.byte(BRACE_OPEN);
    else json.patch(start, BRACE_OPEN);
    json.byte(BRACE_CLOSE);
  }
}
