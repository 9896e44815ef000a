/** Recorded events, damaged at random, a million of them: a typed error or rows, and no growth. */
import { EventMutations } from "../../support/event-mutations.ts";
import type { Outcome } from "../campaign.ts";
import { rounds } from "../options.ts";
import { progress } from "../progress.ts";
import type { CheckContext } from "./check.ts";

const CASES = 1_000_000;
const ROUND = 10_000;
const HANG_MS = 5_000;
const GROWTH_MAX_MB = 100;
const MB = 2 ** 20;

export async function mutations({ options }: CheckContext): Promise<Outcome> {
  const planned = rounds(options, CASES);
  const events = new EventMutations();
  const figures = { seed: options.seed, cases: 0, refused: 0, taken: 0, wrong: 0, slowest_ms: 0 };
  let settledMb = 0;
  let grownMb = 0;
  for (let done = 0; done < planned && figures.wrong === 0; done += ROUND) {
    const result = events.run(options.seed + done, Math.min(ROUND, planned - done));
    figures.cases += result.cases;
    figures.refused += result.refused;
    figures.taken += result.taken;
    figures.wrong += result.findings.length;
    figures.slowest_ms = Math.max(figures.slowest_ms, result.slowestMs);
    for (const { seed, reason } of result.findings) progress(`mutations: seed ${seed}: ${reason}`);
    const usedMb = Math.round(process.memoryUsage().rss / MB);
    if (done < ROUND * 2) settledMb = Math.max(settledMb, usedMb);
    grownMb = Math.max(grownMb, usedMb - settledMb);
    if (done % (ROUND * 10) === 0) progress(`mutations: ${done} cases`);
    await new Promise(resolve => setImmediate(resolve));
  }
  const ok = figures.wrong === 0 && figures.slowest_ms < HANG_MS && grownMb < GROWTH_MAX_MB;
  const isVoid = figures.refused < planned / 10 || figures.taken < planned / 100;
  return { ok: ok && !isVoid, void: isVoid, figures: { ...figures, grown_mb: grownMb } };
}
