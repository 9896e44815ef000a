import { EventFault } from "./event-fault.ts";

/** Reads the fields of an event one after the other; reading past the end is a fault, never a guess. */
export class ByteCursor {
  readonly bytes: Buffer;
  offset: number;
  /** Where the event ends in these bytes. */
  readonly #end: number;

  constructor(bytes: Buffer, offset = 0, end = bytes.length) {
    this.bytes = bytes;
    this.offset = offset;
    this.#end = end;
  }

  get atEnd(): boolean {
    return this.offset >= this.#end;
  }

  uint(size: 1 | 2 | 3 | 4 | 6): number {
    const at = this.offset;
    this.skip(size);
    return this.bytes.readUIntLE(at, size);
  }

  /** A length-encoded integer of MySQL's protocol. */
  packedUint(): number {
    const first = this.uint(1);
    if (first < 251) return first;
    if (first === 252) return this.uint(2);
    if (first === 253) return this.uint(3);
    if (first === 254) {
      const at = this.offset;
      this.skip(8);
      return Number(this.bytes.readBigUInt64LE(at));
    }
    throw new EventFault(`a length begins with the unknown byte ${first}`);
  }

  take(size: number): Buffer {
    const start = this.offset;
    this.skip(size);
    return this.bytes.subarray(start, this.offset);
  }

  skip(size: number): void {
    const end = this.offset + size;
    if (end > this.#end) {
      throw new EventFault(`it ends ${end - this.#end} bytes before its content does`);
    }
    this.offset = end;
  }

  /** A string with one byte of length in front. */
  shortString(): string {
    return this.take(this.uint(1)).toString("utf8");
  }

  packedBytes(): Buffer {
    return this.take(this.packedUint());
  }
}
