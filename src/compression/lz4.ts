/**
 * LZ4 frames as Kafka's Java client writes them: blocks of 64 KB that do not refer to each other, without
 * checksums, for the record batch has one. Read are all that the format allows but dictionaries.
 *
 *   frame: magic number, flags, block size, checksum of these │ block │ … │ 0
 *   block: size (top bit: not compressed) │ sequences
 *   sequence: lengths 4+4 bits │ more of the first │ literals │ how far back │ more of the second
 */
import { DamagedDataError } from "./damaged-data.ts";
import { REPEAT_BLOCK_MAX, Repeats } from "./repeats.ts";
import { Unpacked } from "./unpacked.ts";

const MAGIC = 0x184d_2204;
const VERSION = 0x40;
const VERSION_MASK = 0xc0;
const HAS_BLOCK_CHECKSUM = 0x10;
const HAS_CONTENT_SIZE = 0x08;
const HAS_CONTENT_CHECKSUM = 0x04;
const HAS_DICTIONARY = 0x01;
/** Magic number, independent blocks, 64 KB, and the checksum of the two bytes before it. */
const FRAME_HEAD = Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82]);
const BLOCK_MAX_BY_CODE = [0, 0, 0, 0, 2 ** 16, 2 ** 18, 2 ** 20, 2 ** 22];
const NOT_PACKED = 0x8000_0000;
const REPEAT_MIN = 4;
/** Of four bits: more of the length follows. */
const MORE = 15;

/** An upper bound of what comes of so many bytes. */
export function lz4BytesMax(bytes: number): number {
  const blocks = Math.ceil(bytes / REPEAT_BLOCK_MAX);
  // A block is packed before it is known whether that makes it smaller.
  return FRAME_HEAD.length + bytes + 4 * blocks + 4 + REPEAT_BLOCK_MAX / 255 + 16;
}

/** Packs into `target`, which holds `lz4BytesMax` bytes. Returns how many it took. */
export function packLz4(source: Buffer, target: Buffer, repeats: Repeats): number {
  const view = new DataView(source.buffer, source.byteOffset, source.length);
  let at = FRAME_HEAD.copy(target);
  for (let start = 0; start < source.length; start += REPEAT_BLOCK_MAX) {
    const end = Math.min(start + REPEAT_BLOCK_MAX, source.length);
    const count = repeats.find(view, start, end);
    let size = packBlock({ source, start, end }, repeats.found.subarray(0, count), target, at + 4);
    if (size >= end - start) {
      source.copy(target, at + 4, start, end);
      size = end - start;
      target.writeUInt32LE(size + NOT_PACKED, at);
    } else target.writeUInt32LE(size, at);
    at += 4 + size;
  }
  return target.writeUInt32LE(0, at);
}

function packBlock(
  { source, start, end }: { source: Buffer; start: number; end: number },
  found: Int32Array,
  target: Buffer,
  from: number,
): number {
  let at = from;
  let next = start;
  for (let i = 0; i < found.length; i += 3) {
    const literals = found[i] ?? 0;
    const back = found[i + 1] ?? 0;
    const length = (found[i + 2] ?? 0) - REPEAT_MIN;
    target[at++] = (Math.min(literals, MORE) << 4) | Math.min(length, MORE);
    at = writeMore(target, at, literals);
    at += copyLiterals(source, target, at, { from: next, length: literals });
    target[at++] = back & 0xff;
    target[at++] = back >> 8;
    at = writeMore(target, at, length);
    next += literals + length + REPEAT_MIN;
  }
  const literals = end - next;
  target[at++] = Math.min(literals, MORE) << 4;
  at = writeMore(target, at, literals);
  return at + source.copy(target, at, next, end) - from;
}

/** What of a length does not go into its four bits. */
function writeMore(target: Buffer, start: number, length: number): number {
  let at = start;
  if (length < MORE) return at;
  let rest = length - MORE;
  for (; rest >= 255; rest -= 255) target[at++] = 255;
  target[at++] = rest;
  return at;
}

const NATIVE_COPY_MIN = 32;

function copyLiterals(
  source: Buffer,
  target: Buffer,
  at: number,
  { from, length }: { from: number; length: number },
): number {
  if (length >= NATIVE_COPY_MIN) return source.copy(target, at, from, from + length);
  for (let i = 0; i < length; i += 1) target[at + i] = source[from + i] ?? 0;
  return length;
}

/** @throws DamagedDataError, or RangeError at the end of bytes that were cut off. */
export function unpackLz4(packed: Buffer, bytesMax: number): Buffer {
  const unpacked = new Unpacked(bytesMax, 4 * packed.length);
  for (let at = 0; at < packed.length;) at = unpackFrame(packed, at, unpacked);
  return unpacked.bytes;
}

function unpackFrame(packed: Buffer, start: number, unpacked: Unpacked): number {
  if (packed.readUInt32LE(start) !== MAGIC) {
    throw new DamagedDataError("its compressed data does not begin as LZ4 does");
  }
  const flags = packed.readUInt8(start + 4);
  const blockMax = BLOCK_MAX_BY_CODE[(packed.readUInt8(start + 5) >> 4) & 7] ?? 0;
  if ((flags & VERSION_MASK) !== VERSION || (flags & HAS_DICTIONARY) !== 0 || blockMax === 0) {
    throw new DamagedDataError("its compressed data is LZ4 of an unknown form");
  }
  const checksum = (flags & HAS_BLOCK_CHECKSUM) !== 0 ? 4 : 0;
  const frameStart = unpacked.length;
  let at = start + 7 + ((flags & HAS_CONTENT_SIZE) !== 0 ? 8 : 0);
  for (;;) {
    const word = packed.readUInt32LE(at);
    at += 4;
    if (word === 0) return at + ((flags & HAS_CONTENT_CHECKSUM) !== 0 ? 4 : 0);
    const size = word % NOT_PACKED;
    const limit = unpacked.length + blockMax;
    if (word >= NOT_PACKED) unpacked.append(packed, at, size);
    else unpackBlock(packed, { at, end: at + size }, unpacked, { frameStart, limit });
    if (unpacked.length > limit) throw damaged();
    at += size + checksum;
  }
}

function unpackBlock(
  packed: Buffer,
  { at: start, end }: { at: number; end: number },
  unpacked: Unpacked,
  { frameStart, limit }: { frameStart: number; limit: number },
): void {
  let at = start;
  /** Four bits of the token, and what follows them. */
  const length = (bits: number): number => {
    let sum = bits;
    if (bits < MORE) return sum;
    for (let byte = 255; byte === 255; sum += byte) byte = packed.readUInt8(at++);
    if (unpacked.length + sum > limit) throw damaged();
    return sum;
  };
  while (at < end) {
    const token = packed.readUInt8(at++);
    const literals = length(token >> 4);
    unpacked.append(packed, at, literals);
    at += literals;
    if (at >= end) break; // The last sequence has no repeat.
    const back = packed.readUInt16LE(at);
    at += 2;
    if (back > unpacked.length - frameStart) throw damaged();
    unpacked.repeat(back, length(token & MORE) + REPEAT_MIN);
  }
  if (at !== end) throw damaged();
}

function damaged(): DamagedDataError {
  return new DamagedDataError("its compressed data is damaged (LZ4)");
}
