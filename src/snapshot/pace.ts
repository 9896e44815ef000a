/** How fast rows may be read, by all copiers together. */
import { sleep, type Clock } from "../core/clock.ts";

export class Pace {
  readonly #rowsPerS: number;
  readonly #clock: Clock;
  /** When what was read so far has had its time. */
  #freeMs = 0;

  /** @param rowsPerS Infinity for as fast as it goes. */
  constructor(rowsPerS: number, clock: Clock) {
    this.#rowsPerS = rowsPerS;
    this.#clock = clock;
  }

  /** A chunk takes about a second of it at most. */
  most(rows: number): number {
    return Math.min(rows, this.#rowsPerS);
  }

  /** Resolves when more may be read. */
  async free(signal: AbortSignal): Promise<void> {
    for (;;) {
      const waitMs = this.#freeMs - this.#clock.nowMs();
      if (waitMs <= 0) return;
      await sleep(this.#clock, waitMs, signal);
    }
  }

  /** So many were read. */
  note(rows: number): void {
    const beginMs = Math.max(this.#freeMs, this.#clock.nowMs());
    this.#freeMs = beginMs + (rows * 1_000) / this.#rowsPerS;
  }
}
