/**
 * The acceptance campaigns, on real servers, with the built program as its own process.
 *
 *   npm run verify -- core                              every check of the area
 *   npm run verify -- core --only sigkill --kills 200 --seed 7
 *   npm run verify -- core --mutant forget-tail         a wrong build must be caught
 *
 * One JSON line a check on stdout; exit 0 if all hold, 3 if one is void, 1 if one fails.
 */
import { parseArgs } from "node:util";
import type { Figure, Outcome } from "./campaign.ts";
import { checks, type CheckName } from "./checks/core.ts";
import { catchMutant, isMutant, mutantNames } from "./checks/mutants.ts";
import type { Options } from "./options.ts";
import { progress, progressError } from "./progress.ts";
import { Servers } from "./servers.ts";

const EXIT = { ok: 0, failed: 1, void: 3, usage: 64 } as const;

const usage = `Usage: npm run verify -- core|all [--only CHECK] [--target kafka|file] [--seed N] [--kills N]
         [--mutant NAME] [--mysql mysql-8|mysql-9] [--quick] [--json]
Checks:  ${Object.keys(checks).join(", ")}
Mutants: ${mutantNames.join(", ")}
`;

class UsageError extends Error {}

interface CommandLine {
  readonly options: Options;
  readonly only: readonly CheckName[];
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
  const [area = "", ...more] = positionals;
  if ((area !== "core" && area !== "all") || more.length > 0) {
    throw new UsageError(`Unknown area "${positionals.join(" ")}".`);
  }
  const names = Object.keys(checks) as CheckName[];
  const only = values.only.map(name => {
    const check = names.find(known => known === name);
    if (!check) throw new UsageError(`Unknown check "${name}".`);
    return check;
  });
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
  return { options, only: only.length > 0 ? only : names, mutant: values.mutant };
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
  process.stdout.write(`${JSON.stringify({ area: "core", ...line })}\n`);
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

async function verify({ options, only, mutant }: CommandLine): Promise<number> {
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
      print({ check: "mutants", mutant, caught: outcome.ok, ...outcome });
      return outcome.ok ? EXIT.ok : EXIT.failed;
    }
    for (const name of only) {
      const outcome = await outcomeOf(name, () => checks[name]({ options, servers }));
      outcomes.push(outcome);
      print({ check: name, ...outcome });
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
