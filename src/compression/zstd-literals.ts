/**
 * The first half of a zstd block: the bytes that are repeats of nothing, as they are, as one byte over and
 * over, or in Huffman code, in one stream or in four.
 */
import { BackwardBits } from "./zstd-bits.ts";
import { DamagedDataError } from "./damaged-data.ts";
import { HuffmanTable } from "./zstd-huffman.ts";
import { BLOCK_MAX, OVERRUN } from "./zstd-window.ts";

const RAW = 0;
const PACKED = 2;
/** In front of four streams: the lengths of the first three. */
const JUMPS_SIZE = 6;

/** A part of some bytes. */
export interface Slice {
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
}

export class ZstdLiterals {
  readonly #unpacked = Buffer.allocUnsafeSlow(BLOCK_MAX + OVERRUN);
  #table: HuffmanTable | undefined;

  /** Of a frame of its own, which shares no table with the one before. */
  begin(): void {
    this.#table = undefined;
  }

  /** Good until the next call. `end` tells where the sequences begin. */
  read(bytes: Buffer, limit: number): { literals: Slice; end: number } {
    const first = bytes.readUInt8(0);
    const type = first & 3;
    const format = (first >> 2) & 3;
    if (type >= PACKED) return this.#packed(bytes, limit, format);
    const headSize = (format & 1) === 0 ? 1 : format === 1 ? 2 : 3;
    const size = bytes.readUInt32LE(0) & (2 ** (8 * headSize) - 1);
    const count = size >> (headSize === 1 ? 3 : 4);
    const end = headSize + (type === RAW ? count : 1);
    if (end > limit || count > BLOCK_MAX) throw damaged();
    if (type === RAW) return { literals: { bytes, start: headSize, end }, end };
    this.#unpacked.fill(bytes.readUInt8(headSize), 0, count);
    return { literals: { bytes: this.#unpacked, start: 0, end: count }, end };
  }

  #packed(bytes: Buffer, limit: number, format: number): { literals: Slice; end: number } {
    const width = [10, 10, 14, 18][format] ?? 0;
    const headSize = [3, 3, 4, 5][format] ?? 0;
    const head = bytes.readUIntLE(0, 6);
    const count = Math.floor(head / 16) % 2 ** width;
    const packed = Math.floor(head / 2 ** (4 + width)) % 2 ** width;
    const end = headSize + packed;
    if (end > limit || count > BLOCK_MAX) throw damaged();
    let at = headSize;
    if ((bytes.readUInt8(0) & 3) === PACKED) {
      this.#table = new HuffmanTable(bytes, at, end);
      at = this.#table.end;
    }
    if (this.#table === undefined) throw damaged();
    if (format === 0)
      this.#table.decode(new BackwardBits(bytes, at, end), this.#unpacked, 0, count);
    else this.#four(this.#table, { bytes, start: at, end }, count);
    return { literals: { bytes: this.#unpacked, start: 0, end: count }, end };
  }

  #four(table: HuffmanTable, { bytes, start, end }: Slice, count: number): void {
    const share = (count + 3) >> 2;
    let at = start + JUMPS_SIZE;
    for (let i = 0; i < 4; i += 1) {
      const to = i < 3 ? at + bytes.readUInt16LE(start + 2 * i) : end;
      if (to > end) throw damaged();
      const from = Math.min(i * share, count);
      const filled = i < 3 ? Math.min(from + share, count) : count;
      table.decode(new BackwardBits(bytes, at, to), this.#unpacked, from, filled);
      at = to;
    }
  }
}

function damaged(): DamagedDataError {
  return new DamagedDataError("its compressed data is damaged (literals)");
}
