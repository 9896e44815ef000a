/**
 * Snappy as Kafka's Java client writes it: in the frames of the library xerial, with blocks of 32 KB.
 * Read is also what other clients write, one block without a frame.
 *
 *   frame: magic number 8 │ version 4 │ oldest version that reads it 4 │ size 4, block │ size 4, block │ …
 *   block: length when unpacked │ literals or a repeat │ …; the low bits of the first byte say which
 */
import { DamagedDataError } from "./damaged-data.ts";
import type { Repeats } from "./repeats.ts";
import { Unpacked } from "./unpacked.ts";

const MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
const FRAME_HEAD = Buffer.concat([MAGIC, Buffer.from([0, 0, 0, 1, 0, 0, 0, 1])]);
const BLOCK_BYTES = 32 * 1024;
const LITERALS = 0;
const REPEAT_11 = 1;
const REPEAT_16 = 2;
/** No block of so few bytes becomes larger than this many times as much. */
const RATIO_MAX = 32;
/** The longest repeat that one element stands for, and the shortest of the shorter form. */
const REPEAT_MAX = 64;
const REPEAT_11_MIN = 4;
/** Lengths of literals up to this go into the first byte. */
const SHORT_LITERALS = 60;

/** An upper bound of what comes of so many bytes. */
export function snappyBytesMax(bytes: number): number {
  const blocks = Math.ceil(bytes / BLOCK_BYTES);
  return FRAME_HEAD.length + blocks * (4 + 3 + 3) + bytes + Math.ceil(bytes / 6);
}

/** Packs into `target`, which holds `snappyBytesMax` bytes. Returns how many it took. */
export function packSnappy(source: Buffer, target: Buffer, repeats: Repeats): number {
  const view = new DataView(source.buffer, source.byteOffset, source.length);
  let at = FRAME_HEAD.copy(target);
  for (let start = 0; start < source.length; start += BLOCK_BYTES) {
    const end = Math.min(start + BLOCK_BYTES, source.length);
    const found = repeats.found.subarray(0, repeats.find(view, start, end));
    const size = packBlock({ source, start, end }, found, target, at + 4);
    at = target.writeInt32BE(size, at) + size;
  }
  return at;
}

function packBlock(
  { source, start, end }: { source: Buffer; start: number; end: number },
  found: Int32Array,
  target: Buffer,
  from: number,
): number {
  let at = from;
  let length = end - start;
  for (; length > 0x7f; length >>>= 7) target[at++] = (length & 0x7f) | 0x80;
  target[at++] = length;
  let next = start;
  for (let i = 0; i < found.length; i += 3) {
    const literals = found[i] ?? 0;
    at = writeLiterals(source, next, literals, { target, at });
    const repeated = found[i + 2] ?? 0;
    at = writeRepeat(target, at, found[i + 1] ?? 0, repeated);
    next += literals + repeated;
  }
  return writeLiterals(source, next, end - next, { target, at }) - from;
}

function writeLiterals(
  source: Buffer,
  from: number,
  length: number,
  { target, at: start }: { target: Buffer; at: number },
): number {
  let at = start;
  if (length === 0) return at;
  const last = length - 1;
  if (last < SHORT_LITERALS) target[at++] = last << 2;
  else if (last < 256) {
    target[at++] = SHORT_LITERALS << 2;
    target[at++] = last;
  } else {
    target[at++] = (SHORT_LITERALS + 1) << 2;
    target[at++] = last & 0xff;
    target[at++] = last >> 8;
  }
  return at + source.copy(target, at, from, from + length);
}

function writeRepeat(target: Buffer, start: number, back: number, length: number): number {
  let at = start;
  for (let left = length; left > 0;) {
    const some = Math.min(REPEAT_MAX, left);
    target[at++] = ((some - 1) << 2) | REPEAT_16;
    target[at++] = back & 0xff;
    target[at++] = back >> 8;
    left -= some;
  }
  return at;
}

/** @throws DamagedDataError, or RangeError at the end of bytes that were cut off. */
export function unpackSnappy(packed: Buffer, bytesMax: number): Buffer {
  const unpacked = new Unpacked(bytesMax, 4 * packed.length);
  if (!packed.subarray(0, MAGIC.length).equals(MAGIC)) {
    unpackBlock(packed, unpacked);
    return unpacked.bytes;
  }
  for (let at = FRAME_HEAD.length; at < packed.length;) {
    const size = packed.readUInt32BE(at);
    at += 4;
    if (at + size > packed.length) throw damaged();
    unpackBlock(packed.subarray(at, at + size), unpacked);
    at += size;
  }
  return unpacked.bytes;
}

function unpackBlock(packed: Buffer, unpacked: Unpacked): void {
  let at = 0;
  let length = 0;
  for (let shift = 0, byte = 0x80; byte >= 0x80; shift += 7) {
    byte = packed.readUInt8(at++);
    length += (byte & 0x7f) * 2 ** shift;
  }
  if (length > RATIO_MAX * packed.length) throw damaged();
  const start = unpacked.length;
  while (at < packed.length) {
    const tag = packed.readUInt8(at++);
    const kind = tag & 3;
    const high = tag >> 2;
    if (kind === LITERALS) {
      const size = Math.max(0, high - SHORT_LITERALS + 1);
      const count = 1 + (size === 0 ? high : packed.readUIntLE(at, size));
      at += size;
      unpacked.append(packed, at, count);
      at += count;
    } else {
      const size = kind === REPEAT_11 ? 1 : kind === REPEAT_16 ? 2 : 4;
      let back = packed.readUIntLE(at, size);
      if (kind === REPEAT_11) back += (tag >> 5) << 8;
      at += size;
      if (back > unpacked.length - start) throw damaged();
      unpacked.repeat(back, kind === REPEAT_11 ? (high & 7) + REPEAT_11_MIN : high + 1);
    }
  }
  if (unpacked.length - start !== length) throw damaged();
}

function damaged(): DamagedDataError {
  return new DamagedDataError("its compressed data is damaged (snappy)");
}
