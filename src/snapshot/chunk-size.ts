export interface ReadCost {
  readonly rows: number;
  readonly bytes: number;
  readonly ms: number;
  /** Until it could be read. */
  readonly waitedMs: number;
}

/**
 * How many rows to read at a time: as many as take a fifth of a second, and not too much memory. Where a replica
 * has to be waited for first, as many as it takes that waiting is worth it.
 */
export class ChunkSize {
  readonly #fixed: number | undefined;
  readonly #bytesMax: number;
  #rows: number;

  /** @param fixed undefined to adapt. */
  constructor(fixed: number | undefined, bytesMax: number) {
    this.#fixed = fixed;
    this.#bytesMax = bytesMax;
    this.#rows = fixed ?? FIRST_ROWS;
  }

  get rows(): number {
    return this.#rows;
  }

  /** A chunk was read. */
  note({ rows, bytes, ms, waitedMs }: ReadCost): void {
    if (rows === 0) return;
    const byTime = (rows * Math.max(AIM_MS, waitedMs)) / Math.max(ms, 1);
    const byBytes = (rows * this.#bytesMax) / Math.max(bytes, 1);
    const growth = waitedMs > AIM_MS ? MAX_ROWS : 2 * this.#rows;
    const wanted = Math.min(byTime, growth, MAX_ROWS, this.#fixed ?? MAX_ROWS);
    this.#rows = Math.max(1, Math.floor(Math.min(Math.max(wanted, MIN_ROWS), byBytes)));
    if (this.#fixed !== undefined)
      this.#rows = Math.max(1, Math.floor(Math.min(this.#fixed, byBytes)));
  }

  /** Its rows changed too fast. */
  halve(): void {
    this.#rows = Math.max(1, this.#rows >> 1);
  }
}

const FIRST_ROWS = 1_000;
const MIN_ROWS = 100;
const MAX_ROWS = 10_000;
const AIM_MS = 200;
