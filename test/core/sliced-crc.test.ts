import { crc32 } from "node:zlib";
import fc from "fast-check";
import { expect, test } from "vitest";
import { crcTables, slicedCrc } from "../../src/core/sliced-crc.ts";

test("equals zlib's checksum, whatever the length and wherever it begins", () => {
  const tables = crcTables(0xedb88320);
  const bytes = fc.uint8Array({ minLength: 0, maxLength: 9_000, size: "max" });
  fc.assert(
    fc.property(bytes, fc.nat(20), (array, skipped) => {
      const buffer = Buffer.from(array);
      const start = Math.min(skipped, buffer.length);
      const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
      expect(slicedCrc(tables, view, start, buffer.length)).toBe(crc32(buffer.subarray(start)));
    }),
    { numRuns: 300 },
  );
});

/** RFC 3720, appendix B.4. */
test.each([
  ["zeros", Buffer.alloc(32), 0x8a9136aa],
  ["ones", Buffer.alloc(32, 0xff), 0x62a8ab43],
  ["ascending", Buffer.from(Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e],
])("gives the known CRC-32C of %s", (_, bytes, crc) => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  expect(slicedCrc(crcTables(0x82f63b78), view, 0, bytes.length)).toBe(crc);
});
