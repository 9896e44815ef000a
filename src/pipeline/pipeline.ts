/**
 * The whole path on one screen: read this first.
 *
 *   source ─▶ waiting queue ──────────────────────────────▶ watcher ─▶ commit log
 *        └──▶ pending channel ─▶ flusher ─▶ sink ─▶ commit-log map ─┘
 *
 * `soft` stops the source; each stage then drains and ends when the one before it has. `hard` abandons
 * what is left, as a crash would: the next start finds it again.
 */
import type { BinlogSource } from "../binlog/source.ts";
import type { Clock } from "../core/clock.ts";
import type { Vitals } from "../core/vitals.ts";
import type { Flusher } from "../queue/flusher.ts";
import type { PendingChannel } from "../queue/pending-channel.ts";
import type { WaitingQueue } from "../queue/waiting-queue.ts";
import type { CommitLog } from "../watcher/commit-log.ts";
import type { Watcher } from "../watcher/watcher.ts";

export interface Stages {
  readonly source: BinlogSource;
  readonly waiting: WaitingQueue;
  readonly pending: PendingChannel;
  readonly flusher: Flusher;
  readonly watcher: Watcher;
  readonly commitLog: CommitLog;
  readonly vitals: Vitals;
  readonly clock: Clock;
  /** Aborts, with the error, when the sink is done for. */
  readonly sinkFailure: AbortSignal;
}

export interface StopSignals {
  readonly soft: AbortSignal;
  readonly hard: AbortSignal;
}

/** Resolves when drained after `soft`; rejects with the first fault. */
export async function runStages(stages: Stages, { soft, hard }: StopSignals): Promise<void> {
  const { source, waiting, pending, flusher, watcher, commitLog, sinkFailure, vitals, clock } =
    stages;
  const fault = new AbortController();
  const done = new AbortController();
  const halt = AbortSignal.any([hard, fault.signal, sinkFailure]);

  const read = async (): Promise<void> => {
    for await (const entries of source.entries(AbortSignal.any([soft, halt]))) {
      const readMs = Math.round(clock.nowMs());
      for (const entry of entries) {
        const rows = vitals.countRead(entry);
        await pending.room(halt);
        await waiting.room(entry.bytes, halt);
        await watcher.current(halt);
        waiting.push(entry, rows, readMs);
        pending.push(entry);
      }
    }
    pending.close(); // Nothing more comes: the flusher ends once everything is delivered.
  };
  const flush = async (): Promise<void> => {
    await flusher.run(halt);
    watcher.close(); // So the watcher writes the final position, and ends.
  };
  const release = async (): Promise<void> => {
    await watcher.run(halt);
    done.abort();
  };
  const follow = (): Promise<void> =>
    commitLog.follow(AbortSignal.any([halt, done.signal]), () => {
      vitals.commitLogAnsweredMs = clock.nowMs();
    });

  const running = [read(), flush(), release(), follow()];
  for (const stage of running) stage.catch((error: unknown) => fault.abort(error));
  await Promise.allSettled(running);
  halt.throwIfAborted();
}
