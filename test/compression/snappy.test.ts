import { describe, expect, test } from "vitest";
import { DamagedDataError } from "../../src/compression/damaged-data.ts";
import { Repeats } from "../../src/compression/repeats.ts";
import { packSnappy, snappyBytesMax, unpackSnappy } from "../../src/compression/snappy.ts";

const LIMIT = 2 ** 20;
const frameHead = "82534e4150505900" + "00000001" + "00000001";
/** Literals "abcde", and 4 to 7 of them again by each kind of repeat. */
const block = "16" + "106162636465" + "0105" + "160500" + "1b05000000";
const text = "abcde" + "abcd" + "eabcde" + "abcdeab";

describe("snappy", () => {
  test("reads a block without a frame, with each kind of repeat", () => {
    expect(unpackSnappy(Buffer.from(block, "hex"), LIMIT).toString()).toBe(text);
  });

  test("reads blocks in a frame of xerial", () => {
    const framed = frameHead + `00000011${block}`.repeat(2);
    expect(unpackSnappy(Buffer.from(framed, "hex"), LIMIT).toString()).toBe(text + text);
    expect(unpackSnappy(Buffer.from(frameHead, "hex"), LIMIT).length).toBe(0);
  });

  test("reads long literals, whatever their length takes", () => {
    const long = Buffer.alloc(70, 0x61);
    for (const length of ["f045", "f44500", "f8450000", "fc45000000"]) {
      const bytes = Buffer.concat([Buffer.from(`46${length}`, "hex"), long]);
      expect(unpackSnappy(bytes, LIMIT).equals(long)).toBe(true);
    }
  });

  test("writes a frame and a block as the formats say", () => {
    const target = Buffer.alloc(snappyBytesMax(30));
    const size = packSnappy(Buffer.from(`abcd${"abcd".repeat(5)}tail!!`), target, new Repeats());
    expect(target.toString("hex", 0, size)).toBe(
      frameHead + "00000010" + "1e" + "0c61626364" + "4e0400" + "147461696c2121",
    );
  });

  test.each([
    ["a length that its bytes cannot make", "ffffffff0f" + "0061"],
    ["fewer bytes than it says", "02" + "0061"],
    ["more bytes than it says", "01" + "046161"],
    ["a repeat before the beginning", "05" + "0061" + "0105"],
    ["a repeat of no distance", "05" + "0061" + "0100"],
    ["literals behind the end", "05" + "106162"],
    ["a block that is cut off", `${frameHead}00000011${block.slice(0, -2)}`],
  ])("refuses %s", (_, hex) => {
    expect(() => unpackSnappy(Buffer.from(hex, "hex"), LIMIT)).toThrow(DamagedDataError);
  });
});
