import { EventFault } from "./event-fault.ts";

/** Reads the fields of an event one after the other; reading past the end is a fault, never a guess. */
export class ByteCursor {
  readonly bytes: Buffer;
  offset: number;

  constructor(bytes: Buffer, offset = 0) {
    this.bytes = bytes;
    this.offset = offset;
  }

  get atEnd(): boolean {
    return this.offset >= this.bytes.length;
  }

  uint(size: 1 | 2 | 3 | 4 | 6): number {
    const value = this.bytes.readUIntLE(this.offset, size);
    this.offset += size;
    return value;
  }

  /** A length-encoded integer of MySQL's protocol. */
  packedUint(): number {
    const first = this.uint(1);
    if (first < 251) return first;
    if (first === 252) return this.uint(2);
    if (first === 253) return this.uint(3);
    if (first === 254) {
      const value = this.bytes.readBigUInt64LE(this.offset);
      this.offset += 8;
      return Number(value);
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
    if (end > this.bytes.length) {
      throw new EventFault(`it ends ${end - this.bytes.length} bytes before its content does`);
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
