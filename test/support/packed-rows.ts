/** Rows of canonical cells, written one by one: what a source that shows values as text would hand out. */
import {
  ABSENT,
  CellState,
  NULL,
  type Image,
  type Operation,
  type Rows,
  type TableShape,
} from "../../src/core/rows.ts";

/** `Rows` over one buffer. Written cell by cell with `PackedRowsWriter`. */
export class PackedRows implements Rows {
  readonly table: TableShape;
  readonly operation: Operation;
  readonly count: number;
  readonly #data: Buffer;
  /** Two numbers a cell: where it starts, and its length or a mark for NULL or absent. */
  readonly #cells: Uint32Array;
  readonly #columns: number;
  readonly #imagesPerRow: number;
  readonly stored = undefined;

  constructor(options: {
    table: TableShape;
    operation: Operation;
    count: number;
    data: Buffer;
    cells: Uint32Array;
  }) {
    this.table = options.table;
    this.operation = options.operation;
    this.count = options.count;
    this.#data = options.data;
    this.#cells = options.cells;
    this.#columns = options.table.columns.length;
    this.#imagesPerRow = options.operation === "update" ? 2 : 1;
  }

  get bytes(): number {
    return this.#data.length + this.#cells.byteLength;
  }

  #index(row: number, image: Image, column: number): number {
    const second = this.#imagesPerRow === 2 && image === "after" ? 1 : 0;
    return 2 * ((row * this.#imagesPerRow + second) * this.#columns + column);
  }

  state(row: number, image: Image, column: number): CellState {
    const length = this.#cells[this.#index(row, image, column) + 1];
    if (length === NULL) return CellState.null;
    return length === ABSENT ? CellState.absent : CellState.present;
  }

  cell(row: number, image: Image, column: number): Buffer {
    const index = this.#index(row, image, column);
    const start = this.#cells[index] ?? 0;
    return this.#data.subarray(start, start + (this.#cells[index + 1] ?? 0));
  }

  #rowRange(row: number): { start: number; end: number; cells: Uint32Array } {
    const perRow = 2 * this.#imagesPerRow * this.#columns;
    const cells = this.#cells.subarray(row * perRow, (row + 1) * perRow);
    const start = cells[0] ?? 0;
    const end = this.#cells[(row + 1) * perRow] ?? this.#data.length;
    return { start, end, cells };
  }

  rowBytes(row: number): Buffer {
    const { start, end, cells } = this.#rowRange(row);
    const lengths = Buffer.allocUnsafe(cells.length * 2);
    for (let i = 1; i < cells.length; i += 2) lengths.writeUInt32LE(cells[i] ?? 0, (i - 1) * 2);
    return Buffer.concat([lengths, this.#data.subarray(start, end)]);
  }

  rowSize(row: number): number {
    const { start, end, cells } = this.#rowRange(row);
    return end - start + cells.byteLength;
  }
}

/** Collects cells in the order row, image (before, then after), column. */
export class PackedRowsWriter {
  readonly #parts: Uint8Array[] = [];
  readonly #cells: number[] = [];
  #end = 0;

  absent(): void {
    this.#cells.push(this.#end, ABSENT);
  }

  null(): void {
    this.#cells.push(this.#end, NULL);
  }

  bytes(value: Uint8Array): void {
    this.#cells.push(this.#end, value.length);
    this.#parts.push(value);
    this.#end += value.length;
  }

  utf8(value: string): void {
    this.bytes(Buffer.from(value));
  }

  finish(table: TableShape, operation: Operation): PackedRows {
    const perRow = 2 * table.columns.length * (operation === "update" ? 2 : 1);
    return new PackedRows({
      table,
      operation,
      count: perRow === 0 ? 0 : this.#cells.length / perRow,
      data: Buffer.concat(this.#parts),
      cells: Uint32Array.from(this.#cells),
    });
  }
}
