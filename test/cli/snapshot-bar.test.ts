import { describe, expect, test } from "vitest";
import { Vitals } from "../../src/core/vitals.ts";
import { SnapshotBar } from "../../src/cli/snapshot-bar.ts";
import { ManualClock } from "../support/manual-clock.ts";

function drawn(width: number, estimate: { readonly rows?: number } = { rows: 100_000 }): string {
  const clock = new ManualClock();
  const vitals = new Vitals("shop", clock, { left: 0 });
  const bar = new SnapshotBar([vitals, new Vitals("idle", clock, { left: 0 })], clock);
  expect(bar.lines(width)).toEqual([]);
  vitals.copy = { tables: 3, tablesLeft: 2, rows: 20_000, estimatedRows: estimate.rows };
  bar.lines(width);
  clock.advance(1_000);
  vitals.copy.rows = 25_000;
  const [line = "", ...others] = bar.lines(width);
  expect(others).toEqual([]);
  expect(line.length).toBeLessThanOrEqual(width);
  return line;
}

describe("a bar of progress", () => {
  test("tells tables, rows, rate and the time that is left", () => {
    expect(drawn(120)).toBe(
      "shop  [#####...............] 25 %  1 of 3 tables  25,000 of about 100,000 rows  5,000 rows/s  about 15 s left",
    );
  });

  test.each([
    [80, "shop  1 of 3 tables  25,000 of about 100,000 rows  5,000 rows/s  about 15 s left"],
    [70, "shop  1 of 3 tables  25,000 of about 100,000 rows  about 15 s left"],
    [64, "1 of 3 tables  25,000 of about 100,000 rows  about 15 s left"],
    [50, "1 of 3 tables  25,000 of about 100,000 rows"],
    [40, "1 of 3 tables"],
    [8, "1 of 3 t"],
  ])("fits into %i columns", (width, line) => expect(drawn(width)).toBe(line));

  test("without an estimate says what it knows", () => {
    const line = drawn(120, {});
    expect(line).toBe("shop  1 of 3 tables  25,000 rows  5,000 rows/s");
  });

  test("does not go beyond all when the estimate was too low", () => {
    expect(drawn(120, { rows: 10 })).toContain("100 %  1 of 3 tables  25,000 of about 25,000 rows");
  });
});
