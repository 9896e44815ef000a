/** Says how far a copy is, in a metric and in the log: each table when it is done, and a line every few seconds between. */
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import type { Vitals } from "../core/vitals.ts";
import type { ListedTable } from "../snapshot/table-list.ts";

export interface SnapshotReportOptions {
  readonly vitals: Pick<Vitals, "copy" | "copiedRows" | "isCopyDrawn">;
  /** Rows of each table, as the server's statistics say. */
  readonly estimate: () => Promise<ReadonlyMap<string, number>>;
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
  #rows = 0;
  #sinceMs = 0;

  constructor(options: SnapshotReportOptions) {
    this.#options = options;
    // A pipeline that begins again counts what is left anew.
    options.vitals.copy = undefined;
  }

  /** These are to be copied too. */
  begin(tables: readonly ListedTable[]): void {
    const { vitals, clock } = this.#options;
    if (vitals.copy === undefined || vitals.copy.tablesLeft === 0) {
      this.#sinceMs = clock.nowMs();
      vitals.copy = { tables: 0, tablesLeft: 0, rows: 0, estimatedRows: undefined };
    }
    vitals.copy.tables += tables.length;
    vitals.copy.tablesLeft += tables.length;
    if (tables.length > 0) void this.#estimate(tables);
  }

  /** Nothing depends on it: a server that does not tell is not asked again. */
  async #estimate(tables: readonly ListedTable[]): Promise<void> {
    const { vitals, estimate } = this.#options;
    const { copy } = vitals;
    const estimates = await estimate().catch(() => undefined);
    if (copy === undefined || estimates === undefined) return;
    const rows = tables.map(({ id, known }) => Math.max(0, (estimates.get(id) ?? 0) - known.rows));
    copy.estimatedRows = rows.reduce((sum, each) => sum + each, copy.estimatedRows ?? 0);
  }

  /** Part of a table was handed out. */
  add({ table, rows, entered, isLast }: Copied): void {
    const { vitals, clock, logger } = this.#options;
    const { copy } = vitals;
    if (copy === undefined) return;
    this.#rows += entered;
    copy.rows += entered;
    vitals.copiedRows += entered;
    if (isLast) {
      copy.tablesLeft -= 1;
      logger.info({ table, rows, tables_left: copy.tablesLeft }, "copied the rows that were there");
    }
    const tookMs = clock.nowMs() - this.#sinceMs;
    if (tookMs < INTERVAL_MS) return;
    const rate = Math.round((this.#rows * 1_000) / tookMs);
    const fields = { table, rows, rows_per_second: rate, tables_left: copy.tablesLeft };
    if (!vitals.isCopyDrawn) logger.info(fields, "copies the rows that are there");
    this.#rows = 0;
    this.#sinceMs = clock.nowMs();
  }
}
