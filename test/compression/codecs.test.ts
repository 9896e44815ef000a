/** What holds of every codec that we write by ourselves. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DamagedDataError } from "../../src/compression/damaged-data.ts";
import { lz4BytesMax, packLz4, unpackLz4 } from "../../src/compression/lz4.ts";
import { Repeats } from "../../src/compression/repeats.ts";
import { packSnappy, snappyBytesMax, unpackSnappy } from "../../src/compression/snappy.ts";
import { between, seededRandom } from "../support/random.ts";
import { contents } from "./zstd/contents.ts";

const LIMIT = 4 * 2 ** 20;
const repeats = new Repeats();
const codecs = {
  lz4: { pack: packLz4, bytesMax: lz4BytesMax, unpack: unpackLz4 },
  snappy: { pack: packSnappy, bytesMax: snappyBytesMax, unpack: unpackSnappy },
} as const;

/** Bytes with runs, repeats near and far, and noise, of up to three blocks of LZ4. */
const mixture = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.record({ byte: fc.nat(255), times: fc.nat(70_000) }),
      fc.record({ word: fc.string({ minLength: 1, maxLength: 30 }), times: fc.nat(400) }),
    ),
    { maxLength: 12 },
  )
  .map(parts =>
    Buffer.concat(
      parts.map(part => {
        if (part instanceof Uint8Array) return part;
        if ("byte" in part) return Buffer.alloc(part.times, part.byte);
        return Buffer.from(part.word.repeat(part.times));
      }),
    ),
  );

describe.each(Object.entries(codecs))("%s", (_, { pack, bytesMax, unpack }) => {
  function packed(bytes: Buffer): Buffer {
    const target = Buffer.alloc(bytesMax(bytes.length));
    return target.subarray(0, pack(bytes, target, repeats));
  }

  test.each(Object.keys(contents))("gives back %s", name => {
    const bytes = contents[name]?.() ?? Buffer.alloc(0);
    expect(unpack(packed(bytes), LIMIT).equals(bytes)).toBe(true);
  });

  test("gives back any bytes, within the room that it asks for", () => {
    fc.assert(
      fc.property(fc.oneof(mixture, fc.uint8Array({ maxLength: 600 })), input => {
        // Not at the start of its memory, as a view of a batch is not.
        const bytes = Buffer.concat([Buffer.from("front"), input]).subarray(5);
        expect(unpack(packed(bytes), LIMIT).equals(bytes)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  test.each([0, 1, 3, 4, 5, 11, 12, 13, 16, 17, 32_767, 32_768, 65_535, 65_536, 65_537, 131_072])(
    "gives back noise, and one byte over and over, of %i bytes",
    size => {
      const random = seededRandom(size);
      const noise = Buffer.from(Array.from({ length: size }, () => between(random, 0, 255)));
      expect(unpack(packed(noise), LIMIT).equals(noise)).toBe(true);
      const same = Buffer.alloc(size, 0x61);
      expect(unpack(packed(same), LIMIT).equals(same)).toBe(true);
    },
  );

  test("makes text smaller", () => {
    const bytes = contents["words-3"]?.() ?? Buffer.alloc(0);
    expect(packed(bytes).length).toBeLessThan(bytes.length * 0.6);
  });

  test("stops at the limit, without taking the memory first", () => {
    const bomb = Buffer.from(packed(Buffer.alloc(3 * 2 ** 20)));
    const before = process.memoryUsage().arrayBuffers;
    expect(() => unpack(bomb, 2 ** 20)).toThrow(/more than 1048576 bytes/);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(3 * 2 ** 20);
    expect(unpack(bomb, 3 * 2 ** 20).length).toBe(3 * 2 ** 20);
  });

  test("refuses what is cut off anywhere within a block, and what is damaged does no harm", () => {
    const bytes = contents["words-small"]?.() ?? Buffer.alloc(0);
    const whole = Buffer.from(packed(bytes));
    const expected = (thrown: unknown): boolean =>
      thrown instanceof DamagedDataError || thrown instanceof RangeError;
    for (let end = 20; end < whole.length - 4; end += 1) {
      expect(() => unpack(whole.subarray(0, end), LIMIT), `cut at ${end}`).toThrow();
    }
    const random = seededRandom(5);
    const large = Buffer.from(packed(contents["words-1"]?.() ?? Buffer.alloc(0)));
    let refused = 0;
    for (let round = 0; round < 1_000; round += 1) {
      const mutated = Buffer.from(round % 50 === 0 ? large : whole);
      for (let i = between(random, 1, 3); i > 0; i -= 1) {
        mutated[between(random, 0, mutated.length - 1)] = between(random, 0, 255);
      }
      try {
        expect(unpack(mutated, LIMIT).length).toBeLessThanOrEqual(LIMIT);
      } catch (thrown) {
        if (!expected(thrown)) throw thrown;
        refused += 1;
      }
    }
    expect(refused).toBeGreaterThan(100);
  });
});
