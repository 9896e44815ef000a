import { describe, expect, test } from "vitest";
import { GtidSet } from "../../src/core/gtid-set.ts";

const A = "6db3edf2-e588-11f1-8730-02fc00000001";
const B = "6db3edf2-e588-11f1-8730-02fc00000002";

describe("GtidSet of MySQL", () => {
  test("joins neighbouring transactions and keeps gaps", () => {
    const set = GtidSet.parse("");
    for (const n of [1, 2, 5, 4]) set.add(`${A}:${n}`);
    expect(set.toString()).toBe(`${A}:1-2:4-5`);
    set.add(`${A}:3`);
    expect(set.toString()).toBe(`${A}:1-5`);
  });

  test("holds what was added, and nothing else", () => {
    const set = GtidSet.parse(`${A}:1-3`);
    expect(set.contains(`${A}:3`)).toBe(true);
    expect(set.contains(`${A}:4`)).toBe(false);
    expect(set.contains(`${B}:3`)).toBe(false);
  });

  test("reads the text as the server prints it, over several lines", () => {
    const set = GtidSet.parse(`${B.toUpperCase()}:7,\n${A}:1-3:5\n`);
    expect(set.toString()).toBe(`${A}:1-3:5,${B}:7`);
  });

  test("keeps tagged transactions apart from untagged ones", () => {
    const set = GtidSet.parse(`${A}:1-2:load:1-4`);
    set.add(`${A}:load:5`);
    expect(set.contains(`${A}:5`)).toBe(false);
    expect(set.contains(`${A}:load:5`)).toBe(true);
    expect(set.toString()).toBe(`${A}:1-2:load:1-5`);
  });

  test("is exact above 2^53", () => {
    const set = GtidSet.parse(`${A}:1-9007199254740993`);
    expect(set.contains(`${A}:9007199254740993`)).toBe(true);
    expect(set.contains(`${A}:9007199254740994`)).toBe(false);
    set.add(`${A}:9007199254740994`);
    expect(set.toString()).toBe(`${A}:1-9007199254740994`);
  });

  test("knows when it is empty", () => {
    const set = GtidSet.parse(" \n");
    expect(set.isEmpty()).toBe(true);
    set.add(`${A}:1`);
    expect(set.isEmpty()).toBe(false);
  });

  test.each(["nonsense", A, `${A}:0`, `${A}:5-3`, `${A}:0x10`, `${A}:load`])("refuses %s", text => {
    expect(() => GtidSet.parse(text)).toThrow(/not a valid GTID set/);
  });

  test("refuses to add a set where one transaction is expected", () => {
    expect(() => GtidSet.parse("").add(`${A}:1-5`)).toThrow(/not a valid GTID set/);
  });
});

describe("GtidSet of MariaDB", () => {
  test("keeps the last transaction of each domain", () => {
    const set = GtidSet.parse("1-3-45,0-1-7");
    set.add("0-1-8");
    expect(set.toString()).toBe("0-1-8,1-3-45");
  });

  test("covers what came before in the domain", () => {
    const set = GtidSet.parse("0-1-18446744073709551614");
    expect(set.contains("0-1-5")).toBe(true);
    expect(set.contains("0-1-18446744073709551615")).toBe(false);
    expect(set.contains("2-1-5")).toBe(false);
  });

  test.each(["0-1", "0-1-2,0-1-3", "a-1-2", "0-1-2,"])("refuses %s", text => {
    expect(() => GtidSet.parse(text)).toThrow(/not a valid GTID set/);
  });

  test("refuses to add what is not one GTID", () => {
    const set = GtidSet.parse("");
    expect(() => set.add("0-1-2,1-1-2")).toThrow(/not a valid GTID set/);
    expect(() => set.add("")).toThrow(/not a valid GTID set/);
  });

  test("takes no transaction of the other kind of server, unless it is empty", () => {
    const set = GtidSet.parse("");
    expect(set.contains("0-1-1")).toBe(false);
    set.add("0-1-2");
    expect(set.toString()).toBe("0-1-2");
    expect(() => set.add(`${A}:1`)).toThrow(/not a valid GTID set/);
  });
});
