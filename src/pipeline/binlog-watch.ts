/** Asks the server, every 15 s, how far its binlog goes and how long it keeps it. For metrics only. */
import type { MysqlServer } from "../binlog/server.ts";
import { sleep, type Clock } from "../core/clock.ts";
import type { Vitals } from "../core/vitals.ts";

export interface BinlogWatchOptions {
  readonly server: Pick<MysqlServer, "binlogFiles">;
  readonly vitals: Vitals;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

const INTERVAL_MS = 15_000;
/** What the server said longer ago is not shown. */
const FORGET_MS = 60_000;

/** Ends with the signal; never rejects. */
export async function binlogWatch(options: BinlogWatchOptions): Promise<void> {
  const { server, vitals, clock, signal } = options;
  while (!signal.aborted) {
    try {
      const news = await server.binlogFiles();
      if (isAborted(signal)) return;
      vitals.binlog = { ...news, askedMs: clock.nowMs() };
    } catch {
      // The reader meets the same trouble, and tells it.
      const { binlog } = vitals;
      if (binlog && clock.nowMs() - binlog.askedMs > FORGET_MS) vitals.binlog = undefined;
    }
    await sleep(clock, INTERVAL_MS, signal).catch(() => undefined);
  }
}

/** It changes while we wait. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}
