/** Says how far a copy is, in a metric and in the log: each table when it is done, and a line every few seconds between. */
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import type { Vitals } from "../core/vitals.ts";

export interface SnapshotReportOptions {
  readonly vitals: Pick<Vitals, "snapshotTablesLeft">;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Copied {
  readonly table: string;
  /** Of the table, so far. */
  readonly rows: number;
  /** Of this chunk. */
  readonly entered: number;
  readonly isLast: boolean;
}

const INTERVAL_MS = 5_000;

export class SnapshotReport {
  readonly #options: SnapshotReportOptions;
  #left = 0;
  #rows = 0;
  #sinceMs = 0;

  constructor(options: SnapshotReportOptions) {
    this.#options = options;
  }

  /** So many more tables are to be copied. */
  begin(tables: number): void {
    const { vitals, clock } = this.#options;
    if (this.#left === 0) this.#sinceMs = clock.nowMs();
    this.#left += tables;
    vitals.snapshotTablesLeft = this.#left;
  }

  /** Part of a table was handed out. */
  add({ table, rows, entered, isLast }: Copied): void {
    const { vitals, clock, logger } = this.#options;
    this.#rows += entered;
    if (isLast) {
      this.#left -= 1;
      vitals.snapshotTablesLeft = this.#left;
      logger.info({ table, rows, tables_left: this.#left }, "copied the rows that were there");
    }
    const tookMs = clock.nowMs() - this.#sinceMs;
    if (tookMs < INTERVAL_MS) return;
    const rate = Math.round((this.#rows * 1_000) / tookMs);
    const fields = { table, rows, rows_per_second: rate, tables_left: this.#left };
    logger.info(fields, "copies the rows that are there");
    this.#rows = 0;
    this.#sinceMs = clock.nowMs();
  }
}
