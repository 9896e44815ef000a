/**
 * Bits of a zstd stream, which are read from its end to its beginning. The last byte holds a mark above
 * the bit that comes first.
 */
import { DamagedDataError } from "./damaged-data.ts";

/** Bytes behind a stream that have to be readable, whatever they hold. */
export const BITS_PADDING = 4;

export class BackwardBits {
  readonly view: DataView;
  /** Where in `view` the last bit stands. */
  readonly start: number;
  /** Bits not yet read; negative after more was read than there is. */
  left: number;

  constructor(bytes: Buffer, start: number, end: number) {
    const last = end > start ? bytes.readUInt8(end - 1) : 0;
    if (last === 0)
      throw new DamagedDataError("its compressed data is damaged (a stream without end)");
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.start = start;
    this.left = (end - start) * 8 - (Math.clz32(last) - 23);
  }

  /** At most 24 of them. */
  read(count: number): number {
    this.left -= count;
    const at = this.left;
    if (at < 0) return this.#beyond(count);
    return (this.view.getInt32(this.start + (at >> 3), true) >>> (at & 7)) & ((1 << count) - 1);
  }

  /** In front of the first bit stand zeros; who reads too many of them notices by `left`. */
  #beyond(count: number): number {
    const missing = -this.left;
    if (missing >= count) return 0;
    return (this.view.getInt32(this.start, true) << missing) & ((1 << count) - 1);
  }
}
