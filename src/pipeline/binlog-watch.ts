/**
 * Asks the server from time to time how far its binlog goes and how long it keeps it: for metrics, and to
 * warn before it removes what is not delivered yet.
 */
import type { MysqlServer } from "../binlog/server.ts";
import { sleep, type Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import { purgeMs } from "../core/purge.ts";
import type { Vitals } from "../core/vitals.ts";

export interface BinlogWatchOptions {
  readonly server: Pick<MysqlServer, "binlogFiles">;
  readonly vitals: Vitals;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** Between two questions; oftener where somebody looks at the metrics. */
  readonly intervalMs: number;
}

/** What the server said longer ago is not shown. */
const FORGOTTEN_INTERVALS = 4;
/** A warning is given when less is left than a quarter of the time for which binlog is kept, or than a day. */
const WARNED_PART = 0.25;
const WARNED_MAX_MS = 86_400_000;

/** Ends with the signal; never rejects. */
export async function binlogWatch(options: BinlogWatchOptions): Promise<void> {
  const { server, vitals, clock, signal, intervalMs } = options;
  let isWarned = false;
  while (!signal.aborted) {
    try {
      const news = await server.binlogFiles();
      if (isAborted(signal)) return;
      vitals.binlog = { ...news, askedMs: clock.nowMs() };
      isWarned = warn(options, isWarned);
    } catch {
      // The reader meets the same trouble, and tells it.
      const { binlog } = vitals;
      const isOld = binlog && clock.nowMs() - binlog.askedMs > FORGOTTEN_INTERVALS * intervalMs;
      if (isOld) vitals.binlog = undefined;
    }
    await sleep(clock, intervalMs, signal).catch(() => undefined);
  }
}

/** Once, until there is time again. */
function warn({ vitals, clock, logger }: BinlogWatchOptions, isWarned: boolean): boolean {
  const { binlog } = vitals;
  const released = vitals.gauges?.().released;
  const leftMs = purgeMs(binlog, released, clock.wallMs());
  if (binlog === undefined || released === undefined || leftMs === undefined) return isWarned;
  if (leftMs >= Math.min(binlog.expireS * 1000 * WARNED_PART, WARNED_MAX_MS)) return false;
  if (isWarned) return true;
  const fields = { file: released.file, seconds_left: Math.round(leftMs / 1000) };
  logger.warn(
    { ...fields, kept_seconds: binlog.expireS },
    "The server soon removes the binlog file up to which everything is delivered: what it holds and is not read " +
      "by then is lost. Find out what holds up delivery, or raise binlog_expire_logs_seconds",
  );
  return true;
}

/** It changes while we wait. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}
