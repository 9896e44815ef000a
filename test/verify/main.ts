/**
 * The acceptance campaigns, on real servers, with the built program as its own process.
 *
 *   npm run verify -- core                              every check of the area
 *   npm run verify -- core --only sigkill --kills 200 --seed 7
 *   npm run verify -- core --mutant forget-tail         a wrong build must be caught
 *   npm run verify -- all --quick                       every area, shortened
 *
 * One JSON line a check on stdout; exit 0 if all hold, 3 if one is void, 1 if one fails.
 */
import { parseArgs } from "node:util";
import type { Figure, Outcome } from "./campaign.ts";
import { areaNames, areas, type AreaName } from "./checks/areas.ts";
import type { Check } from "./checks/check.ts";
import { catchMutant, isMutant, mutantNames } from "./checks/mutants.ts";
import type { Options } from "./options.ts";
import { progress, progressError } from "./progress.ts";
import { Servers } from "./servers.ts";

const EXIT = { ok: 0, failed: 1, void: 3, usage: 64 } as const;

const usage = `Usage: npm run verify -- AREA|all [--only CHECK] [--target kafka|file] [--seed N] [--kills N]
         [--mutant NAME] [--mysql mysql-8|mysql-9] [--quick] [--json]
Areas, and their checks:
${areaNames.map(area => `  ${area}: ${Object.keys(areas[area]).join(", ")}`).join("\n")}
Mutants: ${mutantNames.join(", ")}
`;

class UsageError extends Error {}

interface Chosen {
  readonly area: AreaName;
  readonly name: string;
  readonly check: Check;
}

interface CommandLine {
  readonly options: Options;
  readonly chosen: readonly Chosen[];
  readonly mutant: string | undefined;
}

function parseCommandLine(args: readonly string[]): CommandLine {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      only: { type: "string", multiple: true, default: [] },
      target: { type: "string", default: "kafka" },
      seed: { type: "string" },
      kills: { type: "string" },
      mutant: { type: "string" },
      mysql: { type: "string", default: "mysql-9" },
      quick: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
    },
  });
  const chosen = choose(positionals, values.only);
  if (values.mutant !== undefined && !isMutant(values.mutant)) {
    throw new UsageError(`Unknown mutant "${values.mutant}".`);
  }
  const options: Options = {
    target: oneOf("--target", values.target, ["kafka", "file"]),
    mysql: oneOf("--mysql", values.mysql, ["mysql-8", "mysql-9"]),
    seed:
      values.seed === undefined ? Math.floor(Math.random() * 1e9) : count("--seed", values.seed),
    kills: values.kills === undefined ? undefined : count("--kills", values.kills),
    quick: values.quick,
  };
  return { options, chosen, mutant: values.mutant };
}

function choose(positionals: readonly string[], only: readonly string[]): Chosen[] {
  const wanted = areaNames.filter(area => positionals[0] === area || positionals[0] === "all");
  if (wanted.length === 0 || positionals.length > 1) {
    throw new UsageError(`Unknown area "${positionals.join(" ")}".`);
  }
  const all = wanted.flatMap(area =>
    Object.entries(areas[area]).map(([name, check]) => ({ area, name, check })),
  );
  const unknown = only.find(name => !all.some(check => check.name === name));
  if (unknown !== undefined) throw new UsageError(`Unknown check "${unknown}".`);
  return only.length === 0 ? all : all.filter(({ name }) => only.includes(name));
}

function oneOf<T extends string>(option: string, value: string, known: readonly T[]): T {
  const found = known.find(name => name === value);
  if (found === undefined) throw new UsageError(`${option} is one of ${known.join(", ")}.`);
  return found;
}

function count(option: string, value: string): number {
  if (!/^\d+$/.test(value)) throw new UsageError(`${option} is a number.`);
  return Number(value);
}

function print(line: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** A check that breaks down has failed: what stands in the way of a verdict is no excuse. */
async function outcomeOf(name: string, run: () => Promise<Outcome>): Promise<Outcome> {
  progress(`${name} …`);
  try {
    return await run();
  } catch (error) {
    progressError(name, error);
    const text = error instanceof Error ? error.message : String(error);
    const figures: Record<string, Figure> = { error: text.split("\n")[0] ?? "" };
    return { ok: false, void: false, figures };
  }
}

async function verify({ options, chosen, mutant }: CommandLine): Promise<number> {
  const servers = new Servers(options.mysql);
  const outcomes: Outcome[] = [];
  const stop = (): void => {
    void servers.stop().finally(() => process.exit(130));
  };
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
  try {
    if (mutant !== undefined && isMutant(mutant)) {
      const context = { options, servers };
      const outcome = await outcomeOf(mutant, () => catchMutant(context, mutant));
      print({ area: "core", check: "mutants", mutant, caught: outcome.ok, ...outcome });
      return outcome.ok ? EXIT.ok : EXIT.failed;
    }
    for (const { area, name, check } of chosen) {
      const outcome = await outcomeOf(name, () => check({ options, servers }));
      outcomes.push(outcome);
      print({ area, check: name, ...outcome });
    }
  } finally {
    await servers.stop();
  }
  if (outcomes.some(({ ok, void: isVoid }) => !ok && !isVoid)) return EXIT.failed;
  return outcomes.some(outcome => outcome.void) ? EXIT.void : EXIT.ok;
}

try {
  process.exitCode = await verify(parseCommandLine(process.argv.slice(2)));
} catch (error) {
  if (
    !(error instanceof UsageError) &&
    !(error as { code?: string }).code?.startsWith("ERR_PARSE")
  ) {
    throw error;
  }
  process.stderr.write(`${(error as Error).message}\n${usage}`);
  process.exitCode = EXIT.usage;
}
