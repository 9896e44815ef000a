/**
 * A checksum of 32 bits, eight bytes a step ("slicing by eight"), for what no call into zlib is worth.
 *
 * A step needs the one before it, so a processor waits where it could work. In long ranges two blocks are
 * therefore gone through at the same time; the first checksum is then moved over the second block, as if
 * zeros had followed, and the second is added.
 */

const SLICES = 8;
const WORDS = 256;
/** Where the tables that move a checksum over a block begin: one for each of its bytes. */
const SHIFTS = SLICES * WORDS;
const BLOCK_BYTES = 1024;

/** The tables for a polynomial, lowest bit first. */
export function crcTables(polynomial: number): Int32Array {
  const made = new Int32Array(SHIFTS + 4 * WORDS);
  for (let byte = 0; byte < WORDS; byte += 1) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? polynomial : 0);
    made[byte] = crc;
  }
  for (let i = WORDS; i < SHIFTS; i += 1) {
    const before = made[i - WORDS] ?? 0;
    made[i] = (before >>> 8) ^ (made[before & 0xff] ?? 0);
  }
  for (let bit = 0; bit < 32; bit += 1) {
    let crc = 1 << bit;
    for (let i = 0; i < BLOCK_BYTES; i += 1) crc = (crc >>> 8) ^ (made[crc & 0xff] ?? 0);
    const table = SHIFTS + (bit >> 3) * WORDS;
    const mask = 1 << (bit & 7);
    for (let byte = 0; byte < WORDS; byte += 1)
      if (byte & mask) made[table + byte] = (made[table + byte] ?? 0) ^ crc;
  }
  return made;
}

/* eslint-disable @typescript-eslint/no-non-null-assertion -- every index below is masked to its table */

/**
 * Of the bytes from `start` to before `end`. A DataView reads words at any offset, and in this order of
 * bytes on every machine.
 */
export function slicedCrc(t: Int32Array, bytes: DataView, start: number, end: number): number {
  let crc = -1;
  let at = start;
  for (; at + 2 * BLOCK_BYTES <= end; at += 2 * BLOCK_BYTES) {
    let second = 0;
    for (let i = at; i < at + BLOCK_BYTES; i += 8) {
      crc = step(t, crc, bytes, i);
      second = step(t, second, bytes, i + BLOCK_BYTES);
    }
    crc = shifted(t, crc) ^ second;
  }
  for (; at + 8 <= end; at += 8) crc = step(t, crc, bytes, at);
  for (; at < end; at += 1) crc = (crc >>> 8) ^ t[(crc ^ bytes.getUint8(at)) & 0xff]!;
  return ~crc >>> 0;
}

function step(t: Int32Array, crc: number, bytes: DataView, at: number): number {
  const low = crc ^ bytes.getInt32(at, true);
  const high = bytes.getInt32(at + 4, true);
  return (
    t[1792 + (low & 0xff)]! ^
    t[1536 + ((low >>> 8) & 0xff)]! ^
    t[1280 + ((low >>> 16) & 0xff)]! ^
    t[1024 + (low >>> 24)]! ^
    t[768 + (high & 0xff)]! ^
    t[512 + ((high >>> 8) & 0xff)]! ^
    t[256 + ((high >>> 16) & 0xff)]! ^
    t[high >>> 24]!
  );
}

/** The checksum, had `BLOCK_BYTES` zeros followed. */
function shifted(t: Int32Array, crc: number): number {
  return (
    t[SHIFTS + (crc & 0xff)]! ^
    t[SHIFTS + 256 + ((crc >>> 8) & 0xff)]! ^
    t[SHIFTS + 512 + ((crc >>> 16) & 0xff)]! ^
    t[SHIFTS + 768 + (crc >>> 24)]!
  );
}
