/** What has been unpacked so far. It grows as it is needed, for what packed data says of itself may be wrong. */
import { DamagedDataError } from "./damaged-data.ts";

/** From this length on the native copy is faster than a loop. */
const NATIVE_COPY_MIN = 32;

export class Unpacked {
  readonly #bytesMax: number;
  #bytes: Buffer;
  #end = 0;

  constructor(bytesMax: number, firstGuess: number) {
    this.#bytesMax = bytesMax;
    this.#bytes = Buffer.allocUnsafeSlow(Math.min(bytesMax, firstGuess));
  }

  get length(): number {
    return this.#end;
  }

  /** A view of all of it. */
  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#end);
  }

  append(source: Buffer, from: number, length: number): void {
    if (from + length > source.length)
      throw new DamagedDataError("its compressed data is cut short");
    const at = this.#claim(length);
    source.copy(this.#bytes, at, from, from + length);
  }

  /** Appends what stands `back` bytes before the end, which may be what is being appended. */
  repeat(back: number, length: number): void {
    const from = this.#end - back;
    if (back === 0 || from < 0) {
      throw new DamagedDataError("its compressed data is damaged (it refers too far back)");
    }
    const at = this.#claim(length);
    const bytes = this.#bytes;
    if (back >= length && length >= NATIVE_COPY_MIN) bytes.copyWithin(at, from, from + length);
    else for (let i = 0; i < length; i += 1) bytes[at + i] = bytes[from + i] ?? 0;
  }

  #claim(length: number): number {
    const at = this.#end;
    const end = at + length;
    if (end > this.#bytes.length) this.#grow(end);
    this.#end = end;
    return at;
  }

  #grow(end: number): void {
    if (end > this.#bytesMax) throw tooLarge(this.#bytesMax);
    const old = this.#bytes;
    this.#bytes = Buffer.allocUnsafeSlow(Math.min(this.#bytesMax, Math.max(end, 2 * old.length)));
    old.copy(this.#bytes, 0, 0, this.#end);
  }
}

export function tooLarge(bytesMax: number): DamagedDataError {
  return new DamagedDataError(
    `its compressed data takes more than ${bytesMax} bytes when unpacked`,
  );
}
