/**
 * zstd data (RFC 8878), unpacked block by block, so that never more than one block (128 KB) is in memory
 * beside the window that the blocks refer back to. What is packed may be larger than memory.
 *
 *   frame: magic number, descriptor, window, sizes │ block │ block │ … │ last block │ checksum
 *   block: kind, size, literals │ sequences
 *
 * Node unpacks zstd only since 22.15. What other packages hold while they unpack is not bounded, or is
 * moved once a block; so it is done here. The checksum at the end is not looked at: an event of the binlog
 * and a record batch of Kafka have one of their own.
 */
import { DamagedDataError } from "./damaged-data.ts";
import type { ByteSource } from "./byte-source.ts";
import { BITS_PADDING } from "./zstd-bits.ts";
import { ZstdLiterals } from "./zstd-literals.ts";
import { ZstdSequences } from "./zstd-sequences.ts";
import { BLOCK_MAX, ZstdWindow } from "./zstd-window.ts";

const MAGIC = 0xfd2f_b528;
const SKIPPABLE_MAGIC = 0x184d_2a50;
const FRAME_HEAD_MAX = 18;
const BLOCK_HEAD_SIZE = 3;
/** What zstd itself refuses to unpack unless told otherwise; MySQL's highest level just reaches it. */
const WINDOW_MAX = 2 ** 27;
const RAW = 0;
const RLE = 1;
const PACKED = 2;

/** Unpacks one after the other, in buffers that it keeps. */
export class ZstdUnpacker {
  readonly #packed = Buffer.alloc(BLOCK_MAX + 2 * BITS_PADDING);
  readonly #window = new ZstdWindow();
  readonly #literals = new ZstdLiterals();

  /** Each block is a view, good until the next one is asked for. */
  *blocks(source: ByteSource, start: number): Generator<Buffer> {
    let at = start;
    while (at < source.size) {
      const head = source.read(at, FRAME_HEAD_MAX);
      if (head.length >= 8 && (head.readUInt32LE(0) & 0xffff_fff0) === SKIPPABLE_MAGIC) {
        at += 8 + head.readUInt32LE(4);
        continue;
      }
      at = yield* this.#frame(source, at, head);
    }
  }

  /** Returns where the frame ends. */
  *#frame(source: ByteSource, start: number, head: Buffer): Generator<Buffer, number> {
    const { size, window, hasChecksum } = frameHead(head);
    this.#window.begin(window);
    this.#literals.begin();
    const sequences = new ZstdSequences();
    let at = start + size;
    for (let isLast = false; !isLast;) {
      if (source.copyTo(this.#packed, at, BLOCK_HEAD_SIZE) < BLOCK_HEAD_SIZE) throw cutShort();
      const word = this.#packed.readUIntLE(0, BLOCK_HEAD_SIZE);
      isLast = (word & 1) !== 0;
      this.#window.beginBlock();
      at += BLOCK_HEAD_SIZE;
      at += this.#block({ source, at, type: (word >> 1) & 3, size: word >> 3 }, sequences);
      const { block } = this.#window;
      if (block.length > 0) yield block;
    }
    return at + (hasChecksum ? 4 : 0);
  }

  /** Returns how many bytes it took. */
  #block(
    { source, at, type, size }: { source: ByteSource; at: number; type: number; size: number },
    sequences: ZstdSequences,
  ): number {
    const length = type === RLE ? 1 : size;
    if (size > BLOCK_MAX || type > PACKED) {
      throw new DamagedDataError("its compressed data has a block of unknown form");
    }
    const bytes = this.#packed;
    if (source.copyTo(bytes, at, length) < length) throw cutShort();
    if (type === RAW) this.#window.append(bytes, 0, size);
    else if (type === RLE) this.#window.fill(bytes.readUInt8(0), size);
    else {
      const { literals, end } = this.#literals.read(bytes, length);
      sequences.run({ bytes, start: end, end: length }, literals, this.#window);
    }
    return length;
  }
}

function cutShort(): DamagedDataError {
  return new DamagedDataError("its compressed data is cut short");
}

interface FrameHead {
  readonly size: number;
  readonly window: number;
  readonly hasChecksum: boolean;
}

function frameHead(head: Buffer): FrameHead {
  if (head.length < 6 || head.readUInt32LE(0) !== MAGIC) {
    throw new DamagedDataError("its compressed data does not begin as zstd does");
  }
  const descriptor = head.readUInt8(4);
  const isSingle = (descriptor & 0x20) !== 0;
  const contentBytes = [isSingle ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] ?? 0;
  const size = 5 + (isSingle ? 0 : 1) + dictionaryBytes + contentBytes;
  if (head.length < size) throw cutShort();
  const window = isSingle ? contentSize(head, size, contentBytes) : windowSize(head.readUInt8(5));
  if (window > WINDOW_MAX || dictionaryBytes > 0) {
    throw new DamagedDataError(
      `its compressed data needs a window of ${window} bytes, above ${WINDOW_MAX}, or a dictionary`,
    );
  }
  return { size, window, hasChecksum: (descriptor & 4) !== 0 };
}

function contentSize(head: Buffer, end: number, bytes: number): number {
  if (bytes === 8) return Number(head.readBigUInt64LE(end - 8));
  return head.readUIntLE(end - bytes, bytes) + (bytes === 2 ? 256 : 0);
}

function windowSize(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3));
  return base + (base / 8) * (descriptor & 7);
}
