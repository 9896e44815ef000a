/**
 * A TRANSACTION_PAYLOAD event: all events of a transaction, compressed together. They are handed out one
 * by one as they are unpacked; what is above 16 MB goes to a temporary file, as it does on the wire.
 * Each is a view, good until the next one is asked for: a copy of each would fill the memory with garbage.
 *
 *   type and length of a field, value │ … │ end mark │ compressed events, without checksums
 */
import type { ZstdUnpacker } from "../compression/zstd-blocks.ts";
import { ByteCursor } from "./byte-cursor.ts";
import { EventFault } from "./event-fault.ts";
import { HEADER_SIZE, sizeOf } from "./event-header.ts";
import { HELD_BYTES_MAX, type EventParts } from "./event-parts.ts";
import { Spool } from "./spool.ts";

const END_MARK = 0;
const COMPRESSION = 2;
const ZSTD = 0;
const UNCOMPRESSED = 255;
/** More than the fields take that there are. */
const FIELDS_MAX = 256;
const UNPACKED_BYTES = 64 * 1024;
/** Room for an event that lies in two pieces. A larger one, which a larger event needed, is not kept. */
const JOINED_BYTES = 64 * 1024;

export function* payloadEvents(
  payload: EventParts,
  unpacker: ZstdUnpacker,
): Generator<Buffer | EventParts> {
  const { start, isCompressed } = readFields(payload.read(HEADER_SIZE, FIELDS_MAX));
  const at = HEADER_SIZE + start;
  const chunks = new Chunks(isCompressed ? unpacker.blocks(payload, at) : pieces(payload, at));
  const head = Buffer.alloc(HEADER_SIZE);
  try {
    while (chunks.fill(head)) {
      const size = sizeOf(head);
      if (size < HEADER_SIZE) throw new EventFault("it holds an event that has no size");
      if (size <= HELD_BYTES_MAX) yield chunks.whole(head, size);
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

function* large(chunks: Chunks, head: Buffer, size: number): Generator<EventParts> {
  const spool = new Spool(false);
  try {
    spool.write(head);
    while (spool.bytes < size) {
      const piece = chunks.next(size - spool.bytes);
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

/** Bytes that come in pieces of any size, each good until the next one comes. */
class Chunks {
  readonly #source: Iterator<Buffer>;
  #chunk: Buffer = Buffer.alloc(0);
  #offset = 0;
  #joined = Buffer.alloc(0);

  constructor(source: Iterator<Buffer>) {
    this.#source = source;
  }

  /** At least one byte and at most `max`; undefined at the end of all. */
  next(max: number): Buffer | undefined {
    while (this.#offset === this.#chunk.length) {
      const next = this.#source.next();
      if (next.done === true) return undefined;
      this.#chunk = next.value;
      this.#offset = 0;
    }
    const start = this.#offset;
    this.#offset = Math.min(start + max, this.#chunk.length);
    return this.#chunk.subarray(start, this.#offset);
  }

  /** False at the end of all bytes; the end within `target` is a fault. */
  fill(target: Buffer): boolean {
    for (let done = 0; done < target.length;) {
      const piece = this.next(target.length - done);
      if (piece === undefined) {
        if (done === 0) return false;
        throw cutShort();
      }
      done += piece.copy(target, done);
    }
    return true;
  }

  /** An event, whose head was taken already: a view, good until the next call of anything here. */
  whole(head: Buffer, size: number): Buffer {
    const start = this.#offset - HEADER_SIZE;
    const end = start + size;
    if (start >= 0 && end <= this.#chunk.length) {
      this.#offset = end;
      return this.#chunk.subarray(start, end);
    }
    if (this.#joined.length < size || this.#joined.length > JOINED_BYTES) {
      this.#joined = Buffer.allocUnsafe(Math.max(size, JOINED_BYTES));
    }
    const event = this.#joined.subarray(0, size);
    head.copy(event);
    if (!this.fill(event.subarray(HEADER_SIZE))) throw cutShort();
    return event;
  }

  close(): void {
    this.#source.return?.();
  }
}
