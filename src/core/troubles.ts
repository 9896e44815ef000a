/**
 * Attempts that failed and are repeated: what a stage waits for right now, and how often it had to.
 * Fed by `retrying`; read by whoever wants to know why nothing moves.
 */
import type { Clock } from "./clock.ts";

export interface TroublePlace {
  readonly topic: string;
  readonly partition: number;
}

export interface Trouble {
  readonly sinceMs: number;
  /** The last error, as a sentence. */
  readonly message: string;
  /** True if nobody answered; false if somebody did, and would not. */
  readonly unreachable: boolean;
  readonly place: TroublePlace | undefined;
}

export class Troubles {
  readonly #clock: Clock;
  /** In the order in which they began. */
  readonly #open = new Map<object, Trouble>();
  /** Attempts that failed and were repeated, ever. */
  failures = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param key stands for the work that is tried again, until `over`. */
  failed(key: object, trouble: Omit<Trouble, "sinceMs">): void {
    this.failures += 1;
    const sinceMs = this.#open.get(key)?.sinceMs ?? this.#clock.nowMs();
    this.#open.set(key, { ...trouble, sinceMs });
  }

  /** The work succeeded, or was given up. */
  over(key: object): void {
    this.#open.delete(key);
  }

  get open(): readonly Trouble[] {
    return [...this.#open.values()];
  }
}
