/**
 * Turns acknowledgements, which arrive in any order, into a position that is safe to resume from.
 *
 *   waiting queue ──head──┐
 *                         ├──▶ watcher ──▶ progress ──append──▶ commit log
 *   commit-log map ──ack──┘
 *
 * Invariants:
 *
 *   1. The commit log never holds a position past an entry that is not acknowledged.
 *   2. Records are written one at a time, each with a higher sequence number; what was released during a
 *      write goes into the next one.
 *   3. If no write succeeds for `stallMs`, `current` stops the pull until one does.
 *
 * It runs on its own clock, not once per acknowledgement, so that a burst costs one write. A crash
 * between two writes loses nothing: the tail scan finds what arrived (docs/guarantees.md).
 */
import type { NextOffsets } from "../core/checkpoint.ts";
import type { Clock } from "../core/clock.ts";
import type { Mark } from "../core/entry.ts";
import { Wake } from "../core/signal.ts";
import type { CommitLog } from "./commit-log.ts";
import type { CommitLogMap } from "./commit-log-map.ts";
import type { Progress } from "./progress.ts";

/** The waiting queue as the watcher sees it. */
export interface HeadQueue {
  head(): { readonly seq: number; readonly mark: Mark } | undefined;
  shift(): void;
}

export interface WatcherOptions {
  readonly queue: HeadQueue;
  readonly map: CommitLogMap;
  readonly progress: Progress;
  readonly commitLog: Pick<CommitLog, "append">;
  readonly clock: Clock;
  readonly intervalMs: number;
  readonly stallMs: number;
  /** Called after each record that is durable. */
  readonly onWritten?: () => void;
}

export class Watcher {
  readonly #options: WatcherOptions;
  readonly #wake = new Wake();
  readonly #written = new Wake();
  /** Counts changes of the progress; the commit log has seen `#writtenVersion`. */
  #version = 0;
  #writtenVersion = 0;
  /** A claim waits: the next write must not wait for the interval. */
  #urgent = false;
  #closed = false;
  #behindSinceMs: number | undefined;
  #lastReleaseMs: number | undefined;

  constructor(options: WatcherOptions) {
    this.#options = options;
  }

  /** Takes acknowledged entries off the head of the queue. Returns how many there were. */
  release(): number {
    const { queue, map, progress, clock } = this.#options;
    let released = 0;
    for (let slot = queue.head(); slot !== undefined; slot = queue.head()) {
      const places = map.take(slot.seq) ?? (__MUTANT__ === "release-past-gap" ? [] : undefined);
      if (places === undefined) break;
      progress.release(slot.mark, places);
      queue.shift();
      released += 1;
    }
    if (released > 0) {
      this.#lastReleaseMs = clock.nowMs();
      this.#changed(this.#lastReleaseMs);
    }
    return released;
  }

  get lastReleaseMs(): number | undefined {
    return this.#lastReleaseMs;
  }

  /** Since when something is released that the commit log does not hold. */
  get uncommittedSinceMs(): number | undefined {
    return this.#behindSinceMs;
  }

  #changed(nowMs: number): void {
    this.#version += 1;
    this.#behindSinceMs ??= nowMs;
  }

  /** Puts base offsets of new partitions into the commit log; resolves when they are durable. */
  async claim(offsets: NextOffsets, signal: AbortSignal): Promise<void> {
    this.#options.progress.addOffsets(offsets);
    this.#changed(this.#options.clock.nowMs());
    const version = this.#version;
    this.#urgent = true;
    this.#wake.notify();
    await this.#written.until(() => this.#writtenVersion >= version, signal);
  }

  /** Resolves while the commit log keeps up; otherwise when the next write has succeeded. */
  current(signal: AbortSignal): Promise<void> {
    return this.#written.until(() => this.isCurrent, signal);
  }

  get isCurrent(): boolean {
    const { clock, stallMs } = this.#options;
    return this.#behindSinceMs === undefined || clock.nowMs() - this.#behindSinceMs < stallMs;
  }

  /** Everything was acknowledged: write the final position, and end. */
  close(): void {
    this.#closed = true;
    this.#wake.notify();
  }

  /** Resolves after `close`, when the final position is in the commit log. */
  async run(signal: AbortSignal): Promise<void> {
    for (;;) {
      const last = this.#closed; // Looked at before the head: what was acknowledged by then is released.
      this.release();
      if (this.#version > this.#writtenVersion) await this.#write(signal);
      else if (last) return;
      if (!this.#closed && !this.#urgent) await this.#interval(signal);
    }
  }

  async #write(signal: AbortSignal): Promise<void> {
    const { commitLog, progress, clock } = this.#options;
    const version = this.#version;
    this.#urgent = false;
    const write = { pending: true };
    const append = commitLog.append(progress.nextCheckpoint(), signal).finally(() => {
      write.pending = false;
      this.#wake.notify();
    });
    append.catch(() => undefined);
    while (write.pending) {
      await this.#interval(signal);
      this.release(); // Places in the queue become free while a slow write is under way.
    }
    await append;
    this.#options.onWritten?.();
    this.#writtenVersion = version;
    this.#behindSinceMs = this.#version > version ? clock.nowMs() : undefined;
    this.#written.notify();
  }

  /** Waits for one interval, or until something wants to be written at once. */
  async #interval(signal: AbortSignal): Promise<void> {
    const cancel = this.#options.clock.after(this.#options.intervalMs, () => this.#wake.notify());
    try {
      await this.#wake.wait(signal);
    } finally {
      cancel();
    }
  }
}
