/** CRC-32C (Castagnoli), the checksum of Kafka's record batches. Node's zlib has only the other CRC-32. */
import { crcTables, slicedCrc } from "../core/sliced-crc.ts";

let tables: Int32Array | undefined;

export function crc32c(bytes: Buffer, start: number, end: number): number {
  tables ??= crcTables(0x82f63b78);
  return slicedCrc(tables, new DataView(bytes.buffer, bytes.byteOffset, bytes.length), start, end);
}
