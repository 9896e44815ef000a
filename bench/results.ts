/**
 * The figures that docs/performance.md shows: `npm run bench -- SCENARIO --write` puts the scenario's into
 * docs/performance.json, and from there into the page and its chart.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { join } from "node:path";
import { format } from "prettier";
import { chart } from "./chart.ts";
import type { BenchResult } from "./catch-up.ts";
import type { CompareResult } from "./compare.ts";
import type { LatencyResult } from "./latency.ts";
import type { MemoryResult } from "./memory.ts";
import { withFigures } from "./page.ts";
import type { SnapshotResult } from "./snapshot.ts";
import type { StartResult } from "./start.ts";

export interface Recorded<T> {
  readonly date: string;
  readonly machine: string;
  readonly result: T;
}

export interface Results {
  readonly compare?: Recorded<CompareResult>;
  readonly snapshot?: Recorded<SnapshotResult>;
  readonly latency?: Recorded<LatencyResult>;
  readonly start?: Recorded<StartResult>;
  readonly memory?: Recorded<MemoryResult>;
  readonly decode?: Recorded<BenchResult>;
}

const docs = join(import.meta.dirname, "..", "docs");
const files = {
  results: join(docs, "performance.json"),
  page: join(docs, "performance.md"),
  chart: join(docs, "performance.svg"),
};

export function readResults(): Results {
  return JSON.parse(readFileSync(files.results, "utf8")) as Results;
}

/** What the files of the page have to hold. */
export function pageFiles(results: Results): ReadonlyMap<string, string> {
  const page = withFigures(readFileSync(files.page, "utf8"), results);
  return new Map([
    [files.page, page],
    [files.chart, chart(results)],
  ]);
}

export async function record(scenario: keyof Results, result: object): Promise<void> {
  const date = new Date().toISOString().slice(0, 10);
  const results = { ...readResults(), [scenario]: { date, machine: machine(), result } };
  const text = await format(JSON.stringify(results), { parser: "json", printWidth: 100 });
  writeFileSync(files.results, text);
  for (const [file, contents] of pageFiles(results)) writeFileSync(file, contents);
}

function machine(): string {
  const [cpu] = cpus();
  const memory = Math.round(totalmem() / 2 ** 30);
  const model = (cpu?.model ?? process.arch).replace(/\s+/g, " ").trim();
  return `${cpus().length} cores (${model}), ${memory} GB, Linux ${release().split("-")[0] ?? ""}, Node ${process.versions.node}`;
}
