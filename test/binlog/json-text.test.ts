import { describe, expect, test } from "vitest";
import { jsonDoubleText, jsonText } from "../../src/binlog/json-text.ts";

/** What CAST(… AS JSON) shows for a double, on MySQL 8.0 and 9.7. */
describe("a double in JSON", () => {
  test.each([
    [1e15, "1e15"],
    [999999999999999, "999999999999999.0"],
    [1234567890123456, "1.234567890123456e15"],
    [-3497719428616830.5, "-3497719428616830.5"],
    [1000000000000000.5, "1000000000000000.5"],
    [12345678901234568, "1.2345678901234568e16"],
    [1e-15, "0.000000000000001"],
    [1e-16, "1e-16"],
    [-0, "-0.0"],
  ])("%d", (value, text) => {
    expect(jsonDoubleText(value)).toBe(text);
  });
});

describe("a TIME in JSON", () => {
  const OPAQUE = 15;
  const TIME = 11;

  /** Hours, minutes, seconds and microseconds in one number. */
  function document(packed: bigint): Buffer {
    const value = Buffer.alloc(8);
    value.writeBigInt64LE(packed);
    return Buffer.concat([Buffer.from([OPAQUE, TIME, value.length]), value]);
  }

  test.each([
    [(838n << 12n) | (59n << 6n) | 59n, "838:59:59.000000"],
    [(32n << 12n) | (1n << 6n) | 2n, "32:01:02.000000"],
    [0n, "00:00:00.000000"],
  ])("of %d is not taken for a time of day", (time, text) => {
    expect(jsonText(document(time << 24n))).toBe(`"${text}"`);
    if (time > 0n) expect(jsonText(document(-(time << 24n) - 5n))).toBe(`"-${text.slice(0, -1)}5"`);
  });
});
