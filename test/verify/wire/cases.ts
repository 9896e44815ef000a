/** Records drawn at random, and the file by which the Java client and our own code get the same ones. */
import * as zlib from "node:zlib";
import type { Random } from "../random.ts";

/** By their numbers in a batch. */
export const compressions = ["none", "gzip", "snappy", "lz4", "zstd"] as const;
export type CompressionName = (typeof compressions)[number];

/** Those that Tidemark writes on this Node.js; zstd needs 22.15. Every Tidemark reads all. */
export const writable = compressions.filter(name => name !== "zstd" || "zstdCompressSync" in zlib);

export interface WireRecord {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: readonly (readonly [name: string, value: string])[];
}

/** What becomes one batch. */
export interface WireCase {
  readonly topic: string;
  readonly compression: CompressionName;
  readonly idempotent: boolean;
  readonly timestampMs: number;
  readonly records: readonly WireRecord[];
}

const BATCH_BYTES_MAX = 900_000;
const RECORDS_MAX = 5_000;
const HEADER_TEXTS = ["", "id", "6db3edf2-e588-11f1-8730-02fc00000001:20014", "Größe", "名前 🙂"];

export function randomRecords(random: Random): WireRecord[] {
  const shape = random.pick(["one", "few", "many", "large"] as const);
  const count = { one: 1, few: random.int(2, 60), many: random.int(61, RECORDS_MAX), large: 1 }[
    shape
  ];
  const valueMax =
    shape === "large"
      ? BATCH_BYTES_MAX
      : Math.min(60_000, Math.floor(BATCH_BYTES_MAX / count) - 60);
  return Array.from({ length: count }, () => randomRecord(random, shape, valueMax));
}

function randomRecord(random: Random, shape: string, valueMax: number): WireRecord {
  const headerCount = shape === "many" ? random.int(0, 1) : random.int(0, 5);
  return {
    key: nullable(random, () => content(random, random.int(0, Math.min(40, valueMax)))),
    value:
      shape === "large"
        ? content(random, random.int(valueMax / 2, valueMax))
        : nullable(random, () => content(random, random.int(0, Math.max(0, valueMax - 40)))),
    headers: Array.from({ length: headerCount }, () => [
      random.pick(HEADER_TEXTS),
      shape === "many" ? "" : random.pick(HEADER_TEXTS),
    ]),
  };
}

function nullable<T>(random: Random, make: () => T): T | null {
  return random.chance(0.1) ? null : make();
}

/** Noise, the same again and again, or what looks like a row. */
function content(random: Random, size: number): Buffer {
  const bytes = Buffer.alloc(size);
  const kind = random.int(0, 3);
  if (kind === 0) for (let i = 0; i < size; i += 1) bytes[i] = random.int(0, 255);
  else if (kind === 1) bytes.fill(random.int(0, 255));
  else {
    for (let at = 0; at < size;) {
      const row = { id: random.int(1, 1e9), status: random.pick(["new", "paid"]), note: "as ever" };
      at += bytes.write(JSON.stringify(row), at);
      if (size - at < 100) at += bytes.fill(32, at).length;
    }
  }
  return bytes;
}

export function writeCases(cases: readonly WireCase[]): Buffer {
  const parts: Buffer[] = [int32(cases.length)];
  for (const { topic, compression, idempotent, timestampMs, records } of cases) {
    const time = Buffer.alloc(8);
    time.writeBigInt64BE(BigInt(timestampMs));
    parts.push(...bytes(topic), ...bytes(compression), Buffer.from([idempotent ? 1 : 0]), time);
    parts.push(int32(records.length));
    for (const { key, value, headers } of records) {
      parts.push(...bytes(key), ...bytes(value), int32(headers.length));
      for (const [name, text] of headers) parts.push(...bytes(name), ...bytes(text));
    }
  }
  return Buffer.concat(parts);
}

function int32(value: number): Buffer {
  const part = Buffer.alloc(4);
  part.writeInt32BE(value);
  return part;
}

function bytes(value: string | Buffer | null): Buffer[] {
  if (value === null) return [int32(-1)];
  const part = Buffer.isBuffer(value) ? value : Buffer.from(value);
  return [int32(part.length), part];
}

export function readCases(file: Buffer): WireCase[] {
  let at = 0;
  const int = (): number => file.readInt32BE((at += 4) - 4);
  const field = (): Buffer | null => {
    const length = int();
    if (length < 0) return null;
    at += length;
    return file.subarray(at - length, at);
  };
  const text = (): string => (field() ?? "").toString();
  const list = <T>(read: () => T): T[] => Array.from({ length: int() }, read);
  return list(() => ({
    topic: text(),
    compression: text() as CompressionName,
    idempotent: file.readInt8((at += 1) - 1) === 1,
    timestampMs: Number(file.readBigInt64BE((at += 8) - 8)),
    records: list(() => ({
      key: field(),
      value: field(),
      headers: list(() => [text(), text()] as const),
    })),
  }));
}
