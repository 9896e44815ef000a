/**
 * Entries that wait for the next flush: every `flushIntervalMs`, or as soon as there is a full batch.
 *
 * Reading ahead of the flusher makes nothing faster, and what waits for long costs the garbage collector
 * far more than what it takes: so a few batches are enough, whatever the memory budget is.
 */
import type { Clock } from "../core/clock.ts";
import type { Entry } from "../core/entry.ts";
import { Wake } from "../core/signal.ts";

export interface PendingChannelOptions {
  /** 0 flushes whenever there is something. */
  readonly flushIntervalMs: number;
  readonly batchBytes: number;
  /** More than this is not read ahead; an entry that is larger waits alone. */
  readonly bytesMax: number;
  readonly clock: Clock;
}

export class PendingChannel {
  readonly #options: PendingChannelOptions;
  readonly #changed = new Wake();
  #entries: Entry[] = [];
  #bytes = 0;
  #closed = false;
  #lastFlushMs = -Infinity;

  constructor(options: PendingChannelOptions) {
    this.#options = options;
  }

  push(entry: Entry): void {
    this.#entries.push(entry);
    this.#bytes += entry.bytes;
    this.#changed.notify();
  }

  /** Nothing is to be pushed now. */
  get isFull(): boolean {
    return this.#bytes >= this.#options.bytesMax;
  }

  /** Resolves when an entry may be pushed. */
  async room(signal: AbortSignal): Promise<void> {
    if (this.isFull) await this.#changed.until(() => !this.isFull, signal);
  }

  /** Nothing more comes: what is left is flushed at once. */
  close(): void {
    this.#closed = true;
    this.#changed.notify();
  }

  get #urgent(): boolean {
    return this.#closed || this.#bytes >= this.#options.batchBytes;
  }

  /**
   * The entries of the next flush; the channel keeps none of them.
   *
   * @returns an empty array only when the channel is closed and drained.
   */
  async take(signal: AbortSignal): Promise<Entry[]> {
    await this.#changed.until(() => this.#entries.length > 0 || this.#closed, signal);
    await this.#interval(signal);
    const entries = this.#entries;
    this.#entries = [];
    this.#bytes = 0;
    this.#lastFlushMs = this.#options.clock.nowMs();
    this.#changed.notify();
    return entries;
  }

  /** Waits for the rest of the flush interval, cut short when a batch is full or nothing more comes. */
  async #interval(signal: AbortSignal): Promise<void> {
    const { clock, flushIntervalMs } = this.#options;
    const restMs = this.#lastFlushMs + flushIntervalMs - clock.nowMs();
    if (restMs <= 0) return;
    // The timer itself says that the time is over: it may fire a little before `nowMs` shows it.
    const timer = { over: false };
    const cancel = clock.after(restMs, () => {
      timer.over = true;
      this.#changed.notify();
    });
    try {
      await this.#changed.until(() => timer.over || this.#urgent, signal);
    } finally {
      cancel();
    }
  }
}
