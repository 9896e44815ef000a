import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { crc32c } from "../../src/kafka/crc32c.ts";
import {
  UnreadableBatchError,
  decodeBatches,
  encodeBatch,
  type OutgoingRecord,
} from "../../src/kafka/record-batch.ts";

const stamp = {
  producerId: 42n,
  producerEpoch: 3,
  firstSequence: 7,
  timestampMs: 1_795_251_083_123,
};
const make = (name: string): OutgoingRecord => ({
  key: Buffer.from("k"),
  value: Buffer.from(name),
  headers: [["id", name]],
});

const bytesOf = fc.option(fc.uint8Array({ maxLength: 300 }).map(bytes => Buffer.from(bytes)));
const records = fc.array(
  fc.record({
    key: bytesOf,
    value: bytesOf,
    headers: fc.array(fc.tuple(fc.string({ unit: "grapheme" }), fc.string({ unit: "grapheme" })), {
      maxLength: 4,
    }),
  }),
  { minLength: 1, maxLength: 200 },
);

/** Sets the checksum of a batch that was changed by hand. */
function resealed(batch: Buffer): Buffer {
  batch.writeInt32BE(batch.length - 12, 8);
  batch.writeUInt32BE(crc32c(batch, 21, batch.length), 17);
  return batch;
}

describe("CRC-32C", () => {
  // Known answers of RFC 3720, appendix B.4.
  test.each([
    ["32 zeroes", Buffer.alloc(32), 0x8a9136aa],
    ["32 ones", Buffer.alloc(32, 0xff), 0x62a8ab43],
    ["rising", Buffer.from(Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e],
    ["falling", Buffer.from(Array.from({ length: 32 }, (_, i) => 31 - i)), 0x113fdb5c],
    ["the digits", Buffer.from("123456789"), 0xe3069283],
    ["nothing", Buffer.alloc(0), 0],
  ])("of %s", (_, bytes, expected) => {
    expect(crc32c(bytes, 0, bytes.length)).toBe(expected);
  });
});

describe("a record batch", () => {
  test("reads back as it was written, also in a buffer that held another one", () => {
    fc.assert(
      fc.property(records, fc.constantFrom(0, 1_000, 200_000), (list, spareBytes) => {
        const spare = Buffer.alloc(spareBytes, 0xee);
        const [batch, ...rest] = [...decodeBatches(encodeBatch(list, stamp, spare))];
        expect(rest).toEqual([]);
        expect(batch).toMatchObject({ baseOffset: 0, nextOffset: list.length, control: false });
        const read = batch?.records() ?? [];
        expect(read.map(({ key, value }) => ({ key, value }))).toEqual(
          list.map(({ key, value }) => ({ key, value })),
        );
        expect(read.map(({ offset }) => offset)).toEqual(list.map((_, i) => i));
        for (const [i, { headers }] of list.entries()) {
          for (const [name] of headers) {
            expect(read[i]?.header(name)).toBe(headers.find(([other]) => other === name)?.[1]);
          }
          expect(read[i]?.header("no such header")).toBeUndefined();
        }
      }),
      { numRuns: 200 },
    );
  });

  test("holds the producer's stamp where Kafka looks for it", () => {
    const batch = encodeBatch([make("a"), make("b")], stamp);
    expect(batch.readInt32BE(8)).toBe(batch.length - 12);
    expect(batch.readInt8(16)).toBe(2);
    expect(batch.readInt32BE(23)).toBe(1);
    expect(batch.readBigInt64BE(43)).toBe(42n);
    expect(batch.readInt16BE(51)).toBe(3);
    expect(batch.readInt32BE(53)).toBe(7);
    expect(batch.readInt32BE(57)).toBe(2);
  });

  test("is passed over where the fetch has cut it off", () => {
    const whole = encodeBatch([make("a")], stamp);
    const bytes = Buffer.concat([whole, whole.subarray(0, whole.length - 1)]);
    expect([...decodeBatches(bytes)].length).toBe(1);
    expect([...decodeBatches(bytes.subarray(0, 20))].length).toBe(0);
  });

  test("is refused when a byte of it is wrong", () => {
    const batch = Buffer.from(encodeBatch([make("a")], stamp));
    batch.writeUInt8(batch.readUInt8(batch.length - 1) ^ 1, batch.length - 1);
    expect(() => [...decodeBatches(batch)]).toThrow(UnreadableBatchError);
  });

  test("is read when the broker has compressed it with gzip, and refused otherwise", () => {
    const plain = encodeBatch([make("a"), make("b")], stamp);
    const head = Buffer.from(plain.subarray(0, 61));
    head.writeInt16BE(1, 21);
    const packed = resealed(Buffer.concat([head, gzipSync(plain.subarray(61))]));
    expect([...decodeBatches(packed)][0]?.records().map(record => record.header("id"))).toEqual([
      "a",
      "b",
    ]);
    const other = Buffer.from(plain);
    other.writeInt16BE(4, 21);
    const [batch] = decodeBatches(resealed(other));
    expect(() => batch?.records()).toThrow(UnreadableBatchError);
  });

  test("that compaction has emptied still moves on", () => {
    const batch = Buffer.from(encodeBatch([make("a"), make("b")], stamp).subarray(0, 61));
    batch.writeInt32BE(0, 57);
    batch.writeBigInt64BE(1_000n, 0);
    const [read] = decodeBatches(resealed(batch));
    expect(read).toMatchObject({ baseOffset: 1_000, nextOffset: 1_002 });
    expect(read?.records()).toEqual([]);
  });

  test("of a transaction's end is marked as control", () => {
    const batch = Buffer.from(encodeBatch([make("a")], stamp));
    batch.writeInt16BE(0x30, 21);
    expect([...decodeBatches(resealed(batch))][0]?.control).toBe(true);
  });
});
