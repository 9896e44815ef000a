/** How long a change takes from COMMIT's OK to the consumer, at 1,000 rows a second. */
import { benchLatency } from "../../../bench/latency.ts";
import type { Outcome } from "../campaign.ts";
import { progress } from "../progress.ts";
import type { CheckContext } from "./check.ts";

const FLUSH_0_P50_MAX_MS = 20;
const FLUSH_0_P99_MAX_MS = 100;
const DEFAULT_P50_MAX_MS = 70;
/** A writer that is slower than it should be makes it easy for the others. */
const RATE_MIN = 950;

export async function latency({ options, servers }: CheckContext): Promise<Outcome> {
  await servers.stop(); // The scenario has its own, and nothing else may run beside it.
  const { flush_0, default: byDefault } = await benchLatency(options, progress);
  const isVoid = [flush_0, byDefault].some(({ rows_per_s }) => rows_per_s < RATE_MIN);
  const ok =
    flush_0.p50_ms < FLUSH_0_P50_MAX_MS &&
    flush_0.p99_ms < FLUSH_0_P99_MAX_MS &&
    byDefault.p50_ms < DEFAULT_P50_MAX_MS;
  return { ok: ok && !isVoid, void: isVoid, figures: { flush_0, default: byDefault } };
}
