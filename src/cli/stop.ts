/**
 * From signals of the operating system to a stop of the pipelines:
 *
 *   running ──SIGINT, SIGTERM──▶ draining ──drained──▶ exit 0
 *                                   │ └──── shutdown_grace_ms ──▶ hard stop, DRAIN_TIMEOUT
 *                                   └──second signal──▶ the process ends at once
 */
import { setMaxListeners } from "node:events";
import { TidemarkError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";

const SIGNAL_NUMBERS = { SIGINT: 2, SIGTERM: 15 } as const;
type StopSignal = keyof typeof SIGNAL_NUMBERS;

export class Stop {
  readonly #soft = new AbortController();
  readonly #hard = new AbortController();
  readonly #graceMs: number;
  readonly #logger: Logger;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: { graceMs: number; logger: Logger }) {
    this.#graceMs = options.graceMs;
    this.#logger = options.logger;
    // Each pipeline listens a few times; Node warns from the eleventh on.
    setMaxListeners(0, this.#soft.signal, this.#hard.signal);
  }

  get soft(): AbortSignal {
    return this.#soft.signal;
  }

  get hard(): AbortSignal {
    return this.#hard.signal;
  }

  /** Listens until `release` is called. */
  listen(): void {
    process.on("SIGINT", this.#onSignal);
    process.on("SIGTERM", this.#onSignal);
  }

  release(): void {
    process.off("SIGINT", this.#onSignal);
    process.off("SIGTERM", this.#onSignal);
    clearTimeout(this.#timer);
  }

  readonly #onSignal = (signal: StopSignal): void => {
    if (this.#soft.signal.aborted) {
      this.#logger.warn(
        { signal },
        "ends at once; what was not delivered is sent at the next start",
      );
      process.exit(128 + SIGNAL_NUMBERS[signal]);
    }
    this.#logger.info(
      { signal, grace_ms: this.#graceMs },
      "stops: delivers what was read; a second signal ends at once",
    );
    this.#timer = setTimeout(() => this.#hard.abort(this.#drainTimeout()), this.#graceMs);
    this.#soft.abort(new Error("asked to stop"));
  };

  #drainTimeout(): TidemarkError {
    return new TidemarkError(
      "DRAIN_TIMEOUT",
      `Not everything could be delivered within ${this.#graceMs} ms (shutdown_grace_ms). ` +
        "Nothing is lost: what is left is sent at the next start.",
    );
  }
}
