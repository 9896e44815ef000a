/**
 * Says in the log that reading waits because the queue is full, once, and once that it no longer does. A
 * queue that stays near its bound would say so with every entry: it is over when half of the queue is free.
 */
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";

export interface BackpressureOptions {
  /** Resolves when half of the queue is free. */
  readonly relieved: () => Promise<void>;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class Backpressure {
  readonly #options: BackpressureOptions;
  #sinceMs: number | undefined;

  constructor(options: BackpressureOptions) {
    this.#options = options;
  }

  /** The queue is full; may be called each time that something waits for it. */
  begin(): void {
    if (this.#sinceMs !== undefined) return;
    const { relieved, clock, logger } = this.#options;
    this.#sinceMs = clock.nowMs();
    logger.info({}, "applying backpressure: the queue is full, so reading waits");
    relieved().then(
      () => this.#end(),
      () => undefined, // The pipeline has ended.
    );
  }

  #end(): void {
    const { clock, logger } = this.#options;
    const seconds = Math.round((clock.nowMs() - (this.#sinceMs ?? 0)) / 100) / 10;
    this.#sinceMs = undefined;
    logger.info({ seconds }, "backpressure is over: the queue has room again");
  }
}
