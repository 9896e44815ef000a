/**
 * Recorded events, damaged at random, a million of them: a typed error or rows, and no growth.
 *
 * Each case has a decoder of its own, with the buffers that a decoder keeps, so that it leaves garbage; how
 * much of that lies about depends on how busy the machine is. What is measured is what a full collection
 * leaves: the memory in use, and what the process has of the system.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { EventMutations } from "../../support/event-mutations.ts";
import type { Outcome } from "../campaign.ts";
import { rounds } from "../options.ts";
import { progress } from "../progress.ts";
import type { CheckContext } from "./check.ts";

const CASES = 1_000_000;
const ROUND = 10_000;
const HANG_MS = 5_000;
/** Of memory in use: 16 bytes a case would show. */
const GROWTH_MAX_MB = 15;
/** Of the process, whose memory is never quite without holes. */
const RSS_GROWTH_MAX_MB = 50;
const MEASURES = 10;
const MB = 2 ** 20;

export async function mutations({ options }: CheckContext): Promise<Outcome> {
  const planned = rounds(options, CASES);
  const events = new EventMutations();
  const figures = { seed: options.seed, cases: 0, refused: 0, taken: 0, wrong: 0, slowest_ms: 0 };
  const memory = new Growth();
  for (let done = 0; done < planned && figures.wrong === 0; done += ROUND) {
    // Neighbouring seeds have no case in common.
    const result = events.run(options.seed * planned + done, Math.min(ROUND, planned - done));
    figures.cases += result.cases;
    figures.refused += result.refused;
    figures.taken += result.taken;
    figures.wrong += result.findings.length;
    figures.slowest_ms = Math.max(figures.slowest_ms, result.slowestMs);
    for (const { seed, reason } of result.findings) progress(`mutations: seed ${seed}: ${reason}`);
    if (figures.cases % (planned / MEASURES) === 0) memory.measure();
    if (done % (ROUND * 10) === 0) progress(`mutations: ${done} cases`);
    await new Promise(resolve => setImmediate(resolve));
  }
  const { grownMb, rssGrownMb } = memory;
  const hasGrown = grownMb > GROWTH_MAX_MB || rssGrownMb > RSS_GROWTH_MAX_MB;
  const ok = figures.wrong === 0 && figures.slowest_ms < HANG_MS && !hasGrown;
  const isVoid = figures.refused < planned / 10 || figures.taken < planned / 100;
  const grown = { grown_mb: grownMb, rss_grown_mb: rssGrownMb };
  return { ok: ok && !isVoid, void: isVoid, figures: { ...figures, ...grown } };
}

/** The first measurement is what the others are compared with. */
class Growth {
  readonly #collect = exposedCollector();
  #first: { readonly usedMb: number; readonly rssMb: number } | undefined;
  grownMb = 0;
  rssGrownMb = 0;

  measure(): void {
    this.#collect();
    this.#collect(); // Buffers are freed beside the program; the second collection waits for that.
    const { heapUsed, external, rss } = process.memoryUsage();
    const usedMb = (heapUsed + external) / MB;
    const rssMb = rss / MB;
    this.#first ??= { usedMb, rssMb };
    this.grownMb = Math.max(this.grownMb, Math.round(usedMb - this.#first.usedMb));
    this.rssGrownMb = Math.max(this.rssGrownMb, Math.round(rssMb - this.#first.rssMb));
  }
}

/** Node hands it out only if it is asked to. */
function exposedCollector(): () => void {
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc") as () => void;
}
