import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { crc32c } from "../../src/kafka/crc32c.ts";
import {
  UnreadableBatchError,
  decodeBatches,
  encodeBatch,
  type ReadBatch,
} from "../../src/kafka/record-batch.ts";
import type { OutgoingRecord } from "../../src/kafka/record-writer.ts";
import { between, seededRandom } from "../support/random.ts";

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

/** The batch with other records, packed as the codec's number says or not at all. */
function withCodec(batch: Buffer, codec: number, records: Buffer): Buffer {
  const head = Buffer.from(batch.subarray(0, 61));
  head.writeInt16BE(codec, 21);
  return resealed(Buffer.concat([head, records]));
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

  test.each(["gzip", "snappy", "lz4"] as const)("is written with %s, and read again", codec => {
    fc.assert(
      fc.property(records, list => {
        const plain = encodeBatch(list, stamp);
        const [batch] = decodeBatches(encodeBatch(list, stamp, undefined, codec));
        const [expected] = decodeBatches(plain);
        const shown = (read: ReadBatch | undefined): unknown =>
          read?.records().map(({ offset, key, value }) => ({ offset, key, value }));
        expect(shown(batch)).toEqual(shown(expected));
        expect(batch?.nextOffset).toBe(list.length);
      }),
      { numRuns: 50 },
    );
  });

  test("holds no more than its header and what is packed, also where that is longer", () => {
    const random = seededRandom(3);
    const noise = Buffer.from(Array.from({ length: 130_980 }, () => between(random, 0, 255)));
    const text = Buffer.from("again and again ".repeat(8_000));
    for (const codec of ["gzip", "snappy", "lz4"] as const) {
      for (const value of [noise, text]) {
        const spare = Buffer.alloc(131_072);
        const batch = encodeBatch([{ key: null, value, headers: [] }], stamp, spare, codec);
        expect(batch.length < value.length).toBe(value === text);
        const [record] = [...decodeBatches(batch)][0]?.records() ?? [];
        expect(record?.value?.equals(value)).toBe(true);
      }
    }
  });

  test("is read when the broker has compressed it with zstd", () => {
    const plain = encodeBatch([make("a"), make("b")], stamp);
    const records = plain.subarray(61);
    // A frame of one block that is not packed.
    const head = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x20, records.length, 0, 0, 0]);
    head.writeUIntLE((records.length << 3) | 1, 6, 3);
    const packed = withCodec(plain, 4, Buffer.concat([head, records]));
    const [batch] = decodeBatches(packed);
    expect(batch?.records().map(record => record.header("id"))).toEqual(["a", "b"]);
  });

  test.each([
    ["gzip that is none", 1, Buffer.from("none"), /at offset 0: .*gzip/],
    ["snappy that is none", 2, Buffer.from([1, 4, 97, 97]), /damaged \(snappy\)/],
    ["LZ4 that is none", 3, Buffer.from("none"), /does not begin as LZ4/],
    ["LZ4 that is cut off", 3, Buffer.from("04224d", "hex"), /cut short/],
    ["zstd that is none", 4, Buffer.from("none of it"), /does not begin as zstd/],
    ["a codec of tomorrow", 5, Buffer.from("none"), /unknown codec 5/],
    ["records that are cut off", 0, Buffer.from([40, 0, 0]), /records are cut short/],
    ["a record with a byte too many", 0, Buffer.from([14, 0, 0, 0, 1, 1, 0, 0]), /another length/],
    ["records without end", 0, Buffer.alloc(9, 0xff), /records are cut short/],
    ["a gzip bomb", 1, gzipSync(Buffer.alloc(260 * 2 ** 20)), /more than 268435456 bytes/],
  ])("is refused for %s", (_, codec, content, reason) => {
    const [batch] = decodeBatches(withCodec(encodeBatch([make("a")], stamp), codec, content));
    expect(() => batch?.records()).toThrow(UnreadableBatchError);
    expect(() => batch?.records()).toThrow(reason);
  });

  test("that was damaged before it got its checksum is read or refused, and nothing else", () => {
    const random = seededRandom(9);
    let refused = 0;
    for (let round = 0; round < 1_000; round += 1) {
      const codec = (["none", "gzip", "snappy", "lz4"] as const)[round % 4];
      const list = [make("a"), make("b".repeat(between(random, 1, 300))), make("c")];
      const bytes = Buffer.from(encodeBatch(list, stamp, undefined, codec));
      bytes[between(random, 61, bytes.length - 1)] = between(random, 0, 255);
      try {
        for (const batch of decodeBatches(resealed(bytes))) {
          for (const record of batch.records()) record.header("id");
        }
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(UnreadableBatchError);
        refused += 1;
      }
    }
    expect(refused).toBeGreaterThan(100);
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
