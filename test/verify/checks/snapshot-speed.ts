/** Existing rows into Kafka, beside what the server gives any client, and beside Debezium Server. */
import { benchSnapshot } from "../../../bench/snapshot.ts";
import type { Outcome } from "../campaign.ts";
import { rounds } from "../options.ts";
import { progress } from "../progress.ts";
import type { CheckContext } from "./check.ts";

const RATIO_TO_MYSQL_MIN = 0.35;
const PEAK_RSS_MAX_MB = 300;

export async function snapshotSpeed({ options, servers }: CheckContext): Promise<Outcome> {
  await servers.stop(); // The scenario has its own, and nothing else may run beside it.
  const { quick } = options;
  const figures = { ...(await benchSnapshot({ quick, rounds: rounds(options, 3, 1) }, progress)) };
  const ok =
    figures.ratio_to_mysql >= RATIO_TO_MYSQL_MIN &&
    figures.peak_rss_mb < PEAK_RSS_MAX_MB &&
    figures.identical;
  return { ok, void: false, figures };
}
