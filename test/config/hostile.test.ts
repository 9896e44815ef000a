/** Whatever is written into a configuration: a valid result, or an error that says what is wrong. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { stringify } from "yaml";
import { loadConfig } from "../../src/config/load.ts";
import { printSettings } from "../../src/config/redact.ts";
import { TidemarkError } from "../../src/core/errors.ts";
import { parse } from "./support.ts";

/** Stands where passwords do, and may be printed nowhere. */
const SECRET = "S3cr3t-Tr4ct0r-42";
/** A secret in a wrong place: where that is valid it is printed as what it seems to be, but never in an error. */
const MISPLACED = "M1spl4ced-Tr4ct0r-43";

/** Runs it, and checks what must hold however it ends. */
function survives(action: () => ReturnType<typeof parse>): void {
  try {
    const { settings, config } = action();
    expect(config.pipelines.length).toBeGreaterThan(0);
    expect(printSettings(settings)).not.toContain(SECRET);
  } catch (error) {
    if (!(error instanceof TidemarkError)) throw error;
    expect(["CONFIG_INVALID", "USAGE"]).toContain(error.code);
    expect([64, 78]).toContain(error.exitCode);
    expect(error.message).not.toContain(SECRET);
    expect(error.message).not.toContain(MISPLACED);
    expect(error.message).not.toMatch(/\n\s+at /);
  }
}

const valid = (): Record<string, unknown> => ({
  source: { host: "h", user: "u", password: SECRET, tls: { mode: "required" }, start: "latest" },
  queue: { flush_interval_ms: 1, memory: "64MB" },
  pipelines: [
    {
      name: "a",
      tables: ["a.*"],
      events: ["insert"],
      format: { type: "debezium" },
      sink: {
        type: "kafka",
        brokers: ["k:1"],
        topic: "t",
        tls: {},
        create_topics: { config: { "retention.ms": 1 } },
        sasl: { mechanism: "plain", username: "u", password: SECRET },
      },
      commit_log: { type: "kafka" },
    },
    { name: "b", tables: ["b.c", "!b.d"], sink: { type: "file", path: "x", envelope: true } },
  ],
  log: { level: "info" },
  shutdown_grace_ms: 5,
});

const hostile = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    "",
    " ",
    MISPLACED,
    `\${${"A".repeat(50)}}`,
    "${",
    "${PASSWORD}",
    "$${x}",
    "\u0000",
    "\u202E",
    "a\nb: c",
    "!!js/function",
    "../../etc/passwd",
    "latest",
    "kafka",
    "http://u:p@h/",
    -1,
    0,
    1.5,
    Number.MAX_SAFE_INTEGER,
    1e308,
    -0,
    Infinity,
    NaN,
    true,
    [],
    [[]],
    {},
    { type: MISPLACED },
    { password: MISPLACED },
    { gtid_set: MISPLACED },
    "x".repeat(70_000),
  ),
  fc.jsonValue({ maxDepth: 3 }),
  fc.string({ unit: "binary" }),
  fc.integer(),
);
const key = fc.oneof(
  fc.constantFrom("__proto__", "constructor", "toString", "type", "password", "a.b", "", "a\nb"),
  fc.string(),
);

/** Every place in a document that can be replaced. */
function places(value: unknown, path: readonly (string | number)[] = []): (string | number)[][] {
  if (typeof value !== "object" || value === null) return [[...path]];
  const children = Object.entries(value).flatMap(([name, child]) =>
    places(child, [...path, Array.isArray(value) ? Number(name) : name]),
  );
  return path.length === 0 ? children : [[...path], ...children];
}

function replaceAt(document: unknown, path: readonly (string | number)[], value: unknown): void {
  let target = document as Record<PropertyKey, unknown>;
  for (const step of path.slice(0, -1)) {
    const next = target[step];
    if (typeof next !== "object" || next === null) return;
    target = next as Record<PropertyKey, unknown>;
  }
  const last = path.at(-1) ?? "";
  // No document can say how long a list is.
  if (Array.isArray(target) && last === "length") return;
  Object.defineProperty(target, last, {
    value,
    enumerable: true,
    configurable: true,
    writable: true,
  });
}

