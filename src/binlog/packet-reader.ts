/**
 * The bytes of the connection, cut into the packets of MySQL's protocol.
 *
 *   3 bytes of length, 1 byte of sequence number, content │ 3 bytes of length, …
 *
 * A packet that lies within one chunk is handed out where it is; one that does not is copied once.
 * What is longer than a packet can be follows in further packets. It is never put together here: it is
 * handed out in parts, as they arrive.
 */
import { TidemarkError } from "../core/errors.ts";

const HEADER_SIZE = 4;
/** A packet of this length is continued by the next one. */
const LENGTH_MAX = 0xff_ffff;
const NOTHING: Buffer = Buffer.alloc(0);

export class PacketReader {
  /** True if what was handed out last is only a part of a packet. */
  isPart = false;
  /** Of a part: nothing more follows. */
  isLastPart = false;
  /** Where the content of what was found last stands: a view for each would cost more than reading it. */
  bytes = NOTHING;
  start = 0;
  end = 0;
  #chunk = NOTHING;
  #offset = 0;
  readonly #later: Buffer[] = [];
  readonly #header = Buffer.alloc(HEADER_SIZE);
  #headerBytes = 0;
  #isInPacket = false;
  /** The packet at hand is continued by the next one. */
  #isContinued = false;
  /** Bytes of the packet at hand that were not handed out. */
  #left = 0;
  /** A packet that began in an earlier chunk. */
  #joined: Buffer | undefined;
  #sequence: number;

  /** @param sequence that the first packet must have. */
  constructor(sequence: number) {
    this.#sequence = sequence;
  }

  /** Takes what has arrived. */
  feed(chunk: Buffer): void {
    this.#later.push(chunk);
  }

  /** Finds the next packet, or a part of one: `bytes` from `start` to `end`. False until more is fed. */
  next(): boolean {
    while (this.#isInPacket || this.#readHeader()) {
      if (!this.isPart) return this.#whole();
      if (this.#left > 0) return this.#part();
      this.#isInPacket = false;
      if (this.#isContinued) continue;
      this.isLastPart = true;
      return this.#found(NOTHING, 0, 0);
    }
    return false;
  }

  #found(bytes: Buffer, start: number, end: number): boolean {
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    return true;
  }

  /** Bytes of the chunk at hand, or of the next one; 0 if there is none. */
  #available(): number {
    const left = this.#chunk.length - this.#offset;
    if (left > 0) return left;
    this.#chunk = this.#later.shift() ?? NOTHING;
    this.#offset = 0;
    return this.#chunk.length;
  }

  #readHeader(): boolean {
    const available = this.#available();
    if (available >= HEADER_SIZE && this.#headerBytes === 0) {
      this.#beginPacket(this.#chunk, this.#offset);
      this.#offset += HEADER_SIZE;
      return true;
    }
    while (this.#available() > 0) {
      this.#header[this.#headerBytes] = this.#chunk.readUInt8(this.#offset);
      this.#headerBytes += 1;
      this.#offset += 1;
      if (this.#headerBytes < HEADER_SIZE) continue;
      this.#headerBytes = 0;
      this.#beginPacket(this.#header, 0);
      return true;
    }
    return false;
  }

  #beginPacket(bytes: Buffer, offset: number): void {
    const length = bytes.readUIntLE(offset, 3);
    const sequence = bytes.readUInt8(offset + 3);
    if (sequence !== this.#sequence) {
      throw new TidemarkError(
        "SOURCE_UNAVAILABLE",
        `MySQL sent packet ${sequence} where ${this.#sequence} was due: the connection is disturbed.`,
      );
    }
    this.#sequence = (sequence + 1) & 0xff;
    this.isPart = this.#isContinued || length === LENGTH_MAX;
    this.isLastPart = false;
    this.#isContinued = length === LENGTH_MAX;
    this.#left = length;
    this.#isInPacket = true;
  }

  #whole(): boolean {
    const available = this.#available();
    if (this.#joined === undefined && available >= this.#left) {
      this.#isInPacket = false;
      this.#offset += this.#left;
      return this.#found(this.#chunk, this.#offset - this.#left, this.#offset);
    }
    this.#joined ??= Buffer.allocUnsafe(this.#left);
    const joined = this.#joined;
    while (this.#left > 0) {
      const bytes = Math.min(this.#available(), this.#left);
      if (bytes === 0) return false;
      this.#chunk.copy(joined, joined.length - this.#left, this.#offset, this.#offset + bytes);
      this.#offset += bytes;
      this.#left -= bytes;
    }
    this.#joined = undefined;
    this.#isInPacket = false;
    return this.#found(joined, 0, joined.length);
  }

  #part(): boolean {
    const bytes = Math.min(this.#available(), this.#left);
    if (bytes === 0) return false;
    this.#offset += bytes;
    this.#left -= bytes;
    if (this.#left === 0) {
      this.#isInPacket = false;
      this.isLastPart = !this.#isContinued;
    }
    return this.#found(this.#chunk, this.#offset - bytes, this.#offset);
  }
}
