/**
 * The compressed transactions of a server's binlog files, read from the files themselves and by nothing
 * of the program under test.
 */
import { closeSync, fstatSync, openSync, readdirSync, readSync } from "node:fs";
import { join } from "node:path";

const MAGIC_SIZE = 4;
const HEADER_SIZE = 19;
const TYPE_OFFSET = 4;
const SIZE_OFFSET = 9;
/** TRANSACTION_PAYLOAD. */
const PAYLOAD = 40;
/** Fields of it: a number that says which, the length of the value, the value. */
const END_OF_FIELDS = 0;
const UNCOMPRESSED_SIZE = 3;
const FIELDS_MAX = 64;

export interface Payload {
  readonly bytes: number;
  readonly uncompressedBytes: number;
}

/** @param dir the server's data folder. */
export function payloadsIn(dir: string): Payload[] {
  const names = readdirSync(dir).filter(name => /^binlog\.\d+$/.test(name));
  return names.sort().flatMap(name => payloadsOf(join(dir, name)));
}

function payloadsOf(path: string): Payload[] {
  const file = openSync(path, "r");
  const payloads: Payload[] = [];
  try {
    const { size } = fstatSync(file);
    const head = Buffer.alloc(HEADER_SIZE + FIELDS_MAX);
    for (let at = MAGIC_SIZE; at < size;) {
      readSync(file, head, 0, head.length, at);
      const bytes = head.readUInt32LE(SIZE_OFFSET);
      if (head[TYPE_OFFSET] === PAYLOAD) {
        payloads.push({ bytes, uncompressedBytes: uncompressedBytes(head) });
      }
      if (bytes < HEADER_SIZE) throw new Error(`${path} has an event without a size at ${at}`);
      at += bytes;
    }
  } finally {
    closeSync(file);
  }
  return payloads;
}

function uncompressedBytes(event: Buffer): number {
  for (let at = HEADER_SIZE; event[at] !== END_OF_FIELDS;) {
    const [field, valueAt] = packed(event, at);
    const [length, from] = packed(event, valueAt);
    if (field === UNCOMPRESSED_SIZE) return packed(event, from)[0];
    at = from + length;
  }
  throw new Error("A compressed transaction does not tell its size.");
}

/** A number of MySQL's variable length, and where what follows begins. */
function packed(bytes: Buffer, at: number): [number, number] {
  const first = bytes.readUInt8(at);
  if (first < 0xfb) return [first, at + 1];
  if (first === 0xfc) return [bytes.readUInt16LE(at + 1), at + 3];
  if (first === 0xfd) return [bytes.readUIntLE(at + 1, 3), at + 4];
  return [Number(bytes.readBigUInt64LE(at + 1)), at + 9];
}
