import fc from "fast-check";
import kafkajsMurmur2 from "kafkajs/src/producer/partitioners/default/murmur2.js";
import { describe, expect, test } from "vitest";
import { murmur2, partitionOf } from "../../src/kafka/partitioner.ts";

describe("murmur2", () => {
  // Known answers of Kafka's own UtilsTest.
  test.each([
    ["21", -973_932_308],
    ["foobar", -790_332_482],
    ["a-little-bit-long-string", -985_981_536],
    ["a-little-bit-longer-string", -1_486_304_829],
    ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971],
    ["abc", 479_470_107],
  ])("of %s", (text, expected) => {
    expect(murmur2(Buffer.from(text))).toBe(expected);
  });

  test("is that of kafkajs", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 70 }), bytes => {
        const key = Buffer.from(bytes);
        expect(murmur2(key)).toBe(kafkajsMurmur2(key));
      }),
      { numRuns: 2_000 },
    );
  });
});

test("a partition is never negative", () => {
  expect(partitionOf(Buffer.from("21"), 10)).toBe((-973_932_308 & 0x7fff_ffff) % 10);
  expect(partitionOf(Buffer.from("21"), 1)).toBe(0);
});
