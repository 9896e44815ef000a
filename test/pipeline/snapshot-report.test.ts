import { expect, test } from "vitest";
import { silentLogger } from "../../src/core/logger.ts";
import { SnapshotReport } from "../../src/pipeline/snapshot-report.ts";
import { ManualClock } from "../support/manual-clock.ts";

test("a line for each table, and one every five seconds between", () => {
  const clock = new ManualClock();
  const lines: object[] = [];
  const logger = { ...silentLogger, info: (fields: object) => void lines.push(fields) };
  const vitals = { snapshotTablesLeft: undefined as number | undefined };
  const report = new SnapshotReport({ vitals, clock, logger });
  report.begin(2);
  expect(vitals.snapshotTablesLeft).toBe(2);
  for (let chunk = 1; chunk <= 12; chunk += 1) {
    clock.advance(1_000);
    report.add({ table: "shop.a", rows: chunk * 100, entered: 90, isLast: chunk === 12 });
  }
  expect(lines).toEqual([
    { table: "shop.a", rows: 500, rows_per_second: 90, tables_left: 2 },
    { table: "shop.a", rows: 1_000, rows_per_second: 90, tables_left: 2 },
    { table: "shop.a", rows: 1_200, tables_left: 1 },
  ]);
  expect(vitals.snapshotTablesLeft).toBe(1);
});
