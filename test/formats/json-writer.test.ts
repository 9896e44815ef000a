import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { JsonWriter } from "../../src/formats/json-writer.ts";

function written(write: (json: JsonWriter) => void): string {
  const json = new JsonWriter();
  write(json);
  return json.take().toString("utf8");
}

describe("JsonWriter", () => {
  test.each([
    "",
    "a",
    '"',
    "\\",
    "\n\r\t\b\f",
    "\u0000\u001f",
    "\u007f",
    "é",
    "漢字",
    "🙂",
    "\u2028",
    'a"é\n🙂',
  ])("writes %j as JSON.stringify does", text => {
    expect(written(json => json.string(Buffer.from(text)))).toBe(JSON.stringify(text));
  });

  test("writes any text as JSON.stringify does", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 200 }), text => {
        expect(written(json => json.string(Buffer.from(text)))).toBe(JSON.stringify(text));
      }),
      { numRuns: 2000 },
    );
  });

  test("turns bytes that are not UTF-8 into U+FFFD, and stays JSON", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), bytes => {
        const text = written(json => json.string(bytes));
        expect(JSON.parse(text)).toBe(new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes));
      }),
      { numRuns: 5000 },
    );
  });

  test.each([
    ["a lone continuation byte", [0x61, 0x80, 0x62], "a\ufffdb"],
    ["a cut sequence", [0x61, 0xf0, 0x9f, 0x99], "a\ufffd"],
    ["a surrogate", [0xed, 0xa0, 0x80], "\ufffd\ufffd\ufffd"],
    ["a byte order mark at the front", [0xef, 0xbb, 0xbf, 0x61], "\ufeffa"],
    ["a byte order mark before a lone byte", [0xef, 0xbb, 0xbf, 0xff], "\ufeff\ufffd"],
  ])("keeps what is around %s", (_, bytes, expected) => {
    expect(JSON.parse(written(json => json.string(Uint8Array.from(bytes))))).toBe(expected);
  });

  test("writes every safe integer exactly", () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), value => {
        expect(written(json => json.integer(value))).toBe(String(value));
      }),
    );
    for (const value of [
      0, -1, 9, 10, 999_999_999, 1_000_000_000, 1_000_000_001, -86_400_000_000,
    ]) {
      expect(written(json => json.integer(value))).toBe(String(value));
    }
  });

  test("grows for a long string and gives the memory back", () => {
    const json = new JsonWriter();
    const long = "\u0001".repeat(500_000);
    json.string(Buffer.from(long));
    expect(JSON.parse(json.take().toString("utf8"))).toBe(long);
    json.string(Buffer.from("next"));
    expect(json.take().toString("utf8")).toBe('"next"');
  });

  test("hands over bytes that later messages do not touch", () => {
    const json = new JsonWriter();
    json.ascii("[1]");
    const first = json.take();
    json.ascii("[2]");
    json.take();
    expect(first.toString()).toBe("[1]");
  });

  test("writes base64 with its padding", () => {
    expect(written(json => json.base64(Buffer.from([1])))).toBe('"AQ=="');
    expect(written(json => json.base64(Buffer.alloc(0)))).toBe('""');
  });
});
