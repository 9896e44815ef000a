/**
 * Rows of one table as bytes, read by formats through a cursor.
 *
 * The cells of all rows of one rows event stand in one buffer in canonical form (docs/types.md), with
 * an array of their ends beside it. So a row costs no object, the memory it takes is known exactly, and
 * a decoder that leaves MySQL's own bytes in place can take over from one that makes objects.
 */

export type Operation = "insert" | "update" | "delete";

/** MySQL's column types as Tidemark tells them apart; lengths and flags stand in `Column`. */
export type ColumnType =
  | "tinyint"
  | "smallint"
  | "mediumint"
  | "int"
  | "bigint"
  | "decimal"
  | "float"
  | "double"
  | "bit"
  | "year"
  | "date"
  | "time"
  | "datetime"
  | "timestamp"
  | "char"
  | "varchar"
  | "text"
  | "binary"
  | "varbinary"
  | "blob"
  | "enum"
  | "set"
  | "json"
  | "geometry"
  | "vector";

export interface Column {
  readonly name: string;
  readonly type: ColumnType;
  readonly unsigned: boolean;
  readonly nullable: boolean;
  /**
   * Bits of a BIT, display length of a TINYINT, bytes of a BINARY, fraction digits of a temporal, 1 for a
   * geometry column of type POINT; otherwise 0.
   */
  readonly length: number;
  /** Fraction digits of a temporal or a decimal; otherwise 0. */
  readonly scale: number;
}

export interface TableShape {
  readonly database: string;
  readonly name: string;
  readonly columns: readonly Column[];
  /** Indexes of the primary key's columns in key order; empty for a table without one. */
  readonly primaryKey: readonly number[];
}

/** `database.table`, the name under which checkpoints and message ids know a table. */
export function tableId(table: TableShape): string {
  return `${table.database}.${table.name}`;
}

/** Which image of a row: what it was (`before`), or what it became (`after`). */
export type Image = "before" | "after";

export const CellState = { absent: 0, null: 1, present: 2 } as const;
export type CellState = (typeof CellState)[keyof typeof CellState];

/** The rows of one rows event. An insert has only after images, a delete only before images. */
export interface Rows {
  readonly table: TableShape;
  readonly operation: Operation;
  readonly count: number;
  /** Bytes that keeping these rows costs, for the memory budget. */
  readonly bytes: number;
  state(row: number, image: Image, column: number): CellState;
  /** The canonical bytes of a present cell: a view that is valid as long as the rows are. */
  cell(row: number, image: Image, column: number): Buffer;
  /** All bytes of the row's images with their cell states, for checksums. */
  rowBytes(row: number): Buffer;
  /** Size of `rowBytes(row)` without making it. */
  rowSize(row: number): number;
}

const ABSENT = 0xffff_ffff;
const NULL = 0xffff_fffe;

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

export interface WriterMark {
  readonly dataEnd: number;
  readonly cellsEnd: number;
}

const SLAB_CELLS = 2_048;
const FIRST_BYTES = 16 * 1024;
/** A larger buffer, which a large row needed, is not kept. */
const KEPT_BYTES = 2 ** 20;

/** Collects cells in the order row, image (before, then after), column. */
export class PackedRowsWriter {
  #data = Buffer.allocUnsafe(FIRST_BYTES);
  #cells = new Uint32Array(1024);
  #dataEnd = 0;
  #cellsEnd = 0;
  #slab = new Uint32Array(SLAB_CELLS);
  #slabEnd = 0;

  #mark(length: number): void {
    if (this.#cellsEnd + 2 > this.#cells.length) {
      const larger = new Uint32Array(this.#cells.length * 2);
      larger.set(this.#cells);
      this.#cells = larger;
    }
    this.#cells[this.#cellsEnd] = this.#dataEnd;
    this.#cells[this.#cellsEnd + 1] = length;
    this.#cellsEnd += 2;
  }

  #reserve(bytes: number): void {
    const needed = this.#dataEnd + bytes;
    if (needed <= this.#data.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#data.length * 2));
    this.#data.copy(larger, 0, 0, this.#dataEnd);
    this.#data = larger;
  }

  absent(): void {
    this.#mark(ABSENT);
  }

  null(): void {
    this.#mark(NULL);
  }

  bytes(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#mark(value.length);
    this.#data.set(value, this.#dataEnd);
    this.#dataEnd += value.length;
  }

  /** Digits, dates and other text known to be ASCII. */
  ascii(value: string): void {
    this.#reserve(value.length);
    this.#mark(value.length);
    this.#data.write(value, this.#dataEnd, "latin1");
    this.#dataEnd += value.length;
  }

  utf8(value: string): void {
    this.#reserve(value.length * 3);
    const written = this.#data.write(value, this.#dataEnd, "utf8");
    this.#mark(written);
    this.#dataEnd += written;
  }

  /** Small lists share a slab, as small buffers do: memory of its own for each costs more than the row. */
  #takeCells(): Uint32Array {
    const cells = this.#cells.subarray(0, this.#cellsEnd);
    if (cells.length > SLAB_CELLS / 8) return cells.slice();
    if (this.#slabEnd + cells.length > SLAB_CELLS) {
      this.#slab = new Uint32Array(SLAB_CELLS);
      this.#slabEnd = 0;
    }
    const start = this.#slabEnd;
    this.#slab.set(cells, start);
    this.#slabEnd += cells.length;
    return this.#slab.subarray(start, this.#slabEnd);
  }

  /** Where the writer stands, for `reset`. */
  mark(): WriterMark {
    return { dataEnd: this.#dataEnd, cellsEnd: this.#cellsEnd };
  }

  /** Forgets what was written since. */
  reset({ dataEnd, cellsEnd }: WriterMark): void {
    this.#dataEnd = dataEnd;
    this.#cellsEnd = cellsEnd;
  }

  /** Hands over what was written, copied to its exact size, and is empty again. */
  finish(table: TableShape, operation: Operation): PackedRows {
    const perRow = 2 * table.columns.length * (operation === "update" ? 2 : 1);
    const rows = new PackedRows({
      table,
      operation,
      count: perRow === 0 ? 0 : this.#cellsEnd / perRow,
      data: Buffer.from(this.#data.subarray(0, this.#dataEnd)),
      cells: this.#takeCells(),
    });
    this.#dataEnd = 0;
    this.#cellsEnd = 0;
    if (this.#data.length > KEPT_BYTES) this.#data = Buffer.allocUnsafe(FIRST_BYTES);
    return rows;
  }
}
