/**
 * zstd data, unpacked block by block, so that never more than one block (128 KB) is in memory beside the
 * window that the blocks refer back to. What is packed may be larger than memory.
 *
 *   frame: magic number, descriptor, window, sizes │ block │ block │ … │ last block │ checksum
 *
 * fzstd unpacks; the edges of the blocks are found here, because a few bytes given to it at once may
 * become any amount.
 */
import { Decompress } from "fzstd";
import { EventFault } from "./event-fault.ts";
import type { EventParts } from "./event-parts.ts";

const MAGIC = 0xfd2f_b528;
const SKIPPABLE_MAGIC = 0x184d_2a50;
const FRAME_HEAD_MAX = 18;
const BLOCK_HEAD_SIZE = 3;
const BLOCK_MAX = 128 * 1024;
/** What zstd itself refuses to unpack unless told otherwise; MySQL's highest level stays below. */
const WINDOW_MAX = 2 ** 27;
const RLE = 1;

export function* zstdBlocks(source: EventParts, start: number): Generator<Buffer> {
  let at = start;
  while (at < source.size) {
    const head = source.read(at, FRAME_HEAD_MAX);
    if (head.length >= 8 && (head.readUInt32LE(0) & 0xffff_fff0) === SKIPPABLE_MAGIC) {
      at += 8 + head.readUInt32LE(4);
      continue;
    }
    at = yield* frame(source, at, head);
  }
}

/** Returns where the frame ends. */
function* frame(source: EventParts, start: number, head: Buffer): Generator<Buffer, number> {
  const { size, hasChecksum } = frameHead(head);
  const unpacked: Uint8Array[] = [];
  const unpacker = new Decompress(block => unpacked.push(block));
  unpacker.push(head.subarray(0, size));
  let at = start + size;
  for (let isLast = false; !isLast;) {
    const block = readBlock(source, at);
    isLast = (block.readUInt8(0) & 1) !== 0;
    at += block.length;
    unpack(unpacker, block);
    for (const bytes of unpacked.splice(0)) {
      yield Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }
  }
  return at + (hasChecksum ? 4 : 0);
}

function unpack(unpacker: Decompress, block: Buffer): void {
  try {
    unpacker.push(block);
  } catch (thrown) {
    throw new EventFault(`its compressed data is damaged (${String(thrown)})`);
  }
}

function readBlock(source: EventParts, at: number): Buffer {
  const head = source.read(at, BLOCK_HEAD_SIZE);
  if (head.length < BLOCK_HEAD_SIZE) throw new EventFault("its compressed data is cut short");
  const word = head.readUIntLE(0, BLOCK_HEAD_SIZE);
  const size = word >> 3;
  if (size > BLOCK_MAX) throw new EventFault("its compressed data has a block of unknown form");
  const length = BLOCK_HEAD_SIZE + (((word >> 1) & 3) === RLE ? 1 : size);
  const block = source.read(at, length);
  if (block.length < length) throw new EventFault("its compressed data is cut short");
  return block;
}

function frameHead(head: Buffer): { size: number; hasChecksum: boolean } {
  if (head.length < 6 || head.readUInt32LE(0) !== MAGIC) {
    throw new EventFault("its compressed data does not begin as zstd does");
  }
  const descriptor = head.readUInt8(4);
  const isSingle = (descriptor & 0x20) !== 0;
  const contentBytes = [isSingle ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] ?? 0;
  const size = 5 + (isSingle ? 0 : 1) + dictionaryBytes + contentBytes;
  if (head.length < size) throw new EventFault("its compressed data is cut short");
  const window = isSingle ? contentSize(head, size, contentBytes) : windowSize(head.readUInt8(5));
  if (window > WINDOW_MAX || dictionaryBytes > 0) {
    throw new EventFault(
      `its compressed data needs a window of ${window} bytes or a dictionary; ` +
        "run SET PERSIST binlog_transaction_compression_level_zstd = 3",
    );
  }
  return { size, hasChecksum: (descriptor & 4) !== 0 };
}

function contentSize(head: Buffer, end: number, bytes: number): number {
  if (bytes === 8) return Number(head.readBigUInt64LE(end - 8));
  return head.readUIntLE(end - bytes, bytes) + (bytes === 2 ? 256 : 0);
}

function windowSize(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3));
  return base + (base / 8) * (descriptor & 7);
}
