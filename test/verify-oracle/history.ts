/** Made-up histories: a journal, and the messages that a faultless run would deliver. */
import { Journal, type PlannedChange } from "../verify/journal.ts";
import { Oracle, type CommitRecord, type Delivery } from "../verify/oracle.ts";
import { tables } from "../verify/tables.ts";

const UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

export function gtid(number: number): string {
  return `${UUID}:${number}`;
}

type Step =
  | { readonly kind: "create" | "update"; readonly slot: number; readonly version: number }
  | { readonly kind: "delete"; readonly slot: number; readonly version: number };

/** Tables of the journal by number: 0 has a primary key, 3 has none. */
export const KEYED = 0;
export const KEYLESS = 3;

export interface HistoryOptions {
  readonly ids?: boolean;
  readonly tombstones?: boolean;
  readonly compacted?: boolean;
  readonly repeats?: boolean;
  readonly ordered?: boolean;
}

export class History {
  readonly journal = new Journal();
  readonly oracle: Oracle;
  /** In binlog order. */
  readonly deliveries: Delivery[] = [];
  readonly rows = tables.map(() => new Map<number, number>());
  #transactions = 0;
  #position = 0;

  constructor(options: HistoryOptions = {}) {
    for (const table of tables) this.journal.addTable(table);
    const { ids = true, tombstones = true, compacted = false, ...rest } = options;
    const { journal } = this;
    this.oracle = new Oracle({ journal, ids, tombstones, compacted, database: "shop", ...rest });
  }

  /** A transaction on one table; one that is not committed leaves its deliveries to the caller. */
  transaction(table: number, steps: readonly Step[], committed = true): readonly Delivery[] {
    this.#transactions += 1;
    const transaction = gtid(this.#transactions);
    const changes: PlannedChange[] = [];
    const deliveries: Delivery[] = [];
    steps.forEach(({ kind, slot, version }, row) => {
      this.#position += 10;
      if (kind !== "delete") this.journal.plan(kind, version, table, slot);
      changes.push({ kind, version });
      const name = tables[table]?.name ?? "";
      const id = `${transaction}:shop.${name}:${row}`;
      const common = {
        lane: "orders/0",
        transaction,
        position: [3, this.#position] as const,
        table,
        slot,
        sound: true,
      };
      deliveries.push({ ...common, id, kind, version });
      if (kind === "delete" && table !== KEYLESS) {
        deliveries.push({ ...common, id: `${id}:t`, kind: "tombstone", version: 0 });
      }
      if (!committed) return;
      if (kind === "delete") this.rows[table]?.delete(slot);
      else this.rows[table]?.set(slot, version);
    });
    if (committed) {
      this.journal.commit(transaction, changes);
      this.deliveries.push(...deliveries);
    }
    return deliveries;
  }

  deliver(deliveries: readonly Delivery[] = this.deliveries): void {
    for (const delivery of deliveries) this.oracle.observe(delivery);
  }

  /** Every figure that is not 0, apart from `written` and `delivered`. */
  faults(): Readonly<Record<string, number>> {
    const verdict = this.oracle.verdict(this.rows);
    return Object.fromEntries(
      Object.entries(verdict).filter(
        ([name, count]) => count !== 0 && name !== "written" && name !== "delivered",
      ),
    );
  }

  /** Compares a commit record with what was delivered; returns what is in flight. */
  checkCommit(record: Partial<CommitRecord>, ends: Readonly<Record<string, number>> = {}): number {
    const whole = { generation: 1, sequence: 1, gtid_set: "", transaction: null, next_offsets: {} };
    return this.oracle.checkCommit(
      [{ ...whole, ...record }],
      (topic, partition) => ends[`${topic}/${partition}`] ?? 0,
      this.journal.transactions.length,
    );
  }
}

/** Six rows: written, changed, deleted, made again, moved. */
export function busyHistory(options: HistoryOptions = {}): History {
  const history = new History(options);
  history.transaction(KEYED, [
    { kind: "create", slot: 0, version: 1 },
    { kind: "create", slot: 1, version: 2 },
    { kind: "create", slot: 2, version: 3 },
  ]);
  history.transaction(KEYED, [
    { kind: "update", slot: 0, version: 4 },
    { kind: "update", slot: 0, version: 5 },
    { kind: "delete", slot: 1, version: 2 },
  ]);
  history.transaction(KEYED, [{ kind: "create", slot: 1, version: 6 }]);
  history.transaction(KEYLESS, [
    { kind: "create", slot: 0, version: 7 },
    { kind: "delete", slot: 0, version: 7 },
    { kind: "create", slot: 4, version: 8 },
  ]);
  return history;
}
