/**
 * Loads configurations one after the other, as a process of its own for `npm run verify -- product --only
 * config`: reads generated ones as lines of JSON from a file, and writes a line on each.
 */
import { readFileSync } from "node:fs";
import { parseConfig } from "../../src/config/load.ts";
import { printSettings } from "../../src/config/redact.ts";
import { TidemarkError } from "../../src/core/errors.ts";
import type { Generated } from "./generated.ts";

/** What the program would end with, and print. */
export interface Loaded {
  readonly exitCode: number;
  readonly output: string;
}

function load({ text, environment, overrides }: Generated): Loaded {
  try {
    const { settings, warnings } = parseConfig(text, { name: "x.yaml", environment, overrides });
    return { exitCode: 0, output: [printSettings(settings), ...warnings].join("\n") };
  } catch (error) {
    if (error instanceof TidemarkError) return { exitCode: error.exitCode, output: error.message };
    return { exitCode: -1, output: (error as Error).stack ?? "" };
  }
}

const [file = ""] = process.argv.slice(2);
for (const line of readFileSync(file, "utf8").trimEnd().split("\n")) {
  process.stdout.write(`${JSON.stringify(load(JSON.parse(line) as Generated))}\n`);
}
