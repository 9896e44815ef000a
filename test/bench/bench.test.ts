import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parseOptions } from "../../bench/options.ts";
import { median } from "../../bench/round.ts";
import {
  expectedCounts,
  isSame,
  rowChanges,
  rowDifferences,
  statements,
} from "../../bench/workload.ts";
import { Failure } from "../../tools/demo/failure.ts";

describe("the orders workload", () => {
  test("is the one that all figures are about", () => {
    const counts = expectedCounts(20_000);
    expect(counts).toEqual({ c: 200_000, u: 40_000, d: 2_000, tombstones: 2_000 });
    expect(rowChanges(counts)).toBe(242_000);
    expect(isSame(counts, { ...counts, u: 39_999 })).toBe(false);
  });

  test("is split where the mysql client would split it", () => {
    const sql = readFileSync(new URL("../../bench/orders.sql", import.meta.url), "utf8");
    const starts = statements(sql).map(statement => statement.split(/[\s(]/, 2).join(" "));
    expect(starts).toEqual([
      "CREATE DATABASE",
      "USE bench",
      "DROP TABLE",
      "CREATE TABLE",
      "DROP PROCEDURE",
      "CREATE PROCEDURE",
    ]);
    expect(statements(sql).at(-1)).toMatch(/END$/);
  });

  test("compares a row with its message", () => {
    const selected = {
      id: "97",
      tags: '{"n": 1, "ok": true}',
      weight: "96.61754164529735",
      updated_at: "2026-11-21T10:00:00.120000",
    };
    const delivered = {
      id: 97,
      tags: '{"ok":true,"n":1}',
      weight: 96.61754164529735,
      updated_at: "2026-11-21T10:00:00.12Z",
    };
    expect(rowDifferences(selected, delivered)).toEqual([]);
    expect(rowDifferences(selected, { ...delivered, updated_at: "2026-11-21T10:00:00Z" })).toEqual([
      "updated_at",
    ]);
    expect(rowDifferences(selected, { ...delivered, note: "x" })).toEqual(["note"]);
  });
});

test("the median of an even number of rounds lies between the middle two", () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
});

describe("the options of the benchmarks", () => {
  test("have defaults", () => {
    expect(parseOptions(["kafka", "--json"])).toEqual([
      {
        scenario: "kafka",
        transactions: 20_000,
        rounds: 1,
        partitions: 1,
        profile: undefined,
        nodeArgs: [],
        quick: false,
        write: false,
        json: true,
      },
    ]);
  });

  test("name all that the page shows at once", () => {
    const runs = parseOptions(["all"]) ?? [];
    expect(runs.map(({ scenario }) => scenario)).toContain("compare");
    expect(runs.every(({ write }) => write)).toBe(true);
  });

  test.each([
    [[]],
    [["sqs"]],
    [["kafka", "file"]],
    [["kafka", "--rounds", "0"]],
    [["all", "--quick"]],
    [["kafka", "--write"]],
  ])("refuse %j in one sentence", args => {
    expect(() => parseOptions(args)).toThrow(Failure);
    expect(() => parseOptions(args)).toThrow(/^[^\n]{10,120}\.$/);
  });
});
