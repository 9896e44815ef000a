import { describe, expect, test } from "vitest";
import { TableRows } from "../../src/core/vitals.ts";
import { METRICS, MetricsPage, type ProcessView } from "../../src/metrics/metrics.ts";
import { Watch } from "../../src/metrics/watch.ts";
import { changeOf, column, tableOf } from "../formats/rows.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { silentLogger } from "../../src/core/logger.ts";
import { runningPipeline } from "./support.ts";

const PROCESS: ProcessView = {
  version: "1.2.3",
  startedAtS: 1_790_000_000,
  cpuSeconds: 1.5,
  residentBytes: 1_000,
  loopLateMs: 3,
  memoryBytes: 64,
};

const bounds = { heartbeatMs: 12_000, stalledMs: 10_000, unacknowledgedMs: 60_000, lagMs: 300_000 };

function watchOf(...pipelines: readonly ReturnType<typeof runningPipeline>[]): Watch {
  const vitals = pipelines.map(pipeline => pipeline.vitals);
  const clock = pipelines[0]?.clock ?? new ManualClock();
  return new Watch({ vitals, bounds, clock, logger: silentLogger });
}

function linesOf(text: string): string[] {
  return text.split("\n").filter(line => line !== "" && !line.startsWith("#"));
}

describe("the page", () => {
  test("has every declared metric that has a value, labelled by pipeline, and nothing else", async () => {
    const clock = new ManualClock();
    const one = runningPipeline("one", clock);
    const two = runningPipeline("two", clock);
    one.vitals.read.items = 7;
    one.vitals.delivered.bytes = 99;
    one.gauges.released = { file: "binlog.000003", fileCreated: 1, position: 4711, eventTimeS: 9 };
    one.vitals.binlog = {
      askedMs: 0,
      files: [{ name: "binlog.000003", bytes: 5_000 }],
      expireS: Infinity,
    };
    const page = new MetricsPage();
    const text = await page.render(watchOf(one, two).look(), PROCESS);
    const lines = linesOf(text);
    expect(lines).toContain('tidemark_rows_total{pipeline="one",stage="read"} 7');
    expect(lines).toContain('tidemark_rows_total{pipeline="two",stage="read"} 0');
    expect(lines).toContain('tidemark_bytes_total{pipeline="one",stage="delivered"} 99');
    expect(lines).toContain('tidemark_released_file_number{pipeline="one"} 3');
    expect(lines).toContain('tidemark_released_position_bytes{pipeline="one"} 4711');
    expect(lines).toContain('tidemark_lag_bytes{pipeline="one"} 289');
    expect(lines).toContain('tidemark_purge_seconds{pipeline="one"} +Inf');
    expect(lines).toContain('tidemark_build_info{version="1.2.3"} 1');
    expect(text).not.toContain('tidemark_lag_bytes{pipeline="two"}');
    const declared = new Set(METRICS.map(metric => metric.name));
    for (const line of lines) expect(declared).toContain(/^[a-z_]+/.exec(line)?.[0]);
    for (const metric of METRICS) expect(text).toContain(`# HELP ${metric.name} `);
  });

  test("counts do not add up when it is asked twice", async () => {
    const pipeline = runningPipeline();
    pipeline.vitals.reconnects = 2;
    const watch = watchOf(pipeline);
    const page = new MetricsPage();
    await page.render(watch.look(), PROCESS);
    const lines = linesOf(await page.render(watch.look(), PROCESS));
    expect(lines).toContain('tidemark_reconnects_total{pipeline="shop"} 2');
  });

  test("names what holds the pipeline up, and no longer when that is over", async () => {
    const { vitals, clock, gauges } = runningPipeline();
    const watch = watchOf({ vitals, clock, gauges });
    const page = new MetricsPage();
    const key = {};
    vitals.sinkTroubles.failed(key, {
      message: "No leader.",
      unreachable: false,
      place: { topic: "shop.orders", partition: 3 },
    });
    clock.advance(4_000);
    expect(linesOf(await page.render(watch.look(), PROCESS))).toContain(
      'tidemark_waiting_seconds{pipeline="shop",cause="partition",topic="shop.orders",partition="3"} 4',
    );
    vitals.sinkTroubles.over(key);
    const after = linesOf(await page.render(watch.look(), PROCESS));
    expect(after.filter(line => line.startsWith("tidemark_waiting_seconds"))).toEqual([]);
    expect(after).toContain('tidemark_ready{pipeline="shop"} 1');
    expect(after).toContain('tidemark_retries_total{pipeline="shop",stage="sink"} 1');
  });
});

describe("rows by table", () => {
  const change = (name: string, count: number) =>
    changeOf(
      tableOf([column("id", "int")], [0], name),
      "insert",
      Array.from({ length: count }, () => ["1"]),
    );

  test("are counted apart up to the bound, which pipelines share, and together beyond it", () => {
    const labels = { left: 2 };
    const first = new TableRows(labels);
    const second = new TableRows(labels);
    expect(first.add([change("a", 2), change("a", 3), change("b", 1)])).toBe(6);
    second.add([change("c", 4), change("d", 5)]);
    first.add([change("a", 1), change("c", 1)]);
    const inserts = (rows: TableRows) =>
      [...rows.counts()].map(([name, counts]) => [name, counts.insert]);
    expect(inserts(first)).toEqual([
      ["shop.a", 6],
      ["shop.b", 1],
      ["_other", 1],
    ]);
    expect(inserts(second)).toEqual([["_other", 9]]);
  });
});

test("declarations are whole: names, units, help", () => {
  const names = METRICS.map(metric => metric.name);
  expect(new Set(names).size).toBe(names.length);
  for (const { name, type, unit, help, ...metric } of METRICS) {
    expect(name).toMatch(/^(tidemark|process)_[a-z_]+$/);
    expect(name.endsWith("_total"), name).toBe(type === "counter");
    if (unit === "seconds" || unit === "bytes") {
      expect(name, "the unit is in the name").toMatch(new RegExp(`_${unit}(_total|_limit)?$`));
    }
    expect(help).toMatch(/^\S.*\.$/);
    expect(metric.labels.includes("pipeline"), name).toBe("ofPipeline" in metric);
  }
});
