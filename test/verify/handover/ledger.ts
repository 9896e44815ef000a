/**
 * Every version that a row was ever given, and what became of it. Versions are dense numbers; the first
 * ones are of the rows that were there before anything else.
 */
export const UPSERT = 1;
export const DELETE = 2;

export interface Step {
  readonly table: number;
  readonly slot: number;
  /** A change of the key deletes in one slot and creates in another. */
  readonly bit: typeof UPSERT | typeof DELETE;
  /** That a row was given, or with which it was deleted. */
  readonly version: number;
}

export class Ledger {
  /** In each table, at the beginning. */
  readonly rows: number;
  readonly #tables: number;
  readonly #steps = new Map<number, { readonly table: number; readonly slot: number }>();
  readonly #committed = new Set<number>();
  #next: number;

  constructor(tables: number, rows: number) {
    this.#tables = tables;
    this.rows = rows;
    this.#next = 1 + tables * rows;
  }

  firstVersion(table: number): number {
    return 1 + table * this.rows;
  }

  nextVersion(): number {
    return this.#next++;
  }

  plan({ table, slot, bit, version }: Step): void {
    this.#steps.set(markOf(version, bit), { table, slot });
  }

  forget({ bit, version }: Step): void {
    this.#steps.delete(markOf(version, bit));
  }

  commit({ bit, version }: Step): void {
    this.#committed.add(markOf(version, bit));
  }

  /** Marks of the changes that have to arrive. */
  get committed(): ReadonlySet<number> {
    return this.#committed;
  }

  /** Whether this happened to this row, or may still be undone. */
  isWritten({ table, slot, bit, version }: Step): boolean {
    if (bit === UPSERT && version >= 1 && version < 1 + this.#tables * this.rows) {
      return slot < this.rows && version === this.firstVersion(table) + slot;
    }
    const step = this.#steps.get(markOf(version, bit));
    return step?.table === table && step.slot === slot;
  }
}

/** One number for a version and what happened with it. */
export function markOf(version: number, bit: number): number {
  return version * 4 + bit;
}