const change = fc.record({
  place: fc.constantFrom(...places(valid())),
  below: fc.option(key),
  value: hostile,
});

const options = { environment: { PASSWORD: MISPLACED } };

test("values and keys that were changed at random", { timeout: 120_000 }, () => {
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), changes => {
      const document = valid();
      for (const { place, below, value } of changes) {
        replaceAt(document, below === null ? place : [...place.slice(0, -1), below], value);
      }
      survives(() => parse(stringify(document), options));
    }),
    { numRuns: 4_000 },
  );
});

test("documents of any shape", { timeout: 120_000 }, () => {
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), fc.dictionary(key, hostile)), document => {
      survives(() => parse(stringify(document), options));
    }),
    { numRuns: 2_000 },
  );
});

test("texts of any kind", { timeout: 120_000 }, () => {
  const lines = fc.constantFrom(
    "source:",
    "  host: &a [*a]",
    "  password: *x",
    "  password: &p " + SECRET,
    "pipelines: [",
    "- name: a",
    "\t- x",
    "? [a, b]",
    ": y",
    "<<: *p",
    "---",
    "...",
    "%YAML 1.1",
    "x: !!binary aGk=",
    "x: !foo " + SECRET,
    "'" + SECRET,
    '"\\x',
    "a: {b: ${C}}",
    "{",
    "]",
    "a: |",
    "  " + SECRET,
  );
  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.array(lines, { maxLength: 12 }).map(parts => parts.join("\n")),
  );
  fc.assert(
    fc.property(text, yaml => survives(() => parse(yaml, options))),
    { numRuns: 2_000 },
  );
});

test("documents that refer to themselves, or grow without end", () => {
  const bomb = Array.from({ length: 30 }, (_, index) =>
    index === 0
      ? "a0: &a0 [x, x]"
      : `a${index}: &a${index} [*a${index - 1}, *a${index - 1}, *a${index - 1}]`,
  ).join("\n");
  const deep = `a: ${"[".repeat(5_000)}${"]".repeat(5_000)}`;
  for (const text of ["a: &a [*a]", "a: &a { b: *a }", bomb, deep]) survives(() => parse(text));
});

test("command lines of any kind", { timeout: 120_000 }, () => {
  const url = fc.oneof(
    fc.webUrl(),
    fc.string({ unit: "binary" }),
    fc
      .tuple(fc.constantFrom("mysql:", "kafka:", "file:", "stdout:", "http:"), fc.string())
      .map(([scheme, rest]) => `${scheme}//${rest}`),
    fc.constantFrom(
      `mysql://cdc:${SECRET}@127.0.0.1/shop`,
      `mysql://cdc:${SECRET}%@127.0.0.1/shop`,
      `mysql://cdc:${SECRET}@127.0.0.1:99999/shop`,
      `mysql://cdc:${SECRET}@/shop`,
      `mysql://cdc:${SECRET}@[::1/shop`,
      "stdout:",
      "kafka://127.0.0.1:9092",
    ),
  );
  const override = fc.oneof(
    fc.string(),
    fc.constantFrom(
      `source.password=${SECRET}`,
      `source.password.x=${SECRET}`,
      `source.port=${MISPLACED}`,
      `source.nothing=${MISPLACED}`,
      `pipelines.shop.sink=${MISPLACED}`,
      `pipelines.x.y=${MISPLACED}`,
      `pipelines=["${MISPLACED}"]`,
      `pipelines=[{"name":"${MISPLACED}"}]`,
      "__proto__.x=1",
      "source={}",
    ),
  );
  fc.assert(
    fc.property(
      fc.record({ source: url, target: url, overrides: fc.array(override, { maxLength: 3 }) }),
      request => survives(() => loadConfig(request, {})),
    ),
    { numRuns: 2_000 },
  );
});
