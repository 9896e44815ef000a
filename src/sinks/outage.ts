/**
 * Tells once that requests fail and are repeated, and once that they succeed again, however many of them
 * there are.
 */
import type { Clock } from "../core/clock.ts";
import type { TidemarkError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import type { Troubles } from "../core/troubles.ts";

export interface OutageOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly troubles: Troubles | undefined;
  /** What fails: "Sending to SQS". */
  readonly doing: string;
}

/** Shorter troubles, such as one request that is refused for its rate, are not worth a line. */
const TOLD_AFTER_MS = 1_000;

export class Outage {
  readonly #options: OutageOptions;
  /** By request, since when. */
  readonly #failing = new Map<object, number>();
  #isTold = false;

  constructor(options: OutageOptions) {
    this.#options = options;
  }

  /** @param request stands for what is repeated, until `over`. */
  failed(request: object, error: TidemarkError, unreachable: boolean): void {
    const { clock, logger, troubles } = this.#options;
    const sinceMs = this.#failing.get(request) ?? clock.nowMs();
    this.#failing.set(request, sinceMs);
    troubles?.failed(request, { message: error.message, unreachable, place: undefined });
    if (this.#isTold || clock.nowMs() - sinceMs < TOLD_AFTER_MS) return;
    this.#isTold = true;
    logger.warn({ code: error.code }, `${error.message} Trying again …`);
  }

  over(request: object): void {
    const { logger, troubles, doing } = this.#options;
    if (!this.#failing.delete(request)) return;
    troubles?.over(request);
    if (!this.#isTold || this.#failing.size > 0) return;
    this.#isTold = false;
    logger.info({}, `${doing} works again`);
  }
}
