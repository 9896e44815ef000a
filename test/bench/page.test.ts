import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { chart } from "../../bench/chart.ts";
import { withFigures } from "../../bench/page.ts";
import { pageFiles, readResults, type Results } from "../../bench/results.ts";

const kafka = (rows_per_s: number) => ({
  ...{ rows_per_s, peak_rss_mb: 120, cpu_s: 3.5, cpu_with_start_s: 4, seconds_with_start: 5 },
});
const file = (rows_per_s: number) => ({ rows_per_s, seconds_with_start: 2 });
const recorded = <T>(result: T) => ({ date: "2026-11-22", machine: "2 cores", result });

const results: Results = {
  compare: recorded({
    scenario: "compare",
    rows: 242_000,
    rounds: 3,
    kafka: {
      tidemark_rows_per_s: 70_000,
      debezium_rows_per_s: 7_000,
      ratio: 10,
      rss_ratio: 0.125,
      cpu_ratio: 0.06,
      cpu_with_start_ratio: 0.06,
      debezium_settings: "throughput",
      identical: true,
      tidemark: kafka(70_000),
      debezium_defaults: kafka(6_500),
      debezium_throughput: kafka(7_000),
    },
    file: {
      tidemark_rows_per_s: 150_000,
      ratio_to_raw: 0.62,
      ratio_to_go_mysql: 4.3,
      tidemark: file(150_000),
      raw: file(240_000),
      go_mysql: file(35_000),
    },
  }),
};

describe("the page of the figures", () => {
  test("is what the recorded results say", () => {
    for (const [path, contents] of pageFiles(readResults())) {
      expect(existsSync(path)).toBe(true);
      expect(readFileSync(path, "utf8")).toBe(contents);
    }
  });

  test("shows what was measured, and says what was not", () => {
    const markers = withFigures(
      "<!-- figures: `npm run bench -- SCENARIO --write` writes what stands from here --><!-- to here -->",
      results,
    );
    expect(markers).toContain("| Tidemark | 70,000 | 3.5 | 4 | 120 |");
    expect(markers).toContain("**10 times** the speed of the faster Debezium Server (throughput)");
    expect(markers).toContain("6 % of its CPU time and 12.5 % of its memory");
    expect(markers).toContain("Not measured yet: `npm run bench -- latency`.");
    expect(withFigures(markers, results)).toBe(markers);
    expect(() => withFigures("# Performance", results)).toThrow("markers");
  });
});

test("a bar of the chart is as long as its value is large", () => {
  const widths = Array.from(
    chart(results).matchAll(/<rect x="216" .*? width="(\d+)"/g),
    ([, width]) => Number(width),
  );
  const [ours = 0, throughput = 0, defaults = 0] = widths;
  expect(widths).toHaveLength(12);
  expect(ours / throughput).toBeCloseTo(10, 0);
  expect(ours / defaults).toBeCloseTo(70 / 6.5, 0);
});
