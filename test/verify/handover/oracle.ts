/**
 * Judges rows of a snapshot and changes of the stream together. Imports nothing of the program under test.
 *
 *   lost           a committed change that never arrived, or a row of SELECT that no message told of
 *   duplicated     the same id twice, the same change twice, or a row read twice
 *   stale          a row that was read after a newer version of it, or its deletion, had arrived; or whose
 *                  last message is not what SELECT says
 *   out_of_order   a change behind a later one of its row
 *   phantom        a row image that was never written, or was rolled back
 *   known          no fault: a row read with the version that a change had brought before its turn came
 */
import { HashSet } from "../hash-set.ts";
import { DELETE, UPSERT, markOf, type Ledger, type Step } from "./ledger.ts";

export interface Seen {
  readonly id: string;
  readonly table: number;
  readonly slot: number;
  readonly version: number;
  readonly kind: "read" | "upsert" | "delete";
}

export interface Faults {
  readonly lost: number;
  readonly duplicated: number;
  readonly stale: number;
  readonly out_of_order: number;
  readonly phantom: number;
}

/** By table of the campaign: slot → version, as SELECT says. */
export type Selected = readonly ReadonlyMap<number, number>[];

const EXAMPLES_MAX = 10;

export class HandoverOracle {
  readonly #ledger: Ledger;
  readonly #merges: boolean;
  readonly #ids = new HashSet();
  readonly #arrived = new Set<number>();
  /** By table and slot: twice the version, and one more if it was deleted. */
  readonly #rows: readonly Map<number, number>[];
  readonly #read: readonly Set<number>[];
  #duplicated = 0;
  #stale = 0;
  #outOfOrder = 0;
  #phantom = 0;
  delivered = 0;
  reads = 0;
  known = 0;
  readonly examples: string[] = [];

  /** @param merges a deletion may show the row as an earlier change left it, which was merged with it. */
  constructor(ledger: Ledger, tables: number, merges = false) {
    this.#ledger = ledger;
    this.#merges = merges;
    this.#rows = Array.from({ length: tables }, () => new Map<number, number>());
    this.#read = Array.from({ length: tables }, () => new Set<number>());
  }

  observe(seen: Seen): void {
    const { id, table, slot, version, kind } = seen;
    this.delivered += 1;
    if (kind === "read") this.reads += 1;
    const rows = this.#rows[table];
    const bit = kind === "delete" ? DELETE : UPSERT;
    const bits = this.#merges && bit === DELETE ? [DELETE, UPSERT] : [bit];
    const isWritten = bits.some(each =>
      this.#ledger.isWritten({ table, slot, bit: each as Step["bit"], version }),
    );
    if (rows === undefined || !isWritten) {
      this.#phantom += 1;
      this.#note("phantom", seen);
      return;
    }
    const isRepeated = !this.#ids.add(id);
    const last = rows.get(slot) ?? 0;
    const stamp = version * 2 + (kind === "delete" ? 1 : 0);
    if (kind === "read") {
      const read = this.#read[table] as Set<number>;
      if (last === stamp) this.known += 1;
      if (isRepeated || read.has(slot)) this.#duplicate(seen);
      else if (last > stamp) {
        this.#stale += 1;
        this.#note("stale", seen);
      }
      read.add(slot);
    } else {
      const mark = markOf(version, bit);
      if (isRepeated || this.#arrived.has(mark) || last === stamp) this.#duplicate(seen);
      else if (last > stamp) {
        this.#outOfOrder += 1;
        this.#note("out of order", seen);
      }
      this.#arrived.add(mark);
    }
    rows.set(slot, stamp);
  }

  /** Changes that were committed and have not arrived. */
  get missing(): number {
    let missing = 0;
    for (const mark of this.#ledger.committed) if (!this.#arrived.has(mark)) missing += 1;
    return missing;
  }

  /** Whether the messages so far lead to what SELECT says. */
  isWhole(selected: Selected): boolean {
    const { lost, stale } = this.#differences(selected);
    return lost + stale === 0;
  }

  faults(selected: Selected): Faults {
    const { lost, stale } = this.#differences(selected);
    return {
      lost: this.missing + lost,
      duplicated: this.#duplicated,
      stale: this.#stale + stale,
      out_of_order: this.#outOfOrder,
      phantom: this.#phantom,
    };
  }

  #differences(selected: Selected): { readonly lost: number; readonly stale: number } {
    let lost = 0;
    let stale = 0;
    for (const [table, rows] of this.#rows.entries()) {
      const there = selected[table] ?? new Map<number, number>();
      for (const [slot, version] of there) {
        const stamp = rows.get(slot);
        if (stamp === undefined) lost += 1;
        else if (stamp !== version * 2) stale += 1;
      }
      for (const [slot, stamp] of rows) if ((stamp & 1) === 0 && !there.has(slot)) stale += 1;
    }
    return { lost, stale };
  }

  #duplicate(seen: Seen): void {
    this.#duplicated += 1;
    this.#note("duplicated", seen);
  }

  #note(fault: string, { id, table, slot, version, kind }: Seen): void {
    if (this.examples.length >= EXAMPLES_MAX) return;
    const last = this.#rows[table]?.get(slot);
    this.examples.push(
      `${fault}: ${kind} ${id}, slot ${slot}, version ${version}, after ${String(last)}`,
    );
  }
}
