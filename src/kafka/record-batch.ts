/**
 * Kafka's record batch, version 2: messages → bytes, in one pass into one buffer, and bytes → records.
 *
 *   base offset 8 │ length 4 │ leader epoch 4 │ magic 1 │ crc 4 │ attributes 2 │ last offset delta 4 │
 *   first time 8 │ last time 8 │ producer id 8 │ epoch 2 │ first sequence 4 │ count 4 │ records …
 */
import { DamagedDataError } from "../compression/damaged-data.ts";
import type { Compression } from "../compression/compression.ts";
import { CODEC_MASK, codecOf, pack, unpack } from "./compression.ts";
import { crc32c } from "./crc32c.ts";
import { RecordWriter, mostBytes, type OutgoingRecord } from "./record-writer.ts";

export interface BatchStamp {
  readonly producerId: bigint;
  readonly producerEpoch: number;
  readonly firstSequence: number;
  readonly timestampMs: number;
}

const HEADER_BYTES = 61;
/** Where the part that the checksum covers begins. */
const ATTRIBUTES_AT = 21;
const GRAIN_BYTES = 128 * 1024;

/** @param spare is filled if it is large enough; otherwise the batch has a buffer of its own. */
export function encodeBatch(
  records: readonly OutgoingRecord[],
  stamp: BatchStamp,
  spare?: Buffer,
  compression: Compression = "none",
): Buffer {
  let most = HEADER_BYTES;
  for (const record of records) most += mostBytes(record);
  let bytes = spare !== undefined && spare.length >= most ? spare : bufferFor(most);
  const writer = new RecordWriter(bytes, HEADER_BYTES);
  for (const record of records) writer.write(record);
  let { at } = writer;
  if (compression !== "none") {
    const packed = pack(bytes.subarray(HEADER_BYTES, at), compression);
    at = HEADER_BYTES + packed.length; // Noise becomes longer.
    if (at > bytes.length) bytes = bufferFor(at);
    bytes.set(packed, HEADER_BYTES);
  }
  const time = BigInt(stamp.timestampMs);
  bytes.writeBigInt64BE(0n, 0);
  bytes.writeInt32BE(at - 12, 8);
  bytes.writeInt32BE(-1, 12);
  bytes.writeInt8(2, 16);
  bytes.writeInt16BE(codecOf(compression), ATTRIBUTES_AT);
  bytes.writeInt32BE(records.length - 1, 23);
  bytes.writeBigInt64BE(time, 27);
  bytes.writeBigInt64BE(time, 35);
  bytes.writeBigInt64BE(stamp.producerId, 43);
  bytes.writeInt16BE(stamp.producerEpoch, 51);
  bytes.writeInt32BE(stamp.firstSequence, 53);
  bytes.writeInt32BE(records.length, 57);
  bytes.writeUInt32BE(crc32c(bytes, ATTRIBUTES_AT, at), 17);
  return bytes.subarray(0, at);
}

/** Somewhat larger, so that the next batch fits too. */
function bufferFor(bytes: number): Buffer {
  return Buffer.allocUnsafeSlow(Math.ceil(bytes / GRAIN_BYTES) * GRAIN_BYTES);
}

/** One record as it was read. */
export interface ReadRecord {
  readonly offset: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  header(name: string): string | undefined;
}

export interface ReadBatch {
  readonly baseOffset: number;
  /** The offset after the batch, also where compaction has left no record of it. */
  readonly nextOffset: number;
  /** Marks of transactions are no messages. */
  readonly control: boolean;
  readonly producerId: bigint;
  readonly producerEpoch: number;
  records(): ReadRecord[];
}

/** A batch that cannot be read: it is of an old format, or damaged. */
export class UnreadableBatchError extends Error {
  override readonly name = "UnreadableBatchError";
}

/** The whole batches at the front of what a fetch returned; it may end in the middle of one. */
export function* decodeBatches(bytes: Buffer): Generator<ReadBatch> {
  for (let at = 0; at + HEADER_BYTES <= bytes.length;) {
    const end = at + 12 + bytes.readInt32BE(at + 8);
    if (end > bytes.length) return;
    yield decodeBatch(bytes.subarray(at, end));
    at = end;
  }
}

function decodeBatch(bytes: Buffer): ReadBatch {
  const baseOffset = Number(bytes.readBigInt64BE(0));
  const where = `the record batch at offset ${baseOffset}`;
  if (bytes.readInt8(16) !== 2) throw new UnreadableBatchError(`${where} has an old format`);
  if (crc32c(bytes, ATTRIBUTES_AT, bytes.length) !== bytes.readUInt32BE(17)) {
    throw new UnreadableBatchError(`${where} has a wrong checksum`);
  }
  const attributes = bytes.readInt16BE(ATTRIBUTES_AT);
  return {
    baseOffset,
    nextOffset: baseOffset + bytes.readInt32BE(23) + 1,
    control: (attributes & 0x20) !== 0,
    producerId: bytes.readBigInt64BE(43),
    producerEpoch: bytes.readInt16BE(51),
    records: () => {
      try {
        const plain = unpack(bytes.subarray(HEADER_BYTES), attributes & CODEC_MASK);
        return decodeRecords(plain, baseOffset, bytes.readInt32BE(57));
      } catch (error) {
        if (!(error instanceof DamagedDataError || error instanceof RangeError)) throw error;
        throw new UnreadableBatchError(`${where}: ${reasonOf(error)}`, { cause: error });
      }
    },
  };
}

/** Node says of a place behind the end of the bytes only which numbers it would have taken. */
function reasonOf(error: Error): string {
  return error instanceof DamagedDataError ? error.message : "its records are cut short";
}

class Cursor {
  readonly bytes: Buffer;
  at: number;

  constructor(bytes: Buffer, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  /** As a number: time deltas have up to 64 bits, but only their length matters here. */
  varint(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.bytes.readUInt8(this.at++);
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
      scale *= 128;
    }
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  field(): Buffer | null {
    const length = this.varint();
    if (length < 0) return null;
    const start = this.at;
    this.at += length;
    return this.bytes.subarray(start, this.at);
  }
}

function decodeRecords(bytes: Buffer, baseOffset: number, count: number): ReadRecord[] {
  const cursor = new Cursor(bytes);
  const records: ReadRecord[] = [];
  for (let i = 0; i < count; i += 1) {
    const length = cursor.varint();
    const end = cursor.at + length;
    if (length < 0 || end > bytes.length) throw new DamagedDataError("its records are cut short");
    cursor.at += 1;
    cursor.varint();
    const offset = baseOffset + cursor.varint();
    const key = cursor.field();
    const value = cursor.field();
    const headersAt = cursor.at;
    findHeader(cursor, undefined);
    if (cursor.at !== end) throw new DamagedDataError("a record has another length than it says");
    records.push({
      offset,
      key,
      value,
      header: name => findHeader(new Cursor(bytes, headersAt), name),
    });
  }
  return records;
}

/** Without a name: passes over all of them. */
function findHeader(cursor: Cursor, name: string | undefined): string | undefined {
  const count = cursor.varint();
  for (let i = 0; i < count; i += 1) {
    const found = cursor.field();
    const value = cursor.field();
    if (name !== undefined && found?.toString() === name) return value?.toString();
  }
  return undefined;
}
