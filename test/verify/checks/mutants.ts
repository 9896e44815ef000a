/** Builds that are wrong on purpose: a campaign that does not see them sees nothing. */
import { combined, oracleFaults, type Outcome } from "../campaign.ts";
import { progress } from "../progress.ts";
import { brokerAway } from "./broker.ts";
import type { Check, CheckContext } from "./check.ts";
import { foreignTail } from "./compacted.ts";
import { giant } from "./giant.ts";
import { handover } from "./handover.ts";
import { sigkillFirst } from "./sigkill-first.ts";
import { zombieOnce } from "./zombie.ts";
import { killedAgainAndAgain, type KillOptions } from "./sigkill.ts";

/** By mutant: the campaign that brings about what it does wrong. */
const campaigns = {
  // Only with a commit log that goes on while Kafka stands still does it get far ahead.
  "ack-before-send": killing({ kills: 5, commitLog: "file", frozenShare: 1 }),
  // The set is wrong while a large transaction is being delivered.
  "gtid-before-commit": giant,
  "drop-on-error": brokerAway,
  "forget-tail": killing({ kills: 6 }),
  "release-past-gap": killing({ kills: 5, commitLog: "file", frozenShare: 1 }),
  "start-late": sigkillFirst,
  "no-fence": zombieOnce,
  "forget-window": handover,
  "skip-without-compare": foreignTail,
} as const satisfies Record<string, Check>;

export type Mutant = keyof typeof campaigns;
export const mutantNames = Object.keys(campaigns) as readonly Mutant[];

export function isMutant(name: string): name is Mutant {
  return name in campaigns;
}

function killing(options: Omit<KillOptions, "name">): Check {
  return context => {
    const kills = context.options.kills ?? options.kills;
    return killedAgainAndAgain(context, { name: "mutant", ...options, kills });
  };
}

/** Another seed each time: a kill may fall where the mutant does no harm. */
const ATTEMPTS = 3;

/** `ok` means that the oracle saw it. A run that breaks down has caught nothing. */
export async function catchMutant(context: CheckContext, mutant: Mutant): Promise<Outcome> {
  const { options } = context;
  let outcome: Outcome | undefined;
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const seed = options.seed + attempt;
    const shortened = { ...options, seed, quick: true, target: "kafka" as const };
    outcome = await campaigns[mutant]({ ...context, options: shortened, mutant });
    const caught = oracleFaults(outcome.figures) > 0;
    progress(
      `mutants: ${mutant} ${caught ? "caught" : "not seen"}: ${JSON.stringify(outcome.figures)}`,
    );
    if (caught) return { ok: true, void: false, figures: { ...outcome.figures, caught } };
  }
  return { ok: false, void: false, figures: { ...outcome?.figures, caught: false } };
}

/** All of them. */
export async function mutants(context: CheckContext): Promise<Outcome> {
  const caught: string[] = [];
  const missed: string[] = [];
  for (const mutant of mutantNames) {
    try {
      const { ok } = await catchMutant(context, mutant);
      (ok ? caught : missed).push(mutant);
    } catch (error) {
      progress(`mutants: ${mutant}: ${String(error)}`);
      missed.push(mutant);
    }
  }
  const { seed } = context.options;
  const figures = { seed, caught: caught.join(", "), missed: missed.join(", ") };
  return { ...combined([]), ok: missed.length === 0, figures };
}
