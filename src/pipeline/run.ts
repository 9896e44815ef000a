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
import type { Logger } from "../core/logger.ts";
import { runPipeline } from "./build.ts";
import type { StopSignals } from "./pipeline.ts";

export interface RunOptions extends StopSignals {
  readonly logger: Logger;
  /** How long a start may wait for MySQL and the destination; undefined is for ever. */
  readonly connectTimeoutMs: number | undefined;
}

const RESTART_FIRST_MS = 500;
const RESTART_MAX_MS = 30_000;
/** A run that lasted this long was in order; the next restart is a new trouble. */
const HEALTHY_MS = 60_000;

/**
 * Resolves when every pipeline has drained after `soft`.
 *
 * @throws TidemarkError of the first pipeline that halted, once all have ended.
 */
export async function runPipelines(config: Config, options: RunOptions): Promise<void> {
  const results = await Promise.allSettled(
    config.pipelines.map((_, index) => supervise(config, index, options)),
  );
  for (const result of results) {
    if (result.status === "rejected") throw result.reason as TidemarkError;
  }
}

async function supervise(config: Config, index: number, options: RunOptions): Promise<void> {
  const pipeline = config.pipelines[index] as PipelineConfig;
  const logger = options.logger.child({ pipeline: pipeline.name });
  const backoff = new Backoff({ firstMs: RESTART_FIRST_MS, maxMs: RESTART_MAX_MS });
  const warned = new Set<string>();
  for (;;) {
    const startedMs = systemClock.nowMs();
    try {
      await runPipeline({ ...options, config, pipeline, index, logger, warned });
      return;
    } catch (thrown) {
      const error = toTidemarkError(thrown);
      // What is in doubt at a stop is found again by the next start.
      if (error.reaction === "restart" && options.soft.aborted) return;
      if (error.reaction !== "restart") {
        if (config.pipelines.length > 1) logger.error({ code: error.code }, error.message);
        throw error;
      }
      if (systemClock.nowMs() - startedMs > HEALTHY_MS) backoff.reset();
      logger.warn({ code: error.code, reason: error.message }, "begins again from its commit log");
    }
    await sleep(systemClock, backoff.delayMs(), options.soft).catch(() => undefined);
  }
}
