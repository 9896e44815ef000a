/** The de-duplication window of a pipeline, made from the configuration. */
import type { PipelineConfig } from "../config/config.ts";
import type { Clock } from "../core/clock.ts";
import { operationsOf } from "../core/rows.ts";
import type { Vitals } from "../core/vitals.ts";
import { DedupeWindow, type DedupeWindowOptions } from "../queue/dedupe-window.ts";
import type { PendingChannel } from "../queue/pending-channel.ts";
import type { WaitingQueue } from "../queue/waiting-queue.ts";
import { makeRowRules } from "./row-rules.ts";

export interface DedupeStages {
  readonly pipeline: PipelineConfig;
  readonly pending: PendingChannel;
  readonly waiting: WaitingQueue;
  readonly acknowledge: DedupeWindowOptions["acknowledge"];
  readonly parcelRows: number;
  readonly parcelBytes: number;
  readonly vitals: Vitals;
  readonly clock: Clock;
}

/** Undefined where there is none, so that it costs nothing. */
export function makeDedupeWindow(stages: DedupeStages): DedupeWindow | undefined {
  const { pipeline, waiting, vitals, ...same } = stages;
  const { dedupe } = pipeline;
  if (dedupe === undefined) return undefined;
  const events = operationsOf(pipeline.events);
  // What a merged row says of the way there is not what the conditions are about.
  const rules = makeRowRules({ ...pipeline, columns: undefined }, () => (vitals.filtered += 1));
  return new DedupeWindow({
    ...same,
    windowMs: dedupe.windowMs,
    maxBytes: dedupe.maxMemoryBytes,
    // The other half is for what is on its way.
    maxEntries: Math.floor(waiting.limits.entriesMax / 2),
    wants: ({ rows }, row) => events.has(rows.operation) && rules?.wants(rows, row) !== false,
    copied: seq => waiting.releasePayload(seq),
    onMerged: () => (vitals.merged += 1),
  });
}
