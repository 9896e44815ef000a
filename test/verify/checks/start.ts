/** How long a start takes until the first record, on a server with 10,000 tables. */
import { benchStart } from "../../../bench/start.ts";
import type { Outcome } from "../campaign.ts";
import { progress } from "../progress.ts";
import type { CheckContext } from "./check.ts";

const FIRST_RECORD_MAX_S = 1.5;

export async function start({ options, servers }: CheckContext): Promise<Outcome> {
  await servers.stop(); // The scenario has its own, and nothing else may run beside it.
  const rounds = options.quick ? 3 : 10;
  const { tables, first_record_s, slowest_s } = await benchStart({ rounds }, progress);
  const figures = { tables, rounds, first_record_s, slowest_s };
  return { ok: first_record_s < FIRST_RECORD_MAX_S, void: false, figures };
}
