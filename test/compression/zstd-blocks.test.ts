import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { DamagedDataError } from "../../src/compression/damaged-data.ts";
import { sourceOf } from "../../src/compression/byte-source.ts";
import { ZstdUnpacker } from "../../src/compression/zstd-blocks.ts";
import { between, seededRandom } from "../support/random.ts";
import { contents } from "./zstd/contents.ts";

const unpacker = new ZstdUnpacker();

function packed(name: string): Buffer {
  return readFileSync(new URL(`zstd/${name}.zst`, import.meta.url));
}

function unpacked(bytes: Buffer): Buffer {
  return Buffer.concat(
    Array.from(unpacker.blocks(sourceOf(bytes), 0), block => Buffer.from(block)),
  );
}

/** The head of a frame with a window of its own, and one block. */
function frame(windowDescriptor: number, kind: number, content: readonly number[]): Buffer {
  const block = (content.length << 3) | (kind << 1) | 1;
  const head = [0x28, 0xb5, 0x2f, 0xfd, 0, windowDescriptor, block & 255, block >> 8, 0];
  return Buffer.from([...head, ...content]);
}

describe("ZstdUnpacker", () => {
  test.each(Object.keys(contents))("unpacks %s", name => {
    expect(unpacked(packed(name)).equals(contents[name]?.() ?? Buffer.alloc(0))).toBe(true);
  });

  test("passes over what is marked as to be passed over", () => {
    const skipped = Buffer.from([0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
    const bytes = Buffer.concat([skipped, packed("words-small"), skipped]);
    expect(unpacked(bytes).equals(contents["words-small"]?.() ?? Buffer.alloc(0))).toBe(true);
  });

  test("names a window that is too large, and what is no zstd", () => {
    // 128 MB, which level 22 of MySQL takes, and an eighth more.
    expect(unpacked(frame(17 << 3, 0, [1, 2]))).toEqual(Buffer.from([1, 2]));
    expect(() => unpacked(frame((17 << 3) + 1, 0, [1]))).toThrow(/a window of 150994944 bytes/);
    expect(() => unpacked(Buffer.from("not zstd at all"))).toThrow(/does not begin as zstd does/);
    expect(() => unpacked(frame(0, 3, [1]))).toThrow(/a block of unknown form/);
  });

  test("takes a large window only as far as it is needed", () => {
    const before = process.memoryUsage().arrayBuffers;
    unpacked(frame(17 << 3, 0, [1, 2]));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * 2 ** 20);
  });

  test("gives a reason, and never more than a block, for data that is damaged at random", () => {
    const random = seededRandom(7);
    const names = ["words-1", "words-19", "words-small", "rows-3", "rows-22", "far-apart"];
    const originals = names.map(packed);
    let refused = 0;
    for (let round = 0; round < 300; round += 1) {
      const bytes = Buffer.from(originals[round % originals.length] ?? Buffer.alloc(0));
      for (let i = between(random, 1, 3); i > 0; i -= 1) {
        bytes[between(random, 4, bytes.length - 1)] = between(random, 0, 255);
      }
      const end = between(random, 0, 9) === 0 ? between(random, 0, bytes.length) : bytes.length;
      try {
        for (const block of unpacker.blocks(sourceOf(bytes.subarray(0, end)), 0)) {
          expect(block.length).toBeLessThanOrEqual(128 * 1024);
        }
      } catch (thrown) {
        expect(
          thrown instanceof DamagedDataError || thrown instanceof RangeError,
          String(thrown),
        ).toBe(true);
        refused += 1;
      }
    }
    expect(refused).toBeGreaterThan(100);
    for (const name of names) {
      expect(unpacked(packed(name)).equals(contents[name]?.() ?? Buffer.alloc(0))).toBe(true);
    }
  });
});
