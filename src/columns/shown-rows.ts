/** Rows as formats may see them: through the rules for their columns. */
import type { CellState, Image, Operation, Rows, TableShape } from "../core/rows.ts";
import type { ShownTable } from "./column-rules.ts";

export class ShownRows implements Rows {
  readonly table: TableShape;
  /** The bytes as stored are not for everyone. */
  readonly stored = undefined;
  readonly #rows: Rows;
  readonly #shown: ShownTable;

  constructor(rows: Rows, shown: ShownTable) {
    this.table = shown.shape;
    this.#rows = rows;
    this.#shown = shown;
  }

  get operation(): Operation {
    return this.#rows.operation;
  }

  get count(): number {
    return this.#rows.count;
  }

  get touched(): ReadonlySet<number> | undefined {
    const { touched } = this.#rows;
    if (touched === undefined) return undefined;
    const shown = [...this.table.columns.keys()];
    return new Set(shown.filter(column => touched.has(this.#source(column))));
  }

  get bytes(): number {
    return this.#rows.bytes;
  }

  state(row: number, image: Image, column: number): CellState {
    return this.#rows.state(row, image, this.#source(column));
  }

  cell(row: number, image: Image, column: number): Buffer {
    const cell = this.#rows.cell(row, image, this.#source(column));
    const change = this.#shown.changes[column];
    return change === undefined ? cell : change(cell);
  }

  /** Of the rows as they are: a checksum shows nothing. */
  rowBytes(row: number): Buffer {
    return this.#rows.rowBytes(row);
  }

  rowSize(row: number): number {
    return this.#rows.rowSize(row);
  }

  #source(column: number): number {
    return this.#shown.sources[column] as number;
  }
}
