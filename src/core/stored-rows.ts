/**
 * Rows as they stand in a rows event: one copy of their bytes, and beside it where each row and cell is.
 *
 *   index   row 0: start │ cell: start, length │ cell: … ║ row 1: start │ …
 *
 * Nothing is decoded before somebody asks for a cell.
 */
import {
  ABSENT,
  CellState,
  NULL,
  type Image,
  type Operation,
  type Rows,
  type StoredCells,
  type StoredForm,
  type TableShape,
} from "./rows.ts";

export interface StoredRowsOptions {
  readonly table: TableShape;
  readonly forms: readonly StoredForm[];
  readonly operation: Operation;
  readonly count: number;
  readonly data: Buffer;
  /** Where the last row ends in `data`. */
  readonly end: number;
  readonly index: Uint32Array;
}

export class StoredRows implements Rows, StoredCells {
  readonly table: TableShape;
  readonly forms: readonly StoredForm[];
  readonly operation: Operation;
  readonly count: number;
  readonly data: Buffer;
  readonly index: Uint32Array;
  readonly bytes: number;
  readonly #end: number;
  readonly #perRow: number;

  constructor(options: StoredRowsOptions) {
    this.table = options.table;
    this.forms = options.forms;
    this.operation = options.operation;
    this.count = options.count;
    this.data = options.data;
    this.index = options.index;
    this.bytes = options.data.length + options.index.length * Uint32Array.BYTES_PER_ELEMENT;
    this.#end = options.end;
    this.#perRow = numbersPerRow(options.forms.length, options.operation);
  }

  get stored(): StoredCells {
    return this;
  }

  first(row: number, image: Image): number {
    const isSecond = image === "after" && this.operation === "update";
    return row * this.#perRow + 1 + (isSecond ? 2 * this.forms.length : 0);
  }

  state(row: number, image: Image, column: number): CellState {
    const length = this.index[this.first(row, image) + 2 * column + 1];
    if (length === NULL) return CellState.null;
    return length === ABSENT ? CellState.absent : CellState.present;
  }

  cell(row: number, image: Image, column: number): Buffer {
    const at = this.first(row, image) + 2 * column;
    const start = this.index[at] ?? 0;
    const length = this.index[at + 1] ?? 0;
    const { text, paddedTo = 0 } = this.forms[column] ?? {};
    if (text !== undefined) return Buffer.from(text(this.data, start, length));
    const stored = this.data.subarray(start, start + length);
    return length < paddedTo ? Buffer.concat([stored], paddedTo) : stored;
  }

  rowBytes(row: number): Buffer {
    return this.data.subarray(this.#start(row), this.#start(row + 1));
  }

  rowSize(row: number): number {
    const index = this.#perRow * Uint32Array.BYTES_PER_ELEMENT;
    return this.#start(row + 1) - this.#start(row) + index;
  }

  #start(row: number): number {
    return row < this.count ? (this.index[row * this.#perRow] ?? 0) : this.#end;
  }
}

function numbersPerRow(columns: number, operation: Operation): number {
  return 1 + 2 * columns * (operation === "update" ? 2 : 1);
}

export interface RowsMark {
  readonly indexEnd: number;
  readonly count: number;
  readonly additions: number;
}

const SLAB_NUMBERS = 4_096;
/** A longer list, which many rows needed, is not kept. */
const KEPT_NUMBERS = 2 ** 18;

/** Collects the places of rows and cells in some bytes. One at a time; its lists are used again. */
export class StoredRowsBuilder {
  #index = new Uint32Array(1024);
  #indexEnd = 0;
  #count = 0;
  /** Where in the bytes at hand the first row begins: all places are counted from here. */
  #base = 0;
  #bytes: Buffer = Buffer.alloc(0);
  readonly #additions: Buffer[] = [];
  #additionsBytes = 0;
  #slab = new Uint32Array(SLAB_NUMBERS);
  #slabEnd = 0;

  /** What follows stands in these bytes, from `base` on. */
  begin(bytes: Buffer, base: number): void {
    this.#bytes = bytes;
    this.#base = base;
    this.#indexEnd = 0;
    this.#count = 0;
    this.#additions.length = 0;
    this.#additionsBytes = 0;
  }

  /** A row of so many cells begins at `start`. */
  row(start: number, cells: number): void {
    const needed = this.#indexEnd + 1 + 2 * cells;
    if (needed > this.#index.length) {
      const larger = new Uint32Array(Math.max(needed, this.#index.length * 2));
      larger.set(this.#index);
      this.#index = larger;
    }
    this.#index[this.#indexEnd++] = start - this.#base;
    this.#count += 1;
  }

  absent(): void {
    this.value(this.#base, ABSENT);
  }

  null(): void {
    this.value(this.#base, NULL);
  }

  value(start: number, length: number): void {
    this.#index[this.#indexEnd] = start - this.#base;
    this.#index[this.#indexEnd + 1] = length;
    this.#indexEnd += 2;
  }

  /** A value that stands nowhere in the bytes at hand. */
  addition(value: Buffer): void {
    this.value(this.#bytes.length + this.#additionsBytes, value.length);
    this.#additions.push(value);
    this.#additionsBytes += value.length;
  }

  /** The bytes of the cell that was added so many cells ago; undefined for NULL. */
  earlier(cells: number): Buffer | undefined {
    const at = this.#indexEnd - 2 * cells;
    const start = (this.#index[at] ?? 0) + this.#base;
    const length = this.#index[at + 1] ?? NULL;
    return length >= NULL ? undefined : this.#bytes.subarray(start, start + length);
  }

  /** Where the builder stands, for `reset`. */
  mark(): RowsMark {
    const additions = this.#additions.length;
    return { indexEnd: this.#indexEnd, count: this.#count, additions };
  }

  /** Forgets what was added since. */
  reset({ indexEnd, count, additions }: RowsMark): void {
    this.#indexEnd = indexEnd;
    this.#count = count;
    while (this.#additions.length > additions) {
      this.#additionsBytes -= this.#additions.pop()?.length ?? 0;
    }
  }

  /** Hands over what was added, with a copy of its bytes; the last row ends at `end`. */
  finish(shape: Pick<StoredRowsOptions, "table" | "forms" | "operation">, end: number): StoredRows {
    const { table, forms, operation } = shape;
    const hasMore = this.#additions.length > 0;
    const bytes = this.#bytes.subarray(this.#base, hasMore ? this.#bytes.length : end);
    const rows = new StoredRows({
      table,
      forms,
      operation,
      count: this.#count,
      data: hasMore ? Buffer.concat([bytes, ...this.#additions]) : Buffer.from(bytes),
      end: end - this.#base,
      index: this.#takeIndex(),
    });
    if (this.#index.length > KEPT_NUMBERS) this.#index = new Uint32Array(1024);
    return rows;
  }

  /** Small lists share a slab, as small buffers do: memory of its own for each costs more than the row. */
  #takeIndex(): Uint32Array {
    const length = this.#indexEnd;
    if (length > SLAB_NUMBERS / 8) return this.#index.slice(0, length);
    if (this.#slabEnd + length > SLAB_NUMBERS) {
      this.#slab = new Uint32Array(SLAB_NUMBERS);
      this.#slabEnd = 0;
    }
    const start = this.#slabEnd;
    for (let i = 0; i < length; i += 1) this.#slab[start + i] = this.#index[i] as number;
    this.#slabEnd += length;
    return this.#slab.subarray(start, this.#slabEnd);
  }
}
