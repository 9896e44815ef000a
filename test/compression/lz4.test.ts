import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { DamagedDataError } from "../../src/compression/damaged-data.ts";
import { lz4BytesMax, packLz4, unpackLz4 } from "../../src/compression/lz4.ts";
import { Repeats } from "../../src/compression/repeats.ts";
import { content, options } from "./lz4/content.ts";

const LIMIT = 2 ** 20;

describe("LZ4", () => {
  test.each(Object.keys(options))("reads what the program lz4 has packed: %s", name => {
    const packed = readFileSync(new URL(`lz4/${name}.lz4`, import.meta.url));
    expect(unpackLz4(packed, LIMIT).equals(content())).toBe(true);
    // One frame after the other, as well.
    expect(unpackLz4(Buffer.concat([packed, packed]), LIMIT).length).toBe(2 * content().length);
  });

  test("writes a frame as the format says", () => {
    const target = Buffer.alloc(lz4BytesMax(30));
    const bytes = Buffer.from(`abcd${"abcd".repeat(5)}tail!!`);
    const size = packLz4(bytes, target, new Repeats());
    expect(target.toString("hex", 0, size)).toBe(
      "04224d18604082" + "0f000000" + "4f616263640400" + "01" + "607461696c2121" + "00000000",
    );
  });

  test("ends with literals, as readers of the format expect", () => {
    const target = Buffer.alloc(lz4BytesMax(100));
    const size = packLz4(Buffer.alloc(100, 0x61), target, new Repeats());
    expect(target.toString("hex", 11, size)).toBe("1f6101004b" + "506161616161" + "00000000");
  });

  test.each([
    ["another magic number", "05224d18604082"],
    ["another version", "04224d18a04082"],
    ["a dictionary", "04224d186140820000000000"],
    ["blocks of no known size", "04224d18600082"],
    ["a repeat before the beginning", "04224d18604082" + "05000000" + "1061ff0000" + "00000000"],
    [
      "a repeat that reaches into the frame before",
      "04224d18604082" +
        "01000080" +
        "61" +
        "00000000" +
        "04224d18604082" +
        "05000000" +
        "1061020000" +
        "00000000",
    ],
    ["a repeat of no distance", "04224d18604082" + "05000000" + "1061000000" + "00000000"],
    ["literals behind the end", "04224d18604082" + "02000000" + "f061" + "00000000"],
  ])("refuses %s", (_, hex) => {
    expect(() => unpackLz4(Buffer.from(hex, "hex"), LIMIT)).toThrow(DamagedDataError);
  });

  test("refuses a block that becomes larger than its frame allows", () => {
    // One byte repeated as often as 300 bytes of length say: above 64 KB.
    const block = Buffer.concat([Buffer.from("1f610100", "hex"), Buffer.alloc(300, 255)]);
    const size = Buffer.alloc(4);
    size.writeUInt32LE(block.length + 1);
    const frame = Buffer.concat([
      Buffer.from("04224d18604082", "hex"),
      size,
      block,
      Buffer.alloc(5),
    ]);
    expect(() => unpackLz4(frame, LIMIT)).toThrow(DamagedDataError);
  });
});
