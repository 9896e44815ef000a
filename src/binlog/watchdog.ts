/**
 * Notices that a connection is dead: the server sends heartbeats, so silence means that nobody is there.
 * While we do not read, its silence means nothing.
 */
import type { Clock } from "../core/clock.ts";
import { TidemarkError } from "../core/errors.ts";

export interface WatchdogOptions {
  readonly clock: Clock;
  readonly silenceMs: number;
  /** Bytes that came so far. A large event comes as one, but its bytes show that the connection lives. */
  readonly bytesRead: () => number;
  readonly isPaused: () => boolean;
  readonly onSilence: (error: TidemarkError) => void;
}

const GRACE_MS = 200;

export class Watchdog {
  readonly #options: WatchdogOptions;
  #silenceMs: number;
  #heardMs: number;
  #bytesRead = 0;
  #isSuspect = false;
  #cancel: () => void = () => undefined;

  constructor(options: WatchdogOptions) {
    this.#options = options;
    this.#silenceMs = options.silenceMs;
    this.#heardMs = options.clock.nowMs();
    this.#watch();
  }

  heard(): void {
    this.#heardMs = this.#options.clock.nowMs();
  }

  /** From now on this much silence is too much. */
  set silenceMs(silenceMs: number) {
    this.#silenceMs = silenceMs;
    this.heard();
    this.#watch();
  }

  stop(): void {
    this.#cancel();
  }

  #watch(): void {
    const { clock } = this.#options;
    this.#cancel();
    const dueMs = this.#heardMs + this.#silenceMs - clock.nowMs();
    this.#cancel = clock.after(Math.max(1, dueMs), () => this.#check());
  }

  #check(): void {
    const { clock, bytesRead, isPaused, onSilence } = this.#options;
    const bytes = bytesRead();
    const isMoving = bytes !== this.#bytesRead;
    this.#bytesRead = bytes;
    if (isPaused() || isMoving) this.heard();
    if (clock.nowMs() - this.#heardMs < this.#silenceMs) {
      this.#isSuspect = false;
      this.#watch();
      return;
    }
    if (!this.#isSuspect) {
      // After the process stood still, timers run before what has arrived meanwhile is read.
      this.#isSuspect = true;
      this.#cancel = clock.after(GRACE_MS, () => this.#check());
      return;
    }
    const seconds = Math.round(this.#silenceMs / 1_000);
    onSilence(
      new TidemarkError(
        "SOURCE_UNAVAILABLE",
        `MySQL has been silent for ${seconds} s: connection lost.`,
      ),
    );
  }
}
