/** How fast Tidemark catches up, beside Debezium Server, go-mysql and mysqlbinlog. */
import { benchCompare } from "../../../bench/compare.ts";
import type { Outcome } from "../campaign.ts";
import { progress } from "../progress.ts";
import type { CheckContext } from "./check.ts";

const RATIO_MIN = 10;
const RSS_RATIO_MAX = 1 / 6;
const CPU_RATIO_MAX = 1 / 15;
const TO_RAW_MIN = 0.6;
/** What is enough where a profile shows that no more can be had; said, but not taken for the goal. */
const SECOND_RATIO_MIN = 7;
const SECOND_CPU_RATIO_MAX = 1 / 10;

export async function compare({ options, servers }: CheckContext): Promise<Outcome> {
  await servers.stop(); // The scenario has its own, and nothing else may run beside it.
  // Never fewer rows: Debezium takes most of a smaller workload to become warm.
  const size = { transactions: 20_000, rounds: options.quick ? 1 : 3 };
  const { kafka, file, rows, rounds } = await benchCompare(size, progress);
  const { ratio, rss_ratio, cpu_ratio, identical } = kafka;
  const others = identical && rss_ratio <= RSS_RATIO_MAX && file.ratio_to_raw >= TO_RAW_MIN;
  const isFirst = others && ratio >= RATIO_MIN && cpu_ratio <= CPU_RATIO_MAX;
  const isSecond = others && ratio >= SECOND_RATIO_MIN && cpu_ratio <= SECOND_CPU_RATIO_MAX;
  const level = isFirst ? "goal" : isSecond ? "second" : "none";
  return { ok: isFirst, void: false, figures: { level, rows, rounds, kafka, file } };
}
