/**
 * What the writer did, as far as it knows: the truth that the oracle compares the topics with.
 *
 * Every change that leaves a row behind gets a version that no other change of the campaign has. A delete
 * has none of its own; it is told by the version that it removed. So all facts about a change fit into a
 * few bits under its version, and a campaign of millions of changes into a few megabytes.
 *
 * Versions are planned before the statement is sent, because Tidemark may deliver a change before the
 * writer hears of its own COMMIT. Whether a version ever was committed is judged at the end.
 */
import { GrowingArray } from "./grow.ts";
import type { Table } from "./tables.ts";

export type ChangeKind = "create" | "update" | "delete";

/** One change of a row, as the writer planned it. `version` of a delete is the version it removes. */
export interface PlannedChange {
  readonly kind: ChangeKind;
  readonly version: number;
}

export interface CommittedTransaction {
  /** Undefined if the answer to COMMIT was lost and MySQL said later that it had been done. */
  readonly gtid: string | undefined;
  /** Range in the list of changes. */
  readonly first: number;
  readonly end: number;
}

const CREATE = 1;
const UPDATE = 2;
const COMMITTED = 4;
const DELETED = 8;

export class Journal {
  readonly #tables: Table[] = [];
  readonly #rows = new GrowingArray("numbers");
  readonly #states = new GrowingArray("bytes");
  /** Twice the version, plus one for a delete. */
  readonly #changes = new GrowingArray("numbers");
  readonly #transactions: CommittedTransaction[] = [];
  #changesEnd = 0;
  #versionsEnd = 0;

  /** Makes a table known and returns its number. */
  addTable(table: Table): number {
    this.#tables.push(table);
    return this.#tables.length - 1;
  }

  get tables(): readonly Table[] {
    return this.#tables;
  }

  /** One more than the highest version planned. */
  get versionsEnd(): number {
    return this.#versionsEnd;
  }

  get transactions(): readonly CommittedTransaction[] {
    return this.#transactions;
  }

  /** Row changes committed. */
  get written(): number {
    return this.#changesEnd;
  }

  /** Notes that a version is about to be written into a slot. */
  plan(kind: "create" | "update", version: number, table: number, slot: number): void {
    if (slot >= 2 ** 24) throw new Error(`Slot ${slot} is beyond what a journal holds.`);
    this.#rows.set(version, slot * 256 + table);
    this.#states.set(version, kind === "create" ? CREATE : UPDATE);
    this.#versionsEnd = Math.max(this.#versionsEnd, version + 1);
  }

  commit(gtid: string | undefined, changes: readonly PlannedChange[]): void {
    const first = this.#changesEnd;
    for (const { kind, version } of changes) {
      this.#states.mark(version, kind === "delete" ? DELETED : COMMITTED);
      this.#changes.set(this.#changesEnd, version * 2 + (kind === "delete" ? 1 : 0));
      this.#changesEnd += 1;
    }
    this.#transactions.push({ gtid, first, end: this.#changesEnd });
  }

  /** The changes of a committed transaction, as `[version, isDelete]`. */
  *changes(transaction: CommittedTransaction): Generator<readonly [number, boolean]> {
    for (let i = transaction.first; i < transaction.end; i += 1) {
      const change = this.#changes.get(i);
      yield [change >>> 1, (change & 1) === 1];
    }
  }

  isPlanned(version: number): boolean {
    return this.#states.get(version) !== 0;
  }

  isCreate(version: number): boolean {
    return (this.#states.get(version) & CREATE) !== 0;
  }

  isCommitted(version: number): boolean {
    return (this.#states.get(version) & COMMITTED) !== 0;
  }

  isDeleted(version: number): boolean {
    return (this.#states.get(version) & DELETED) !== 0;
  }

  table(version: number): Table | undefined {
    return this.#tables[this.tableNumber(version)];
  }

  tableNumber(version: number): number {
    return this.#rows.get(version) & 255;
  }

  slot(version: number): number {
    return this.#rows.get(version) >>> 8;
  }
}
