/**
 * A TRANSACTION_PAYLOAD event: all events of a transaction, compressed together. They are handed out one
 * by one as they are unpacked; what is above 16 MB goes to a temporary file, as it does on the wire.
 *
 *   type and length of a field, value │ … │ end mark │ compressed events, without checksums
 */
import { ByteCursor } from "./byte-cursor.ts";
import { EventFault } from "./event-fault.ts";
import { HEADER_SIZE, sizeOf } from "./event-header.ts";
import type { EventParts } from "./event-parts.ts";
import { Spool } from "./spool.ts";
import { zstdBlocks } from "./zstd-blocks.ts";

const END_MARK = 0;
const COMPRESSION = 2;
const ZSTD = 0;
const UNCOMPRESSED = 255;
/** More than the fields take that there are. */
const FIELDS_MAX = 256;
const UNPACKED_BYTES = 64 * 1024;
/** A larger event is not held in memory. */
const HELD_MAX = 16 * 2 ** 20;

export function* payloadEvents(payload: EventParts): Generator<Buffer | EventParts> {
  const { start, isCompressed } = readFields(payload.read(HEADER_SIZE, FIELDS_MAX));
  const at = HEADER_SIZE + start;
  const chunks = new Chunks(isCompressed ? zstdBlocks(payload, at) : pieces(payload, at));
  try {
    for (let head = chunks.take(HEADER_SIZE); head !== undefined; head = chunks.take(HEADER_SIZE)) {
      const size = sizeOf(head);
      if (size < HEADER_SIZE) throw new EventFault("it holds an event that has no size");
      if (size <= HELD_MAX) yield whole(chunks, head, size);
      else yield* large(chunks, head, size);
    }
  } finally {
    chunks.close();
  }
}

function readFields(bytes: Buffer): { start: number; isCompressed: boolean } {
  const cursor = new ByteCursor(bytes);
  let compression = ZSTD;
  for (let field = cursor.packedUint(); field !== END_MARK; field = cursor.packedUint()) {
    const value = new ByteCursor(cursor.packedBytes());
    if (field === COMPRESSION) compression = value.packedUint();
  }
  if (compression !== ZSTD && compression !== UNCOMPRESSED) {
    throw new EventFault(`its transaction is compressed in the unknown way ${compression}`);
  }
  return { start: cursor.offset, isCompressed: compression === ZSTD };
}

function* pieces(payload: EventParts, start: number): Generator<Buffer> {
  for (let at = start; at < payload.size; at += UNPACKED_BYTES) {
    yield payload.read(at, UNPACKED_BYTES);
  }
}

function whole(chunks: Chunks, head: Buffer, size: number): Buffer {
  const body = chunks.take(size - HEADER_SIZE);
  if (body === undefined && size > HEADER_SIZE) throw cutShort();
  return body === undefined ? head : Buffer.concat([head, body]);
}

function* large(chunks: Chunks, head: Buffer, size: number): Generator<EventParts> {
  const spool = new Spool(false);
  try {
    spool.write(head);
    while (spool.bytes < size) {
      const piece = chunks.take(Math.min(UNPACKED_BYTES, size - spool.bytes));
      if (piece === undefined) throw cutShort();
      spool.write(piece);
    }
    yield spool.parts;
  } finally {
    spool.close();
  }
}

function cutShort(): EventFault {
  return new EventFault("its compressed transaction ends within an event");
}

/** Bytes that come in pieces of any size, taken in pieces of any other. */
class Chunks {
  readonly #source: Iterator<Buffer>;
  #chunk: Buffer = Buffer.alloc(0);
  #offset = 0;

  constructor(source: Iterator<Buffer>) {
    this.#source = source;
  }

  /** Undefined at the end of all bytes; the end within the piece is a fault. */
  take(size: number): Buffer | undefined {
    if (this.#chunk.length - this.#offset >= size) {
      this.#offset += size;
      return this.#chunk.subarray(this.#offset - size, this.#offset);
    }
    return this.#join(size);
  }

  #join(size: number): Buffer | undefined {
    const parts: Buffer[] = [];
    let missing = size;
    while (missing > 0) {
      if (this.#offset === this.#chunk.length && !this.#advance()) {
        if (missing === size) return undefined;
        throw cutShort();
      }
      const part = this.#chunk.subarray(this.#offset, this.#offset + missing);
      this.#offset += part.length;
      missing -= part.length;
      parts.push(part);
    }
    return Buffer.concat(parts, size);
  }

  #advance(): boolean {
    const next = this.#source.next();
    if (next.done === true) return false;
    this.#chunk = next.value;
    this.#offset = 0;
    return true;
  }

  close(): void {
    this.#source.return?.();
  }
}
