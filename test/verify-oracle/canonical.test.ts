/** The check `random` sees what differs, and nothing in what is only written differently. */
import { describe, expect, test } from "vitest";
import {
  compareGoMysql,
  decoded,
  selected,
  type Comparison,
  type Shape,
} from "../verify/types/canonical.ts";
import { elementsOf, membersOf } from "../verify/types/raw-json.ts";

const text = (value: string): string => `x${Buffer.from(value).toString("hex")}`;

function compared(shape: Shape, cell: string, shown: string): Comparison {
  return compareGoMysql(shape, cell, { shown, bytes: null });
}

describe("a cell of go-mysql", () => {
  test.each<readonly [Shape, string, string]>([
    [{ kind: "integer", bits: 24, unsigned: true }, "i-1", "16777215"],
    [{ kind: "bits", length: 10 }, "i513", "1000000001"],
    [{ kind: "time", scale: 3 }, text("-00:00:01"), "-00:00:01.000"],
    [{ kind: "float" }, "f0.10000000149011612", "0.1"],
    [{ kind: "double" }, "f-0", "-0"],
    [{ kind: "set", members: ["a", "b", "c"] }, "i5", "a,c"],
    [{ kind: "bytes", size: 3 }, "x61", "YQAA"],
    [{ kind: "json" }, text('{"b":"2.50","a":1.0,"10":[]}'), '{"a": 1.0, "b": 2.50, "10": []}'],
  ])("%j: %s is %s", (shape, cell, shown) => {
    expect(compared(shape, cell, shown)).toBe("same");
    const wrong = shown.replace(/[a-z0-9](?=[^a-z0-9]*$)/i, "7");
    expect(compared(shape, cell, wrong)).toBe("different");
  });

  test.each([
    ['{"a": 1}', '{"a": 1, "b": null}'],
    ['{"a": 1}', '{"a": 1.0}'],
    ["[1, 2]", "[2, 1]"],
    ["[]", "{}"],
    ['"1"', '"2"'],
    ["9007199254740993", "9007199254740992"],
    ["-0.0", "0.0"],
    ["null", "0"],
  ])("JSON %s is not %s", (ours, theirs) => {
    expect(compared({ kind: "json" }, text(theirs), ours)).toBe("different");
  });

  test("bytes and dates inside JSON are left to SELECT, and nothing else is", () => {
    const json: Shape = { kind: "json" };
    expect(compared(json, text('["\ufffd"]'), '["base64:type15:/w=="]')).toBe("json bytes");
    const day = '"2026-11-21"';
    expect(compared(json, text('"2026-11-21 00:00:00.000000"'), day)).toBe("json date or time");
    expect(compared(json, text('"2026-11-22 00:00:00.000000"'), day)).toBe("different");
  });
});

test("SELECT's answer and a line of decode come to the same text", () => {
  expect(selected({ kind: "bits", length: 3 }, "05")).toBe("101");
  expect(selected({ kind: "bytes", size: 0 }, "FF00")).toBe("/wA=");
  expect(selected({ kind: "float" }, "0.10000000149011612")).toBe("0.1");
  expect(decoded({ kind: "text", charset: "utf8mb4" }, String.raw`"a\"\\"`)).toBe('a"\\');
  expect(decoded({ kind: "json" }, '{"a": 1.0}')).toBe('{"a": 1.0}');
});

test("cells keep the text in which they are written", () => {
  const line = String.raw`{"a":{"x": [1.0, "]}\\\""]},"__proto__":-7,"b":"\\","rows":[{"c":null},{}]}`;
  const members = membersOf(line);
  expect(members.map(([name]) => name)).toEqual(["a", "__proto__", "b", "rows"]);
  expect(members[0]?.[1]).toBe(String.raw`{"x": [1.0, "]}\\\""]}`);
  expect(members[1]?.[1]).toBe("-7");
  expect(members[2]?.[1]).toBe(String.raw`"\\"`);
  expect(elementsOf(members[3]?.[1] ?? "")).toEqual(['{"c":null}', "{}"]);
});
