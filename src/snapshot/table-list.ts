/** The tables whose rows are to be copied, shared by the copiers that do it; more may join at any time. */
import type { SnapshotTable } from "../core/snapshot-state.ts";

export interface ListedTable {
  /** As `tableId` names it. */
  readonly id: string;
  /** Part of the ids of its rows. */
  readonly run: string;
  /** How far it was when it was listed. */
  readonly known: SnapshotTable;
}

export class TableList {
  readonly #waiting: ListedTable[] = [];
  /** Tables of which rows may have been sent by the run before. */
  readonly #redone = new Set<string>();
  #unfinished = 0;

  add(tables: readonly ListedTable[]): void {
    this.#waiting.push(...tables);
    this.#unfinished += tables.length;
    for (const { id, known } of tables) if (known.until !== null) this.#redone.add(id);
  }

  /** The next one that nobody copies. */
  take(): ListedTable | undefined {
    return this.#waiting.shift();
  }

  get hasWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  finish(): void {
    this.#unfinished -= 1;
  }

  get isFinished(): boolean {
    return this.#unfinished === 0;
  }

  /**
   * What may have been sent of this table before the start is behind us.
   *
   * @returns whether that is so of all tables now.
   */
  passRedone(id: string): boolean {
    return this.#redone.delete(id) && this.#redone.size === 0;
  }
}
