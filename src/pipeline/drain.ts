/**
 * The end of a run at a place of the binlog that cannot be passed. A person may have to begin behind it
 * (`tidemark position set`), so what was read in front of it is delivered first, as long as that does not
 * take too long. What is not delivered by then is not lost: the commit log stands in front of it.
 *
 *   fault ──▶ begun: nothing more is read ──▶ all delivered, position written ──▶ end
 *                                        └──── drainMs ──▶ over: as a crash
 */
import type { Clock } from "../core/clock.ts";
import { TidemarkError, toTidemarkError } from "../core/errors.ts";
import type { Progress } from "../watcher/progress.ts";

export interface DrainOptions {
  readonly clock: Clock;
  readonly drainMs: number;
  readonly progress: Pick<Progress, "released" | "isInside">;
}

export class Drain {
  readonly #options: DrainOptions;
  readonly #begun = new AbortController();
  readonly #over = new AbortController();
  #fault: TidemarkError | undefined;
  #cancel: () => void = () => undefined;

  constructor(options: DrainOptions) {
    this.#options = options;
  }

  /** Aborts when nothing more may be read. */
  get begun(): AbortSignal {
    return this.#begun.signal;
  }

  /** Aborts, with the fault, when the time is over. */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  /** @throws the error, if what was read before it is not to be delivered. */
  readonly metBySource = (thrown: unknown): void => this.#meet(thrown, this.#fault);

  /** What the flusher meets stands in front of all that the source can have met. */
  readonly metByFlusher = (thrown: unknown): void => this.#meet(thrown, undefined);

  #meet(thrown: unknown, earlier: TidemarkError | undefined): void {
    const error = toTidemarkError(thrown);
    if (error.drains === undefined || this.#over.signal.aborted) throw error;
    this.#fault = earlier ?? error;
    if (this.#begun.signal.aborted) return;
    const { clock, drainMs } = this.#options;
    this.#cancel = clock.after(drainMs, () => this.#over.abort(this.#late(drainMs)));
    this.#begun.abort(error);
  }

  /** Every stage has ended, by `halt` or because all is done. @throws the fault, if there was one. */
  end(halt: AbortSignal): void {
    this.#cancel();
    halt.throwIfAborted();
    if (this.#fault === undefined) return;
    const place = this.#place;
    const stands = place === undefined ? "" : `; the commit log stands at ${place}`;
    throw told(this.#fault, `Everything that was read before it is delivered${stands}.`);
  }

  #late(drainMs: number): TidemarkError | undefined {
    const place = this.#place;
    return (
      this.#fault &&
      told(
        this.#fault,
        `What was read before it could not all be delivered within ${drainMs} ms (shutdown_grace_ms): ` +
          "start again before you set another position." +
          (place === undefined ? "" : ` Everything up to ${place} is delivered.`),
      )
    );
  }

  /** Up to which everything is delivered. */
  get #place(): string | undefined {
    const { released, isInside } = this.#options.progress;
    if (released === undefined) return undefined;
    const where = `${released.file}:${released.position}`;
    return isInside ? `${where}, inside the transaction that begins there` : where;
  }
}

function told(fault: TidemarkError, sentence: string): TidemarkError {
  return new TidemarkError(fault.code, `${fault.message} ${sentence}`, { cause: fault });
}
