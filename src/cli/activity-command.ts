/**
 * `tidemark activity`: which schemas and tables receive changes, to look at and, with a queue, as messages.
 * With a queue it is an ordinary pipeline, which keeps its position; without one it only counts.
 */
import { randomInt } from "node:crypto";
import { loadActivity, type ActivityForm } from "../config/activity-form.ts";
import type { Config } from "../config/config.ts";
import { readEnvironment, wantsColors } from "../config/environment.ts";
import { systemClock } from "../core/clock.ts";
import { TidemarkError } from "../core/errors.ts";
import { createLogger, type Logger } from "../core/logger.ts";
import { Vitals } from "../core/vitals.ts";
import { countChanges } from "../pipeline/count.ts";
import { ActivitySampler } from "./activity-sample.ts";
import { activityJson, activityLine, activityTable } from "./activity-view.ts";
import { LivePicture } from "./live-picture.ts";
import type { Reporter } from "./reporter.ts";
import { runConfig } from "./run-command.ts";

/** What commander hands over: the form, and how it is shown. */
export interface ActivityFlags extends Omit<ActivityForm, "verbose" | "overrides"> {
  readonly verbose?: boolean;
  readonly json?: boolean;
  readonly set?: readonly string[];
  /** Seconds. */
  readonly report?: number;
}

const REPORT_TERMINAL_S = 1;
const REPORT_LINES_S = 10;
/** A terminal that does not know its size says 0. */
const WIDTH_MIN = 40;
const HEIGHT_MIN = 6;
/** Tables that are counted apart. */
const TABLES_MAX = 10_000;
/** Above what people and Tidemark itself number replicas with. */
const SERVER_ID_MIN = 2 ** 31;
const SERVER_ID_MAX = 2 ** 32 - 100;

export async function activityCommand(flags: ActivityFlags, reporter: Reporter): Promise<void> {
  const environment = readEnvironment();
  const { set: overrides = [], verbose = false } = flags;
  const { config, warnings } = loadActivity({ ...flags, verbose, overrides }, environment);
  const colors = wantsColors(environment);
  const picture = isLive(flags) ? new LivePicture(text => process.stdout.write(text)) : undefined;
  const logger = makeLogger(config, colors, picture);
  reporter.useLogger(logger);
  for (const warning of warnings) logger.warn({}, warning);
  const vitals = new Vitals(flags.name, systemClock, { left: TABLES_MAX });
  const report = reporting(flags, { config, vitals, picture });
  try {
    if (flags.queueUrl === undefined) await count(flags, { config, vitals, logger, reporter });
    else await runConfig(config, { logger, reporter, vitals: [vitals] });
  } finally {
    report.end();
  }
}

export function parseReport(value: string): number {
  const seconds = /^\d+(\.\d+)?$/.test(value) ? Number(value) : 0;
  if (seconds >= 0.1 && seconds <= 86_400) return seconds;
  throw new TidemarkError("USAGE", "--report expects a number of seconds from 0.1 to 86400.");
}

interface Given {
  readonly config: Config;
  readonly vitals: Vitals;
}

async function count(
  { serverId }: ActivityFlags,
  { config, vitals, logger, reporter }: Given & { logger: Logger; reporter: Reporter },
): Promise<void> {
  const ending = new AbortController();
  const { signal } = ending;
  const end = (): void => ending.abort();
  reporter.expectAborts(signal);
  process.once("SIGINT", end);
  process.once("SIGTERM", end);
  try {
    // Nobody asked for an id: one that belongs to a pipeline would end that pipeline.
    const own =
      serverId === undefined ? randomInt(SERVER_ID_MIN, SERVER_ID_MAX) : config.source.serverId;
    await countChanges({ config, serverId: own, vitals, logger, signal });
  } finally {
    process.off("SIGINT", end);
    process.off("SIGTERM", end);
  }
}

function isLive({ json = false }: ActivityFlags): boolean {
  return process.stdout.isTTY && !json;
}

function makeLogger({ log }: Config, colors: boolean, picture: LivePicture | undefined): Logger {
  const { isTTY } = process.stderr;
  return createLogger({
    level: log.level,
    format: log.format ?? (isTTY ? "text" : "json"),
    colors: colors && isTTY,
    ...(picture && isTTY ? { write: (line: string) => picture.above(line) } : {}),
  });
}

/** Shows what changed, every so often, until `end` is called: that shows what is left. */
function reporting(
  flags: ActivityFlags,
  { config, vitals, picture }: Given & { picture: LivePicture | undefined },
): { end(): void } {
  const sampler = new ActivitySampler();
  const beganMs = systemClock.nowMs();
  let lastMs = beganMs;
  const show = (): void => {
    const nowMs = systemClock.nowMs();
    const sample = sampler.sample(vitals.tables.counts(), (nowMs - lastMs) / 1000);
    lastMs = nowMs;
    if (picture === undefined) {
      const format = flags.json === true ? activityJson : activityLine;
      process.stdout.write(`${format(sample, new Date(systemClock.wallMs()))}\n`);
      return;
    }
    const title = `${config.source.host}:${config.source.port}, ${Math.round((nowMs - beganMs) / 1000)} s`;
    const width = Math.max(WIDTH_MIN, process.stdout.columns);
    const height = Math.max(HEIGHT_MIN, process.stdout.rows);
    picture.draw(activityTable(sample, { title, width, height }));
  };
  const seconds = flags.report ?? (picture ? REPORT_TERMINAL_S : REPORT_LINES_S);
  const timer = setInterval(show, seconds * 1000);
  return {
    end: () => {
      clearInterval(timer);
      if (vitals.read.entries > 0) show();
      picture?.end();
    },
  };
}
