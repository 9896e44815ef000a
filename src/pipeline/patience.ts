/**
 * How long a start may take: for ever, or `connectTimeoutMs` if that is given. It says what was being
 * waited for when the time was over.
 */
import type { Clock } from "../core/clock.ts";
import { TidemarkError, type ErrorCode } from "../core/errors.ts";

export class Patience {
  readonly #controller = new AbortController();
  readonly #cancel: () => void;
  readonly #onWait: (what: string) => void;
  #awaited: { what: string; code: ErrorCode } = { what: "the start", code: "BUG" };

  /** @param onWait is told of what is waited for next. */
  constructor(
    timeoutMs: number | undefined,
    clock: Clock,
    onWait: (what: string) => void = () => undefined,
  ) {
    this.#onWait = onWait;
    this.#cancel =
      timeoutMs === undefined
        ? () => undefined
        : clock.after(timeoutMs, () => {
            const { what, code } = this.#awaited;
            const message = `${what} could not be reached within ${timeoutMs} ms.`;
            this.#controller.abort(new TidemarkError(code, message));
          });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  waitingFor(what: string, code: "SOURCE_UNAVAILABLE" | "SINK_UNAVAILABLE"): void {
    this.#awaited = { what, code };
    this.#onWait(what);
  }

  end(): void {
    this.#cancel();
  }
}
