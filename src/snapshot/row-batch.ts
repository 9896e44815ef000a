/** Rows of an answer as they arrive → `Rows`, a batch at a time. */
import { NULL } from "../core/rows.ts";
import { StoredRows } from "../core/stored-rows.ts";
import { EventFault } from "../binlog/event-fault.ts";
import type { RowColumn } from "./row-columns.ts";
import type { RowTable } from "./row-table.ts";
import { PACKED_MAX, type WireRow } from "./row-wire.ts";

/** An entry of the queue holds no more. */
export const BATCH_ROWS = 500;
export const BATCH_BYTES = 64 * 1024;
/** For the row that fills a batch. */
const LAST_ROW_BYTES = 16 * 1024;

const NOTHING: Buffer = Buffer.alloc(0);

export class RowBatch {
  readonly #table: RowTable;
  /** What the cells of a row may take behind it. */
  readonly #packedMax: number;
  readonly #nullBytes: number;
  #data = NOTHING;
  #end = 0;
  #index = new Uint32Array();
  #count = 0;

  constructor(table: RowTable) {
    this.#table = table;
    this.#packedMax = PACKED_MAX * table.columns.length;
    // Two bits in front belong to no column.
    this.#nullBytes = (table.columns.length + 9) >> 3;
  }

  get isFull(): boolean {
    return this.#count >= BATCH_ROWS || this.#end >= BATCH_BYTES;
  }

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  /** Adds the row in this packet. */
  add(bytes: Buffer, start: number, end: number): void {
    const { columns } = this.#table;
    const size = end - start;
    const first = this.#count * (1 + 2 * columns.length);
    this.#reserve(size + this.#packedMax, first + 1 + 2 * columns.length);
    const from = this.#end;
    const data = this.#data;
    const index = this.#index;
    bytes.copy(data, from, start, end);
    const nulls = from + 1;
    const limit = from + size;
    const row: WireRow = { data, at: nulls + this.#nullBytes, end: limit, start: 0, length: 0 };
    index[first] = from;
    for (let i = 0; i < columns.length; i += 1) {
      const at = first + 1 + 2 * i;
      const bit = i + 2;
      if (((data[nulls + (bit >> 3)] as number) & (1 << (bit & 7))) !== 0) {
        index[at] = from;
        index[at + 1] = NULL;
        continue;
      }
      (columns[i] as RowColumn).cell(row);
      index[at] = row.start;
      index[at + 1] = row.length;
    }
    if (row.at !== limit)
      throw new EventFault("the server sent a row of another shape than it announced");
    this.#end = row.end;
    this.#count += 1;
  }

  #reserve(bytes: number, numbers: number): void {
    const needed = this.#end + bytes;
    if (needed > this.#data.length) {
      const room = Math.max(
        needed,
        this.#count === 0 ? BATCH_BYTES + LAST_ROW_BYTES : 2 * this.#data.length,
      );
      const larger = Buffer.allocUnsafeSlow(room);
      this.#data.copy(larger, 0, 0, this.#end);
      this.#data = larger;
    }
    if (numbers > this.#index.length) {
      const larger = new Uint32Array(Math.max(numbers, 2 * this.#index.length));
      larger.set(this.#index);
      this.#index = larger;
    }
  }

  /** Hands over what was added, and begins anew. */
  take(): StoredRows {
    const { shape, forms } = this.#table;
    const index = this.#index.slice(0, this.#count * (1 + 2 * forms.length));
    // The last batch of a chunk may be small.
    const isHalf = this.#end < this.#data.length / 2;
    const data = isHalf ? Buffer.from(this.#data.subarray(0, this.#end)) : this.#data;
    const rows = new StoredRows({
      ...{ table: shape, forms, operation: "read", count: this.#count, data, end: this.#end },
      ...{ index, indexStart: 0, bytes: data.length + index.byteLength },
    });
    if (!isHalf) this.#data = NOTHING;
    this.#end = 0;
    this.#count = 0;
    return rows;
  }
}
