/**
 * The self-describing form in which MySQL 8.3 and newer write some events: a version, the size of all,
 * the last field that must be understood, then fields, each with its number in front, in rising order.
 *
 * Numbers take one to nine bytes. As many one-bits as the first byte ends with, so many bytes follow it;
 * the bits behind them are the number, lowest first.
 */
import { EventFault } from "./event-fault.ts";

export class SerialFields {
  readonly #bytes: Buffer;
  readonly #end: number;
  #offset: number;

  /** @param fieldMax the highest field that the caller understands. */
  constructor(bytes: Buffer, start: number, fieldMax: number) {
    this.#bytes = bytes;
    this.#offset = start;
    this.#end = bytes.length;
    const version = this.unsigned();
    if (version !== 1n) throw new EventFault(`its form has the unknown version ${version}`);
    const size = Number(this.unsigned());
    if (start + size > bytes.length) throw new EventFault("its fields are cut short");
    this.#end = start + size;
    // Written as one more than the field's number; 0 is none.
    const needed = Number(this.unsigned()) - 1;
    if (needed > fieldMax) throw new EventFault(`its field ${needed} is not known`);
  }

  /** The number of the field whose value comes next; undefined at the end. */
  next(): number | undefined {
    return this.#offset < this.#end ? Number(this.unsigned()) : undefined;
  }

  unsigned(): bigint {
    const first = this.#byte(this.#offset);
    let more = 0;
    while ((first & (1 << more)) !== 0 && more < 8) more += 1;
    let value = more < 8 ? BigInt(first >> (more + 1)) : 0n;
    let shift = more < 8 ? BigInt(7 - more) : 0n;
    for (let i = 1; i <= more; i += 1) {
      value |= BigInt(this.#byte(this.#offset + i)) << shift;
      shift += 8n;
    }
    this.#offset += more + 1;
    return value;
  }

  /** The lowest bit is the sign. */
  signed(): bigint {
    const value = this.unsigned();
    return (value >> 1n) ^ -(value & 1n);
  }

  /** Bytes that are written as so many numbers. */
  byteList(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => Number(this.unsigned()) & 0xff));
  }

  text(): string {
    const length = Number(this.unsigned());
    const start = this.#offset;
    if (start + length > this.#end) throw new EventFault("its text is cut short");
    this.#offset += length;
    return this.#bytes.toString("utf8", start, start + length);
  }

  #byte(offset: number): number {
    if (offset >= this.#end) throw new EventFault("its fields are cut short");
    return this.#bytes.readUInt8(offset);
  }
}
