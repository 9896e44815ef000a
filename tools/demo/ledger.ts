/**
 * What the shop knows that it has written: every committed change, by transaction and by key.
 *
 * A change leads to messages that are known beforehand ("steps"):
 *
 *   insert                  c4             a row of version 4 came
 *   update                  u5
 *   delete                  d5 t5          the row's last version, and the tombstone of its key
 *   another primary key     d5 t5          under the old key
 *                           c6             under the new one
 */
import { keyText, type Key, type Table } from "./tables.ts";

export interface Change {
  readonly table: Table;
  readonly kind: "insert" | "update" | "delete" | "rekey";
  readonly key: Key;
  /** Only for `rekey`. */
  readonly newKey?: Key;
  /** Of the row after the change; for a delete that before it. */
  readonly version: number;
}

/** The key of a row in maps of all tables. */
export function rowName(table: string, key: string): string {
  return `${table} ${key}`;
}

export interface Step {
  readonly row: string;
  readonly step: string;
}

export function stepsOf(change: Change): readonly Step[] {
  const { table, kind, version } = change;
  const row = rowName(table.name, keyText(change.key));
  const gone = (last: number): Step[] => [
    { row, step: `d${last}` },
    { row, step: `t${last}` },
  ];
  switch (kind) {
    case "insert":
      return [{ row, step: `c${version}` }];
    case "update":
      return [{ row, step: `u${version}` }];
    case "delete":
      return gone(version);
    case "rekey": {
      const newRow = rowName(table.name, keyText(change.newKey ?? []));
      return [...gone(version - 1), { row: newRow, step: `c${version}` }];
    }
  }
}

export class Ledger {
  /** Committed row changes. */
  changes = 0;
  transactions = 0;
  readonly #steps = new Map<string, string[]>();
  readonly #rowsByGtid = new Map<string, number>();

  commit(gtid: string, changes: readonly Change[]): void {
    this.changes += changes.length;
    this.transactions += 1;
    this.#rowsByGtid.set(gtid, (this.#rowsByGtid.get(gtid) ?? 0) + changes.length);
    for (const change of changes) {
      for (const { row, step } of stepsOf(change)) {
        const steps = this.#steps.get(row);
        if (steps) steps.push(step);
        else this.#steps.set(row, [step]);
      }
    }
  }

  /** Row → the steps that have to arrive for it, in order. */
  get expected(): ReadonlyMap<string, readonly string[]> {
    return this.#steps;
  }

  /** Row changes of each transaction. */
  get rowsByGtid(): ReadonlyMap<string, number> {
    return this.#rowsByGtid;
  }
}
