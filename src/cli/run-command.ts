/** `tidemark run`: the configuration, the log, the signals, and the pipelines between them. */
import { readEnvironment, wantsColors, type Environment } from "../config/environment.ts";
import type { LogConfig } from "../config/config.ts";
import { loadConfig } from "../config/load.ts";
import type { Config } from "../config/config.ts";
import { systemClock } from "../core/clock.ts";
import { createLogger } from "../core/logger.ts";
import type { Logger } from "../core/logger.ts";
import { Vitals } from "../core/vitals.ts";
import { openHttp } from "../http/http.ts";
import { runPipelines } from "../pipeline/run.ts";
import { LivePicture } from "./live-picture.ts";
import type { Reporter } from "./reporter.ts";
import { drawSnapshots } from "./snapshot-bar.ts";
import { Stop } from "./stop.ts";

/** How long pipelines may take to close their connections after a hard stop. */
const CLOSE_MS = 3_000;

export interface RunFlags {
  readonly config?: string;
  readonly set?: readonly string[];
  readonly name?: string;
  readonly logLevel?: string;
  /** Seconds. */
  readonly connectTimeout?: number;
}

export interface RunCommand {
  readonly source: string | undefined;
  readonly target: string | undefined;
  readonly flags: RunFlags;
  readonly reporter: Reporter;
}

/** @throws TidemarkError of the first pipeline that halted, or DRAIN_TIMEOUT. */
export async function runCommand({ source, target, flags, reporter }: RunCommand): Promise<void> {
  const { config: file, set = [], name, logLevel, connectTimeout } = flags;
  const overrides = [...set, ...(logLevel === undefined ? [] : [`log.level=${logLevel}`])];
  const environment = readEnvironment();
  const { config, warnings } = loadConfig({ file, source, target, name, overrides }, environment);
  const picture = showsBar(config, environment)
    ? new LivePicture(text => process.stderr.write(text))
    : undefined;
  const logger = makeLogger(config.log, wantsColors(environment), picture);
  reporter.useLogger(logger);
  for (const warning of warnings) logger.warn({}, warning);
  const connectTimeoutMs =
    connectTimeout === undefined ? undefined : Math.ceil(connectTimeout * 1000);
  const vitals = makeVitals(config);
  const terminal = process.stderr;
  const bar = picture && drawSnapshots(vitals, { picture, clock: systemClock, terminal });
  try {
    await runConfig(config, { logger, reporter, connectTimeoutMs, vitals });
  } finally {
    bar?.end();
  }
}

/** On a terminal, unless lines that are no log come there too. */
function showsBar({ log, pipelines }: Config, environment: Environment): boolean {
  const { isTTY } = process.stderr;
  if (!isTTY || log.format === "json" || environment["TERM"] === "dumb") return false;
  return !process.stdout.isTTY || pipelines.every(({ sink }) => sink.type !== "stdout");
}

export interface RunConfigOptions {
  readonly logger: Logger;
  readonly reporter: Reporter;
  readonly connectTimeoutMs?: number | undefined;
  /** One for each pipeline, in their order. */
  readonly vitals: readonly Vitals[];
}

/** @throws as `runCommand`. */
export async function runConfig(config: Config, options: RunConfigOptions): Promise<void> {
  const { logger, reporter, connectTimeoutMs, vitals } = options;
  const stop = new Stop({ graceMs: config.shutdownGraceMs, logger });
  const { soft, hard } = stop;
  reporter.expectAborts(soft, hard);
  const http = await listen(config, vitals, logger);
  stop.listen();
  logger.info({ version: __VERSION__, pipelines: config.pipelines.length }, "starts");
  try {
    const running = runPipelines(config, {
      ...{ logger, soft, hard, connectTimeoutMs, vitals },
      onHalt: (error, pipeline) => reporter.report(error, { pipeline }),
    });
    await Promise.race([running, rejectAfter(hard, CLOSE_MS)]);
    logger.info({}, "ended; everything that was read is delivered");
  } catch (thrown) {
    if (!soft.aborted || !isCausedBy(thrown, soft.reason)) throw thrown;
    logger.info({}, "ended before anything was read");
  } finally {
    stop.release();
    endSoon();
    await http?.close();
  }
}

function makeVitals({ pipelines, http }: Config): Vitals[] {
  const labels = { left: http?.tables ?? 0 };
  return pipelines.map(({ name }) => new Vitals(name, systemClock, labels));
}

async function listen(
  { http, queue }: Config,
  vitals: readonly Vitals[],
  logger: Logger,
): Promise<{ close(): Promise<void> } | undefined> {
  return (
    http &&
    openHttp({
      ...http,
      bounds: http.ready,
      vitals,
      memoryBytes: queue.memoryBytes,
      version: __VERSION__,
      clock: systemClock,
      logger,
    })
  );
}

function makeLogger(
  { level, format }: LogConfig,
  colors: boolean,
  picture: LivePicture | undefined,
): Logger {
  const { isTTY } = process.stderr;
  return createLogger({
    level,
    format: format ?? (isTTY ? "text" : "json"),
    colors: colors && isTTY,
    ...(picture && { write: (line: string) => picture.above(line) }),
  });
}

/** A stage that hangs must not outlive the hard stop. Never resolves. */
function rejectAfter(hard: AbortSignal, ms: number): Promise<never> {
  return new Promise((_, reject) => {
    hard.addEventListener(
      "abort",
      () => setTimeout(() => reject(hard.reason as Error), ms).unref(),
      { once: true },
    );
  });
}

function isCausedBy(thrown: unknown, reason: unknown): boolean {
  return thrown === reason || (thrown instanceof Error && thrown.cause === reason);
}

/** What was asked is answered; a connection attempt that hangs is left behind. */
export const QUESTIONS_END_MS = 100;

/** A connection that a library leaves open must not keep the process. */
export function endSoon(ms = CLOSE_MS): void {
  setTimeout(() => process.exit(), ms).unref();
}
