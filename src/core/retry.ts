/** Trying again, with back-off, for as long as it takes: what is down is waited for. */
import { Backoff } from "./backoff.ts";
import { sleep, type Clock } from "./clock.ts";
import { toTidemarkError, type TidemarkError } from "./errors.ts";
import type { Logger } from "./logger.ts";
import type { TroublePlace, Troubles } from "./troubles.ts";

export interface RetryOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** What is tried, for log and errors: "Sending to orders, partition 3". */
  readonly doing: string;
  /** Foreign errors as ours; by default only ours are known, and the rest are bugs. */
  readonly classify?: (thrown: unknown, doing: string) => TidemarkError;
  /** Called after each attempt that failed and will be repeated. */
  readonly onFailure?: (thrown: unknown) => void;
  /** Told of what is waited for, from the first failure to the end. */
  readonly troubles?: Troubles | undefined;
  /** Where the attempt leads, for `troubles`. */
  readonly place?: TroublePlace;
  /** Whether an error means that nobody answered, for `troubles`. */
  readonly isUnreachable?: (thrown: unknown) => boolean;
}

const FIRST_MS = 50;
const MAX_MS = 2_000;

/**
 * Repeats `attempt` while its errors are ones that pass.
 *
 * @throws TidemarkError for any other error, or the signal's reason as soon as it aborts; an attempt
 *   that is then under way goes on unobserved.
 */
export async function retrying<T>(attempt: () => Promise<T>, options: RetryOptions): Promise<T> {
  try {
    return await repeat(attempt, options);
  } finally {
    options.troubles?.over(options);
  }
}

async function repeat<T>(attempt: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { clock, logger, signal, doing, classify = toTidemarkError, onFailure } = options;
  const backoff = new Backoff({ firstMs: FIRST_MS, maxMs: MAX_MS });
  for (let attempts = 1; ; attempts += 1) {
    try {
      const result = await unlessAborted(attempt, signal);
      if (attempts > 2) logger.info({ attempts }, `${doing} works again`);
      return result;
    } catch (thrown) {
      signal.throwIfAborted();
      const error = classify(thrown, doing);
      if (error.reaction !== "retry") throw error;
      // One failure is usual when a partition moves to another broker.
      if (attempts === 2) logger.warn({ code: error.code }, `${error.message} Trying again …`);
      else logger.debug({ attempts }, error.message);
      onFailure?.(thrown);
      report(options, thrown, error);
    }
    await sleep(clock, backoff.delayMs(), signal);
  }
}

function report(options: RetryOptions, thrown: unknown, error: TidemarkError): void {
  const { troubles, place, isUnreachable = () => true } = options;
  troubles?.failed(options, {
    message: error.message,
    unreachable: isUnreachable(thrown),
    place,
  });
}

/** The attempt's result, or the signal's reason if that comes first. */
export function unlessAborted<T>(attempt: () => Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason as Error);
      return;
    }
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener("abort", onAbort, { once: true });
    attempt()
      .then(resolve, reject)
      .finally(() => signal.removeEventListener("abort", onAbort));
  });
}
