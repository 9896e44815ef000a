import { expect, test } from "vitest";
import { silentLogger } from "../../src/core/logger.ts";
import { NOTHING_COPIED } from "../../src/core/snapshot-state.ts";
import { Vitals } from "../../src/core/vitals.ts";
import { SnapshotReport } from "../../src/pipeline/snapshot-report.ts";
import { ManualClock, settle } from "../support/manual-clock.ts";

const listed = (id: string, rows = 0) => ({ id, run: "1", known: { ...NOTHING_COPIED, rows } });

function begin() {
  const clock = new ManualClock();
  const lines: object[] = [];
  const logger = { ...silentLogger, info: (fields: object) => void lines.push(fields) };
  const vitals = new Vitals("p", clock, { left: 0 });
  const estimates = new Map(Object.entries({ "shop.a": 1_000, "shop.b": 50 }));
  const estimate = () => Promise.resolve(estimates);
  return { clock, lines, vitals, report: new SnapshotReport({ vitals, estimate, clock, logger }) };
}

test("a line for each table, and one every five seconds between", () => {
  const { clock, lines, vitals, report } = begin();
  report.begin([listed("shop.a"), listed("shop.b")]);
  expect(vitals.copy?.tablesLeft).toBe(2);
  for (let chunk = 1; chunk <= 12; chunk += 1) {
    clock.advance(1_000);
    report.add({ table: "shop.a", rows: chunk * 100, entered: 90, isLast: chunk === 12 });
  }
  expect(lines).toEqual([
    { table: "shop.a", rows: 500, rows_per_second: 90, tables_left: 2 },
    { table: "shop.a", rows: 1_000, rows_per_second: 90, tables_left: 2 },
    { table: "shop.a", rows: 1_200, tables_left: 1 },
  ]);
  expect(vitals.copy).toMatchObject({ tables: 2, tablesLeft: 1, rows: 1_080 });
});

test("what is drawn is not logged every five seconds too", () => {
  const { clock, lines, vitals, report } = begin();
  vitals.isCopyDrawn = true;
  report.begin([listed("shop.a")]);
  clock.advance(60_000);
  report.add({ table: "shop.a", rows: 1, entered: 1, isLast: false });
  expect(lines).toEqual([]);
});

test("the estimate is of what is still to be copied, and begins anew when all is", async () => {
  const { vitals, report } = begin();
  report.begin([listed("shop.a", 400)]);
  await settle();
  expect(vitals.copy?.estimatedRows).toBe(600);
  report.begin([listed("shop.b"), listed("shop.unknown", 7)]);
  await settle();
  expect(vitals.copy).toMatchObject({ tables: 3, estimatedRows: 650 });
  for (const table of ["a", "b", "c"]) report.add({ table, rows: 1, entered: 1, isLast: true });
  report.begin([listed("shop.b")]);
  await settle();
  expect(vitals.copy).toEqual({ tables: 1, tablesLeft: 1, rows: 0, estimatedRows: 50 });
  expect(vitals.copiedRows).toBe(3);
});

test("a pipeline that begins again in the same process counts what is left anew", () => {
  const { clock, vitals, report } = begin();
  report.begin([listed("shop.a"), listed("shop.b")]);
  report.add({ table: "shop.a", rows: 1, entered: 1, isLast: true });
  const estimate = () => Promise.resolve(new Map<string, number>());
  const next = new SnapshotReport({ vitals, estimate, clock, logger: silentLogger });
  next.begin([listed("shop.b")]);
  next.add({ table: "shop.b", rows: 1, entered: 1, isLast: true });
  expect(vitals.copy).toMatchObject({ tables: 1, tablesLeft: 0 });
});
