import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { buildBundle } from "./support/bundle.ts";

const MUTANTS = [
  "ack-before-send",
  "gtid-before-commit",
  "drop-on-error",
  "forget-tail",
  "release-past-gap",
  "start-late",
  "no-fence",
  "forget-window",
  "skip-without-compare",
];

describe("the bundle", () => {
  let bundle = "";
  beforeAll(() => {
    bundle = buildBundle();
  });

  test("is one file that runs with Node alone, in a folder without packages", () => {
    const cwd = mkdtempSync(join(tmpdir(), "tidemark-alone-"));
    const output = execFileSync(process.execPath, [bundle, "--version"], { cwd, encoding: "utf8" });
    expect(output).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  test("imports nothing but what Node has", () => {
    const source = readFileSync(bundle, "utf8");
    const imported = Array.from(
      source.matchAll(/(?<=^|[;\n])import(?:[\w*{}\s,$]+from)?\s*["']([^"'\n]+)["'];/g),
      ([, name = ""]) => name.replace(/^node:/, ""),
    );
    expect(imported.length).toBeGreaterThan(50);
    expect(imported.filter(name => !builtinModules.includes(name))).toEqual([]);
  });

  test("is ASCII, of which V8 keeps one byte for each character", () => {
    expect(readFileSync(bundle).findIndex(byte => byte > 0x7f)).toBe(-1);
  });

  test("can be run as a program", () => {
    expect(readFileSync(bundle, "utf8").startsWith("#!/usr/bin/env node\n")).toBe(true);
  });

  test.each(MUTANTS)("holds nothing of the mutant %s", name => {
    expect(readFileSync(bundle, "utf8")).not.toContain(name);
  });
});
