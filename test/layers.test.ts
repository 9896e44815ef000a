/** Who may import whom (docs/architecture.md). Meetings of stages happen in pipeline, nowhere else. */
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, expect, test } from "vitest";

/** A folder, or a file of it where only that one may be imported. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  core: [],
  config: ["core", "compression/compression.ts", "compression/zstd.ts"],
  columns: ["core"],
  compression: [],
  formats: ["core"],
  binlog: ["core", "compression"],
  sinks: ["core"],
  watcher: ["core", "sinks/sink.ts"],
  queue: ["core", "columns", "formats", "sinks/sink.ts"],
  kafka: ["core", "compression", "sinks/sink.ts", "watcher/commit-log.ts"],
  check: ["core", "config", "binlog", "kafka", "sinks"],
  snapshot: ["core", "binlog"],
  decode: ["core", "config", "formats", "binlog", "pipeline/start.ts"],
  metrics: ["core"],
  http: ["core", "metrics"],
  pipeline: [
    "core",
    "config",
    "columns",
    "formats",
    "binlog",
    "sinks",
    "watcher",
    "queue",
    "kafka",
    "check",
    "snapshot",
  ],
  position: ["core", "config", "binlog", "kafka", "watcher", "check", "pipeline"],
  cli: ["core", "config", "check", "decode", "pipeline", "position", "http"],
  "main.ts": ["cli"],
};

const files = readdirSync("src", { recursive: true, encoding: "utf8" }).filter(
  file => file.endsWith(".ts") && !file.endsWith(".d.ts"),
);

function imports(file: string): string[] {
  const source = readFileSync(join("src", file), "utf8");
  const found = source.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*"(\.[^"]+)"/g);
  return Array.from(found, ([, path = ""]) => normalize(join(dirname(file), path)));
}

describe("imports", () => {
  test.each(files)("of src/%s go downward", file => {
    const [folder = ""] = file.split("/");
    const allowed = MAY_IMPORT[folder];
    expect(allowed, `${folder} has no place among the layers`).toBeDefined();
    for (const path of imports(file)) {
      const isAllowed = [folder, ...(allowed ?? [])].some(
        place => path === place || path.startsWith(`${place}/`),
      );
      expect(isAllowed, `src/${file} imports ${path}`).toBe(true);
    }
  });

  test("are found at all", () => {
    expect(imports("main.ts")).toEqual(["cli/cli.ts"]);
  });
});
