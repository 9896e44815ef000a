/**
 * The CRC-32 of events. Most are of some hundred bytes, for which a call into zlib, with the view of the
 * bytes that it needs, costs more than the bytes do.
 */
import { crc32 } from "node:zlib";
import { crcTables, slicedCrc } from "../core/sliced-crc.ts";

const SHORT_BYTES = 512;
const NOTHING: Buffer = Buffer.alloc(0);

export class EventCrc {
  readonly #tables = crcTables(0xedb88320);
  /** Many events stand in the same bytes, one after the other. */
  #bytes = NOTHING;
  #view = new DataView(NOTHING.buffer);

  /** Of the bytes from `start` to before `end`. */
  of(bytes: Buffer, start: number, end: number): number {
    if (end - start > SHORT_BYTES) return crc32(bytes.subarray(start, end));
    if (bytes !== this.#bytes) {
      this.#bytes = bytes;
      this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    }
    return slicedCrc(this.#tables, this.#view, start, end);
  }
}
