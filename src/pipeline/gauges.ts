/** What the running stages of a pipeline tell about themselves when somebody asks. */
import type { BinlogSource } from "../binlog/source.ts";
import type { Gauges } from "../core/vitals.ts";
import type { DedupeWindow } from "../queue/dedupe-window.ts";
import type { Flusher } from "../queue/flusher.ts";
import type { PendingChannel } from "../queue/pending-channel.ts";
import type { WaitingQueue } from "../queue/waiting-queue.ts";
import type { Sink } from "../sinks/sink.ts";
import type { Progress } from "../watcher/progress.ts";
import type { Watcher } from "../watcher/watcher.ts";

export interface GaugedStages {
  readonly source: BinlogSource;
  readonly waiting: WaitingQueue;
  readonly pending: PendingChannel;
  readonly window: DedupeWindow | undefined;
  readonly flusher: Flusher;
  readonly watcher: Watcher;
  readonly progress: Progress;
  readonly sink: Sink;
  readonly flushIntervalMs: number;
  readonly windowMs: number;
}

export function readGauges(stages: GaugedStages): Gauges {
  const { source, waiting, pending, window, flusher, watcher, progress, sink } = stages;
  const { flushIntervalMs, windowMs } = stages;
  const message = flusher.oldest();
  return {
    source: source.gauges,
    waiting: { entries: waiting.entries, items: waiting.rows, bytes: waiting.bytes },
    waitingMax: { entries: waiting.limits.entriesMax, bytes: waiting.limits.bytesMax },
    oldest: waiting.head(),
    newest: waiting.newest,
    full: waiting.isFull || pending.isFull,
    lastReleaseMs: watcher.lastReleaseMs,
    blocker: message && {
      destination: message.destination,
      partition: sink.partitionOf?.(message),
    },
    sink: sink.name,
    uncommittedSinceMs: watcher.uncommittedSinceMs,
    released: progress.released,
    flushIntervalMs,
    held: { rows: window?.rows ?? 0, bytes: window?.bytes ?? 0 },
    windowMs,
  };
}
