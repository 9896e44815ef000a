/**
 * Runs every pipeline of the configuration until it is told to stop. Each has its own queue, commit log
 * and failure; none waits for another.
 *
 * A pipeline that met a `restart` error ends as in a crash and begins again from its commit log, with
 * back-off; a `halt` ends it for good.
 */
import { Backoff } from "../core/backoff.ts";
import { sleep, systemClock } from "../core/clock.ts";
import type { Config, PipelineConfig } from "../config/config.ts";
import { toTidemarkError, type TidemarkError } from "../core/errors.ts";
import type { Identities } from "../kafka/fence.ts";
import type { Logger } from "../core/logger.ts";
import type { Vitals } from "../core/vitals.ts";
import { runPipeline } from "./build.ts";
import { logRates } from "./rates.ts";
import type { StopSignals } from "./pipeline.ts";

export interface RunOptions extends StopSignals {
  readonly logger: Logger;
  /** How long a start may wait for MySQL and the destination; undefined is for ever. */
  readonly connectTimeoutMs: number | undefined;
  /** Called when a pipeline has ended for good while others may go on; not when it was asked to stop. */
  readonly onHalt: (error: TidemarkError, pipeline: string) => void;
  /** One for each pipeline, in their order. */
  readonly vitals: readonly Vitals[];
}

const RESTART_FIRST_MS = 500;
const RESTART_MAX_MS = 30_000;
/** A run that lasted this long was in order; the next restart is a new trouble. */
const HEALTHY_MS = 60_000;

/**
 * Resolves when every pipeline has drained after `soft`.
 *
 * @throws TidemarkError of the first pipeline that halted, once all have ended; that of a stop which took
 *   too long only if none had halted.
 */
export async function runPipelines(config: Config, options: RunOptions): Promise<void> {
  const ended = new AbortController();
  const { ratesMs } = config.log;
  if (ratesMs > 0) {
    void logRates({ ...options, intervalMs: ratesMs, clock: systemClock, signal: ended.signal });
  }
  const results = await Promise.allSettled(
    config.pipelines.map((_, index) => supervise(config, index, options)),
  );
  ended.abort();
  const faults = results.filter(({ status }) => status === "rejected") as PromiseRejectedResult[];
  const fault = faults.find(({ reason }) => !isStop(reason, options)) ?? faults[0];
  if (fault) throw fault.reason as TidemarkError;
}

async function supervise(config: Config, index: number, options: RunOptions): Promise<void> {
  const pipeline = config.pipelines[index] as PipelineConfig;
  const vitals = options.vitals[index] as Vitals;
  const logger = options.logger.child({ pipeline: pipeline.name });
  const stopping = (): void => {
    if (vitals.phase !== "ended") vitals.enter("stopping");
  };
  options.soft.addEventListener("abort", stopping, { once: true });
  const backoff = new Backoff({ firstMs: RESTART_FIRST_MS, maxMs: RESTART_MAX_MS });
  const warned = new Set<string>();
  const identities: Identities = new Map();
  const snapshots = new Set<string>();
  for (;;) {
    const startedMs = systemClock.nowMs();
    try {
      await runPipeline({
        ...options,
        config,
        pipeline,
        index,
        logger,
        warned,
        identities,
        snapshots,
        vitals,
      });
      vitals.enter("ended", "it was asked to stop.");
      return;
    } catch (thrown) {
      const error = toTidemarkError(thrown);
      if (error.code === "MESSAGE_REFUSED") vitals.refused += 1;
      vitals.enter(error.reaction === "restart" ? "restarting" : "ended", error.message);
      // What is in doubt at a stop is found again by the next start.
      if (error.reaction === "restart" && options.soft.aborted) return;
      if (error.reaction !== "restart") {
        if (!isStop(error, options)) options.onHalt(error, pipeline.name);
        throw error;
      }
      if (systemClock.nowMs() - startedMs > HEALTHY_MS) backoff.reset();
      vitals.restarts += 1;
      logger.warn({ code: error.code, reason: error.message }, "begins again from its commit log");
    }
    await sleep(systemClock, backoff.delayMs(), options.soft).catch(() => undefined);
  }
}

/** It only ended because it was told to. */
function isStop(error: unknown, { soft, hard }: StopSignals): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  return [soft, hard].some(
    ({ aborted, reason }) => aborted && (error === reason || cause === reason),
  );
}
