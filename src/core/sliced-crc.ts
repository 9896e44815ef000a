/** A checksum of 32 bits, eight bytes a step ("slicing by eight"), for what no call into zlib is worth. */

const SLICES = 8;

/** Eight tables of 256 words for a polynomial, lowest bit first. */
export function crcTables(polynomial: number): Int32Array {
  const made = new Int32Array(SLICES * 256);
  for (let byte = 0; byte < 256; byte += 1) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? polynomial : 0);
    made[byte] = crc;
  }
  for (let i = 256; i < made.length; i += 1) {
    const before = made[i - 256] ?? 0;
    made[i] = (before >>> 8) ^ (made[before & 0xff] ?? 0);
  }
  return made;
}

/**
 * Of the bytes from `start` to before `end`. A DataView reads words at any offset, and in this order of
 * bytes on every machine.
 */
export function slicedCrc(t: Int32Array, bytes: DataView, start: number, end: number): number {
  /* eslint-disable @typescript-eslint/no-non-null-assertion -- every index below is masked to its table */
  let crc = -1;
  let at = start;
  for (; at + 8 <= end; at += 8) {
    const low = crc ^ bytes.getInt32(at, true);
    const high = bytes.getInt32(at + 4, true);
    crc =
      t[1792 + (low & 0xff)]! ^
      t[1536 + ((low >>> 8) & 0xff)]! ^
      t[1280 + ((low >>> 16) & 0xff)]! ^
      t[1024 + (low >>> 24)]! ^
      t[768 + (high & 0xff)]! ^
      t[512 + ((high >>> 8) & 0xff)]! ^
      t[256 + ((high >>> 16) & 0xff)]! ^
      t[high >>> 24]!;
  }
  for (; at < end; at += 1) crc = (crc >>> 8) ^ t[(crc ^ bytes.getUint8(at)) & 0xff]!;
  /* eslint-enable @typescript-eslint/no-non-null-assertion */
  return ~crc >>> 0;
}
