/** The most memory, through what would take more if anything were held that need not be. */
import { benchMemory } from "../../../bench/memory.ts";
import type { Outcome } from "../campaign.ts";
import { progress } from "../progress.ts";
import type { CheckContext } from "./check.ts";

const PEAK_RSS_MAX_MB = 300;

export async function memory({ options, servers }: CheckContext): Promise<Outcome> {
  await servers.stop(); // The scenario has its own, and nothing else may run beside it.
  const { million_rows, rows_of_4_mb, stall } = await benchMemory(options, progress);
  const figures = { million_rows, rows_of_4_mb, stall };
  const ok = Object.values(figures).every(({ peak_rss_mb }) => peak_rss_mb < PEAK_RSS_MAX_MB);
  return { ok, void: false, figures };
}
