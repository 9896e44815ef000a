/** `npm run bench`: see options.ts for its scenarios and options. */
import { ServicesError } from "../tools/services/failure.ts";
import { stopAll } from "../tools/services/services.ts";
import { Failure, Interrupted } from "../tools/demo/failure.ts";
import { CatchUp } from "./catch-up.ts";
import { benchCompare } from "./compare.ts";
import { benchDecode } from "./decode.ts";
import { benchLatency } from "./latency.ts";
import { benchMemory } from "./memory.ts";
import { isPublished, parseOptions, usage, type BenchOptions } from "./options.ts";
import { record } from "./results.ts";
import { benchSnapshot } from "./snapshot.ts";
import { benchStart } from "./start.ts";

async function main(): Promise<void> {
  const runs = parseOptions(process.argv.slice(2));
  if (!runs) {
    process.stdout.write(usage);
    return;
  }
  const bornAt = performance.now();
  const say = (text: string): void => {
    const seconds = ((performance.now() - bornAt) / 1000).toFixed(1).padStart(6);
    process.stderr.write(`${seconds} s  ${text}\n`);
  };
  const interruption = interrupted();
  for (const options of runs) {
    try {
      const result = await Promise.race([measured(options, say), interruption]);
      process.stdout.write(`${options.json ? JSON.stringify(result) : described(result)}\n`);
      const { scenario } = options;
      if (options.write && isPublished(scenario)) await record(scenario, result);
    } finally {
      await stopAll();
    }
  }
}

function measured(options: BenchOptions, say: (text: string) => void): Promise<object> {
  const { scenario } = options;
  switch (scenario) {
    case "decode":
      return benchDecode(options, say);
    case "latency":
      return benchLatency(options, say);
    case "start":
      return benchStart(options, say);
    case "compare":
      return benchCompare(options, say);
    case "snapshot":
      return benchSnapshot(options, say);
    case "memory":
      return benchMemory(options, say);
    case "kafka":
    case "file":
      return new CatchUp({ ...options, scenario }, say).run();
  }
}

/** One figure a line, under the names that it has in JSON. */
function described(result: object, indent = ""): string {
  const lines = Object.entries(result).map(([name, value]: [string, unknown]) => {
    if (typeof value === "object" && value !== null) {
      return `${indent}${name}\n${described(value, `${indent}  `)}`;
    }
    const shown = typeof value === "number" ? value.toLocaleString("en-US") : String(value);
    return `${indent}${name.padEnd(30 - indent.length)}${shown}`;
  });
  return lines.join("\n");
}

function interrupted(): Promise<never> {
  return new Promise((_resolve, reject) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.on(signal, () => reject(new Interrupted(signal)));
    }
  });
}

try {
  await main();
} catch (error) {
  const known = [Failure, ServicesError, Interrupted].some(kind => error instanceof kind);
  const text = error instanceof Error ? (known ? error.message : error.stack) : String(error);
  process.stderr.write(`${(text ?? "").trimEnd()}\n`);
  process.exitCode = error instanceof Interrupted ? error.exitCode : 1;
}
// What was under way when a run was cut short has nothing left to work with.
process.exit();
