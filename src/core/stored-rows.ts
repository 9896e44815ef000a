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
  /** Where the places of the first row begin in `index`, which neighbours share. */
  readonly indexStart: number;
  /** Bytes that these rows take of `data` and `index`. */
  readonly bytes: number;
}

export class StoredRows implements Rows, StoredCells {
  readonly table: TableShape;
  readonly forms: readonly StoredForm[];
  readonly operation: Operation;
  readonly count: number;
  readonly data: Buffer;
  readonly index: Uint32Array;
  readonly bytes: number;
  readonly #indexStart: number;
  readonly #end: number;
  readonly #perRow: number;

  constructor(options: StoredRowsOptions) {
    this.table = options.table;
    this.forms = options.forms;
    this.operation = options.operation;
    this.count = options.count;
    this.data = options.data;
    this.index = options.index;
    this.bytes = options.bytes;
    this.#indexStart = options.indexStart;
    this.#end = options.end;
    this.#perRow = numbersPerRow(options.forms.length, options.operation);
  }

  get stored(): StoredCells {
    return this;
  }

  first(row: number, image: Image): number {
    const isSecond = image === "after" && this.operation === "update";
    const cells = isSecond ? 2 * this.forms.length : 0;
    return this.#indexStart + row * this.#perRow + 1 + cells;
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
    if (row >= this.count) return this.#end;
    return this.index[this.#indexStart + row * this.#perRow] ?? 0;
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

const SLAB_NUMBERS = 8_192;
const SLAB_BYTES = 32 * 1024;
/** A longer list, which many rows needed, is not kept. */
const KEPT_NUMBERS = 2 ** 18;

/**
 * Collects the places of rows and cells in some bytes. One at a time; its lists are used again.
 *
 * The rows of a small event share slabs with their neighbours, as small buffers do: memory of their own
 * for each would cost more than the rows. All of them leave soon, one after the other.
 */
export class StoredRowsBuilder {
  #index = new Uint32Array(1024);
  #indexEnd = 0;
  #count = 0;
  /** What is taken from a place in the bytes at hand to make it one in the copy. */
  #shift = 0;
  /** Where in the bytes at hand the first row begins. */
  #base = 0;
  /** Where the event ends. */
  #limit = 0;
  #bytes: Buffer = Buffer.alloc(0);
  readonly #additions: Buffer[] = [];
  #additionsBytes = 0;
  #indexSlab = new Uint32Array(SLAB_NUMBERS);
  #indexSlabEnd = 0;
  #slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
  #slabEnd = 0;
  /** The rows at hand go to the slab. */
  #isShared = false;

  /** What follows stands in these bytes, from `base` to before `limit`; some of it perhaps not, but is added. */
  begin(bytes: Buffer, base: number, limit: number, mayAdd = false): void {
    this.#bytes = bytes;
    this.#base = base;
    this.#limit = limit;
    this.#indexEnd = 0;
    this.#count = 0;
    this.#additions.length = 0;
    this.#additionsBytes = 0;
    const size = limit - base;
    this.#isShared = !mayAdd && size <= SLAB_BYTES / 8;
    if (this.#isShared && this.#slabEnd + size > SLAB_BYTES) {
      this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
      this.#slabEnd = 0;
    }
    this.#shift = this.#isShared ? base - this.#slabEnd : base;
  }

  /** A row of so many cells begins at `start`. */
  row(start: number, cells: number): void {
    const needed = this.#indexEnd + 1 + 2 * cells;
    if (needed > this.#index.length) {
      const larger = new Uint32Array(Math.max(needed, this.#index.length * 2));
      larger.set(this.#index);
      this.#index = larger;
    }
    this.#index[this.#indexEnd++] = start - this.#shift;
    this.#count += 1;
  }

  absent(): void {
    this.value(this.#shift, ABSENT);
  }

  null(): void {
    this.value(this.#shift, NULL);
  }

  value(start: number, length: number): void {
    this.#index[this.#indexEnd] = start - this.#shift;
    this.#index[this.#indexEnd + 1] = length;
    this.#indexEnd += 2;
  }

  /** A value that stands nowhere in the bytes at hand. */
  addition(value: Buffer): void {
    this.value(this.#limit + this.#additionsBytes, value.length);
    this.#additions.push(value);
    this.#additionsBytes += value.length;
  }

  /** The bytes of the cell that was added so many cells ago; undefined for NULL. */
  earlier(cells: number): Buffer | undefined {
    const at = this.#indexEnd - 2 * cells;
    const start = (this.#index[at] ?? 0) + this.#shift;
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
    const data = this.#takeData(end);
    const length = this.#indexEnd;
    const isOwn = length > SLAB_NUMBERS / 8;
    const indexStart = isOwn ? 0 : this.#takeIndex();
    const copied = this.#additions.length > 0 ? data.length : end - this.#base;
    const rows = new StoredRows({
      table,
      forms,
      operation,
      data,
      indexStart,
      count: this.#count,
      end: end - this.#shift,
      index: isOwn ? this.#index.slice(0, length) : this.#indexSlab,
      bytes: copied + length * Uint32Array.BYTES_PER_ELEMENT,
    });
    if (this.#index.length > KEPT_NUMBERS) this.#index = new Uint32Array(1024);
    return rows;
  }

  #takeData(end: number): Buffer {
    const base = this.#base;
    if (this.#additions.length > 0) {
      return Buffer.concat([this.#bytes.subarray(base, this.#limit), ...this.#additions]);
    }
    if (!this.#isShared) return Buffer.from(this.#bytes.subarray(base, end));
    this.#bytes.copy(this.#slab, this.#slabEnd, base, end);
    this.#slabEnd += end - base;
    return this.#slab;
  }

  #takeIndex(): number {
    const length = this.#indexEnd;
    if (this.#indexSlabEnd + length > SLAB_NUMBERS) {
      this.#indexSlab = new Uint32Array(SLAB_NUMBERS);
      this.#indexSlabEnd = 0;
    }
    const start = this.#indexSlabEnd;
    const slab = this.#indexSlab;
    const index = this.#index;
    for (let i = 0; i < length; i += 1) slab[start + i] = index[i] as number;
    this.#indexSlabEnd += length;
    return start;
  }
}
