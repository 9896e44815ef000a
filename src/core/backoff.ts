export interface BackoffOptions {
  readonly firstMs: number;
  readonly maxMs: number;
  /** A number in [0, 1); injected so that tests replay. */
  readonly random?: () => number;
}

/** Delays between attempts: doubling from `firstMs` to `maxMs`, each shortened by up to half at random. */
export class Backoff {
  readonly #options: BackoffOptions;
  #nextMs: number;

  constructor(options: BackoffOptions) {
    this.#options = options;
    this.#nextMs = options.firstMs;
  }

  delayMs(): number {
    const { maxMs, random = Math.random } = this.#options;
    const delayMs = this.#nextMs * (1 - random() / 2);
    this.#nextMs = Math.min(maxMs, this.#nextMs * 2);
    return delayMs;
  }

  /** Called after a success, so that the next trouble is met quickly again. */
  reset(): void {
    this.#nextMs = this.#options.firstMs;
  }
}
