/** JSON documents in binary form that no server makes. */
import { describe, expect, test } from "vitest";
import { EventFault } from "../../src/binlog/event-fault.ts";
import { applyJsonDiffs } from "../../src/binlog/json-diff.ts";
import { collectText, jsonText, writeJsonText } from "../../src/binlog/json-text.ts";

const SMALL_ARRAY = 2;
const TRUE = [4, 1, 0];

/** Small arrays, each the only element of the one before. */
function nested(levels: number): Buffer {
  const bytes = [SMALL_ARRAY];
  for (let level = 1; level < levels; level += 1) bytes.push(1, 0, 7, 0, SMALL_ARRAY, 7, 0);
  return Buffer.from([...bytes, 1, 0, 7, 0, ...TRUE]);
}

describe("a document", () => {
  test("of a hundred levels is shown", () => {
    expect(jsonText(nested(100))).toBe(`${"[".repeat(100)}true${"]".repeat(100)}`);
  });

  test("of more is a fault", () => {
    expect(() => jsonText(nested(101))).toThrow(/more than 100 levels/);
    expect(() => jsonText(nested(200_000))).toThrow(EventFault);
  });

  test("that leads back to itself is a fault", () => {
    const itself = Buffer.from([SMALL_ARRAY, 1, 0, 7, 0, SMALL_ARRAY, 0, 0]);
    expect(() => jsonText(itself)).toThrow(EventFault);
  });

  test("that shows one part again and again is a fault at once", () => {
    // Each array holds the next one twice: 2^60 texts.
    const bytes = [SMALL_ARRAY];
    for (let level = 1; level < 60; level += 1) {
      bytes.push(2, 0, 10, 0, SMALL_ARRAY, 10, 0, SMALL_ARRAY, 10, 0);
    }
    const before = performance.now();
    expect(() => jsonText(Buffer.from([...bytes, 1, 0, 7, 0, ...TRUE]))).toThrow(/parts overlap/);
    expect(performance.now() - before).toBeLessThan(1_000);
  });

  test("that is cut short is a fault, also where the bytes behind it would fit", () => {
    const [int, double, text] = [
      [7, 0, 0, 0],
      [0, 0, 0, 0, 0, 0, 0xf0, 0x3f],
      [3, 0x61, 0x62, 0x63],
    ] as const;
    const head = [SMALL_ARRAY, 4, 0, 0, 0, 12, 16, 0, 7, 20, 0, 5, 1, 0, 11, 24, 0];
    const row = Buffer.from([...head, ...text, ...int, ...double]);
    const shown = (end: number): string => collectText(out => writeJsonText(out, row, 0, end));
    expect(shown(row.length)).toBe('["abc", 7, 1, 1.0]');
    for (let end = 1; end < row.length; end += 1) expect(() => shown(end)).toThrow(EventFault);
  });

  test("is not changed at a place that is deeper than any", () => {
    const path = Buffer.from(`$${"[0]".repeat(101)}`);
    const diff = Buffer.concat([Buffer.from([2, 252, path.length & 255, path.length >> 8]), path]);
    expect(() => applyJsonDiffs("[1]", diff)).toThrow(/deeper than any document/);
  });
});
