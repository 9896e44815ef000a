/**
 * Notices that this process stood still: was stopped, or its machine was. Another instance may have begun
 * meanwhile, so the commit log is asked before anything more is sent.
 *
 * Both clocks are looked at: the monotonic one may stand while a machine does. A step of the system clock
 * costs one question.
 */
import { sleep, type Clock } from "./clock.ts";
import type { Logger } from "./logger.ts";
import { unlessAborted } from "./retry.ts";

export interface StandstillOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Rejects with TAKEN_OVER if another instance runs the pipeline now. Asks for as long as it takes. */
  readonly ask: (signal: AbortSignal) => Promise<void>;
}

const LOOK_MS = 1_000;
const LIMIT_MS = 10_000;

export class Standstill {
  readonly #options: StandstillOptions;
  #lookedMs: number;
  #lookedWallMs: number;
  #standstills = 0;
  /** How many of them the answers cover. */
  #answered = 0;
  #asking: Promise<void> | undefined;

  constructor(options: StandstillOptions) {
    this.#options = options;
    this.#lookedMs = options.clock.nowMs();
    this.#lookedWallMs = options.clock.wallMs();
  }

  /** Looks at the clocks each second, until the signal aborts: what stood is not forgotten before it is asked. */
  async watch(signal: AbortSignal): Promise<void> {
    for (;;) {
      this.#look();
      await sleep(this.#options.clock, LOOK_MS, signal);
    }
  }

  #look(): void {
    const { clock } = this.#options;
    const nowMs = clock.nowMs();
    const wallMs = clock.wallMs();
    const stoodMs = Math.max(nowMs - this.#lookedMs, Math.abs(wallMs - this.#lookedWallMs));
    this.#lookedMs = nowMs;
    this.#lookedWallMs = wallMs;
    if (stoodMs > LIMIT_MS) this.#standstills += 1;
  }

  /** To be called right before something is sent: undefined if it may be, else it waits for the answer. */
  passed(signal: AbortSignal): Promise<void> | undefined {
    if (__MUTANT__ === "no-fence") return undefined;
    this.#look();
    if (this.#answered === this.#standstills) return undefined;
    this.#asking ??= this.#ask(signal).finally(() => (this.#asking = undefined));
    const asking = this.#asking;
    asking.catch(() => undefined); // Whoever has stopped meanwhile hears nothing of it.
    return unlessAborted(() => asking, signal);
  }

  async #ask(signal: AbortSignal): Promise<void> {
    const { logger, ask } = this.#options;
    logger.warn({}, "This process stood still: asks the commit log whether it was replaced …");
    while (this.#answered < this.#standstills) {
      const asked = this.#standstills;
      await ask(signal);
      this.#look(); // It may have stood again while it asked.
      this.#answered = asked;
    }
  }
}
