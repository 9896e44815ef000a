/** Vitals of a pipeline that runs, with gauges that tests change as they like. */
import { Vitals, type Gauges, type LabelBudget } from "../../src/core/vitals.ts";
import { ManualClock } from "../support/manual-clock.ts";

export type MutableGauges = { -readonly [Name in keyof Gauges]: Gauges[Name] };

export interface Running {
  readonly vitals: Vitals;
  readonly clock: ManualClock;
  readonly gauges: MutableGauges;
}

export function runningPipeline(
  name = "shop",
  clock = new ManualClock(),
  labels: LabelBudget = { left: 10 },
): Running {
  const vitals = new Vitals(name, clock, labels);
  const gauges: MutableGauges = {
    source: { connected: true, reason: undefined, bytesRead: 0, paused: false, turns: 0 },
    waiting: { entries: 0, items: 0, bytes: 0 },
    waitingMax: { entries: 100, bytes: 1_000 },
    oldest: undefined,
    newest: undefined,
    full: false,
    lastReleaseMs: undefined,
    blocker: undefined,
    sink: "kafka",
    uncommittedSinceMs: undefined,
    released: undefined,
    flushIntervalMs: 100,
    held: { rows: 0, bytes: 0 },
    windowMs: 0,
  };
  vitals.enter("running");
  vitals.gauges = () => gauges;
  return { vitals, clock, gauges };
}
