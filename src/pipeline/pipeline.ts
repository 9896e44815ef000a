/**
 * The whole path on one screen: read this first.
 *
 *   source ─▶ waiting queue ──────────────────────────────▶ watcher ─▶ commit log
 *        └──▶ pending channel ─▶ flusher ─▶ sink ─▶ commit-log map ─┘
 *
 * `soft` stops the source; each stage then drains and ends when the one before it has. `hard` abandons
 * what is left, as a crash would: the next start finds it again. A fault at a place of the binlog ends
 * reading there, and what was read before is delivered (drain.ts); any other fault abandons it.
 */
import type { Clock } from "../core/clock.ts";
import type { Vitals } from "../core/vitals.ts";
import type { Flusher } from "../queue/flusher.ts";
import type { PendingChannel } from "../queue/pending-channel.ts";
import type { WaitingQueue } from "../queue/waiting-queue.ts";
import type { SnapshotRequest } from "../core/snapshot-request.ts";
import type { EntrySource } from "../snapshot/interleaved.ts";
import type { CommitLog } from "../watcher/commit-log.ts";
import type { Progress } from "../watcher/progress.ts";
import type { Watcher } from "../watcher/watcher.ts";
import { Drain } from "./drain.ts";

export interface Stages {
  readonly source: EntrySource;
  /** Somebody asks for a copy of existing rows. */
  readonly requested: (request: SnapshotRequest) => void;
  readonly waiting: WaitingQueue;
  readonly pending: PendingChannel;
  readonly flusher: Flusher;
  readonly watcher: Watcher;
  readonly commitLog: Pick<CommitLog, "follow">;
  readonly progress: Progress;
  readonly vitals: Vitals;
  readonly clock: Clock;
  /** Aborts, with the error, when the sink is done for. */
  readonly sinkFailure: AbortSignal;
  /** How long what was read before a fault may take to be delivered. */
  readonly drainMs: number;
}

export interface StopSignals {
  readonly soft: AbortSignal;
  readonly hard: AbortSignal;
}

/** Resolves when drained after `soft`; rejects with the first fault. */
export async function runStages(stages: Stages, { soft, hard }: StopSignals): Promise<void> {
  const { source, requested, waiting, pending, flusher, watcher, commitLog, sinkFailure } = stages;
  const { vitals, clock } = stages;
  const fault = new AbortController();
  const done = new AbortController();
  const drain = new Drain(stages);
  const halt = AbortSignal.any([hard, fault.signal, sinkFailure, drain.over]);
  const stop = AbortSignal.any([halt, drain.begun]);

  const read = async (): Promise<void> => {
    for await (const entries of source.entries(AbortSignal.any([soft, stop]))) {
      const readMs = Math.round(clock.nowMs());
      for (const entry of entries) {
        const rows = vitals.countRead(entry);
        // Mostly there is nothing to wait for, and a promise for each would cost more than asking.
        if (pending.isFull) await pending.room(stop);
        if (!waiting.hasRoomFor(entry.bytes)) await waiting.room(entry.bytes, stop);
        if (!watcher.isCurrent) await watcher.current(stop);
        waiting.push(entry, rows, readMs);
        pending.push(entry);
      }
    }
  };
  const follow = (): Promise<void> =>
    commitLog.follow(AbortSignal.any([halt, done.signal]), {
      answered: () => (vitals.commitLogAnsweredMs = clock.nowMs()),
      requested,
    });

  const running = [
    // Nothing more comes: the flusher ends once everything is delivered.
    read()
      .catch(drain.metBySource)
      .then(() => pending.close()),
    // The watcher then writes the final position, and ends.
    flusher
      .run(halt)
      .catch(drain.metByFlusher)
      .then(() => flusher.settled(halt))
      .then(() => watcher.close()),
    watcher.run(halt).then(() => done.abort()),
    follow(),
  ];
  for (const stage of running) stage.catch((error: unknown) => fault.abort(error));
  await Promise.allSettled(running);
  drain.end(halt);
}
