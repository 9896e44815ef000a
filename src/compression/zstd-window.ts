/**
 * What has been unpacked last, as far as later bytes may refer back to it. It grows as it is needed, and
 * is moved to the front of its buffer when that is full.
 */
import { DamagedDataError } from "./damaged-data.ts";

/** Neither a block nor what comes of it is larger. */
export const BLOCK_MAX = 128 * 1024;
/** Room behind a large window: the more, the more seldom it is moved. */
const ROOM_MAX = 16 * 2 ** 20;
const ROOM_MIN = 2 * BLOCK_MAX;
/** A larger buffer is not kept for the next frame. */
const KEPT_MAX = 8 * 2 ** 20;
/** From this length on the native copy is faster than a loop. */
export const NATIVE_COPY_MIN = 64;
/** A loop copies four bytes at once, and so up to three too many. */
export const OVERRUN = 3;

export class ZstdWindow {
  #bytes = Buffer.alloc(0);
  #view = new DataView(new ArrayBuffer(0));
  #size = 0;
  #start = 0;
  #end = 0;

  /** Of an empty frame. */
  begin(size: number): void {
    this.#size = size;
    this.#start = 0;
    this.#end = 0;
    if (this.#bytes.length > KEPT_MAX) this.#bytes = Buffer.alloc(0);
  }

  beginBlock(): void {
    if (this.#bytes.length - this.#end < BLOCK_MAX + OVERRUN) this.#makeRoom();
    this.#start = this.#end;
  }

  #makeRoom(): void {
    const old = this.#bytes;
    const lengthMax = this.#size + Math.min(ROOM_MAX, Math.max(ROOM_MIN, this.#size));
    if (old.length < lengthMax) {
      const length = Math.min(lengthMax, Math.max(ROOM_MIN, old.length * 2));
      this.#bytes = Buffer.allocUnsafeSlow(length);
      this.#view = new DataView(this.#bytes.buffer);
    }
    const kept = Math.min(this.#end, this.#size);
    old.copy(this.#bytes, 0, this.#end - kept, this.#end);
    this.#end = kept;
  }

  /** What the block at hand has become: a view, good until the next one begins. */
  get block(): Buffer {
    return this.#bytes.subarray(this.#start, this.#end);
  }

  #claim(length: number): number {
    const at = this.#end;
    this.#end += length;
    if (this.#end - this.#start > BLOCK_MAX) {
      throw new DamagedDataError("its compressed data is damaged (a block that is too large)");
    }
    return at;
  }

  fill(byte: number, length: number): void {
    const at = this.#claim(length);
    this.#bytes.fill(byte, at, at + length);
  }

  append(source: Buffer, from: number, length: number): void {
    const to = this.#claim(length);
    source.copy(this.#bytes, to, from, from + length);
  }

  /** As `append`, for a few bytes; it may look at up to `OVERRUN` bytes behind them. */
  appendFew(source: DataView, from: number, length: number): void {
    const to = this.#claim(length);
    const view = this.#view;
    for (let i = 0; i < length; i += 4) {
      view.setInt32(to + i, source.getInt32(from + i, true), true);
    }
  }

  /** Appends what stands `offset` bytes back, which may be what is being appended. */
  repeat(offset: number, length: number): void {
    const at = this.#end;
    const from = at - offset;
    if (offset > this.#size || from < 0) {
      throw new DamagedDataError("its compressed data is damaged (it refers too far back)");
    }
    this.#claim(length);
    if (offset >= NATIVE_COPY_MIN && length >= NATIVE_COPY_MIN && offset >= length) {
      this.#bytes.copyWithin(at, from, from + length);
    } else if (offset >= 4) {
      const view = this.#view;
      for (let i = 0; i < length; i += 4) {
        view.setInt32(at + i, view.getInt32(from + i, true), true);
      }
    } else {
      const bytes = this.#bytes;
      for (let i = 0; i < length; i += 1) bytes[at + i] = bytes[from + i] ?? 0;
    }
  }
}
