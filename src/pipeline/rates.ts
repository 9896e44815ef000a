/** One line in the log for each pipeline, every so often: how much was read and delivered since the last. */
import { sleep, type Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import type { Vitals } from "../core/vitals.ts";

export interface RatesOptions {
  readonly vitals: readonly Vitals[];
  readonly intervalMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** Ends with the signal; never rejects. */
export async function logRates(options: RatesOptions): Promise<void> {
  const { vitals, intervalMs, clock, logger, signal } = options;
  let before = vitals.map(countsOf);
  let beforeMs = clock.nowMs();
  while (!signal.aborted) {
    await sleep(clock, intervalMs, signal).catch(() => undefined);
    if (isAborted(signal)) return;
    const seconds = (clock.nowMs() - beforeMs) / 1000;
    const now = vitals.map(countsOf);
    for (const [i, { pipeline }] of vitals.entries()) {
      const perSecond = (key: keyof Counts): number =>
        Math.round(((now[i] as Counts)[key] - (before[i] as Counts)[key]) / seconds);
      const rates = { rows_per_s: perSecond("rows"), messages_per_s: perSecond("messages") };
      logger.info({ pipeline, ...rates }, "rates");
    }
    before = now;
    beforeMs = clock.nowMs();
  }
}

/** It changes while we wait. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}

interface Counts {
  readonly rows: number;
  readonly messages: number;
}

function countsOf({ read, delivered }: Vitals): Counts {
  return { rows: read.items, messages: delivered.items };
}
