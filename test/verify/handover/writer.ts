/**
 * So many transactions a second, over several connections, on rows that the snapshot has copied and on
 * those that it has not: updates, deletes, inserts in old and new places, changes of the key, rollbacks.
 * Each hand owns the slots whose number leaves its own remainder, so that none waits for another.
 */
import { createConnection, type Connection } from "mysql2/promise";
import type { Mysql } from "../../../tools/services/services.ts";
import { Random } from "../random.ts";
import { sleep } from "../wait.ts";
import { DELETE, UPSERT, type Ledger, type Step } from "./ledger.ts";
import { DATABASE, tables, where } from "./tables.ts";

export interface WriterOptions {
  readonly mysql: Mysql;
  readonly ledger: Ledger;
  readonly seed: number;
  readonly transactionsPerSecond: number;
}

const HANDS = 4;
/** Beyond the rows that were there. */
const NEW_SHARE = 0.1;
const ROLLED_BACK_SHARE = 0.03;

export class HandoverWriter {
  readonly #options: WriterOptions;
  /** By table and slot: the version of the row; 0 if there is none. */
  readonly #versions: readonly Uint32Array[];
  readonly #slots: number;
  #stopped = false;
  #running: Promise<unknown> = Promise.resolve();
  transactions = 0;

  constructor(options: WriterOptions) {
    const { ledger } = options;
    this.#options = options;
    this.#slots = Math.ceil(ledger.rows * (1 + NEW_SHARE));
    this.#versions = tables.map((_, table) => {
      const first = ledger.firstVersion(table);
      return Uint32Array.from({ length: this.#slots }, (_, slot) =>
        slot < ledger.rows ? first + slot : 0,
      );
    });
  }

  /** Also again, when it was stopped. */
  start(): void {
    this.#stopped = false;
    this.#running = Promise.all(Array.from({ length: HANDS }, (_, hand) => this.#run(hand)));
    // What it ends with is told by `stop`.
    this.#running.catch(() => undefined);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #run(hand: number): Promise<void> {
    const { mysql, seed, transactionsPerSecond } = this.#options;
    const { host, port, user, password } = mysql;
    const connection = await createConnection({ host, port, user, password });
    const random = new Random(seed, `hand ${hand}`);
    const startedAt = performance.now();
    try {
      for (let count = 0; !this.#stopped; count += 1) {
        const due = startedAt + (count * HANDS * 1_000) / transactionsPerSecond;
        const waitMs = due - performance.now();
        if (waitMs > 1) await sleep(waitMs);
        await this.#transaction(connection, hand, random);
        this.transactions += 1;
      }
    } finally {
      await connection.end();
    }
  }

  async #transaction(connection: Connection, hand: number, random: Random): Promise<void> {
    const { ledger } = this.#options;
    const planned: Step[] = [];
    const before: (() => void)[] = [];
    await connection.query("BEGIN");
    for (let changes = random.int(1, 3); changes > 0; changes -= 1) {
      const { statement, steps } = this.#change(hand, random);
      for (const step of steps) {
        const versions = this.#versions[step.table] as Uint32Array;
        const was = versions[step.slot] ?? 0;
        before.push(() => (versions[step.slot] = was));
        versions[step.slot] = step.bit === UPSERT ? step.version : 0;
        ledger.plan(step);
        planned.push(step);
      }
      await connection.query(statement);
    }
    if (random.chance(ROLLED_BACK_SHARE)) {
      await connection.query("ROLLBACK");
      for (const undo of before.reverse()) undo();
      for (const step of planned) ledger.forget(step);
      return;
    }
    await connection.query("COMMIT");
    for (const step of planned) ledger.commit(step);
  }

  #change(hand: number, random: Random): { statement: string; steps: readonly Step[] } {
    const table = random.int(0, tables.length - 1);
    const of = tables[table] as (typeof tables)[number];
    const versions = this.#versions[table] as Uint32Array;
    const slot = this.#slot(hand, random);
    const last = versions[slot] ?? 0;
    const other = this.#slot(hand, random);
    const version = this.#options.ledger.nextVersion();
    const name = `${DATABASE}.${of.name}`;
    if (last === 0) {
      const values = [...of.keyOf(String(slot)), slot, version, "'new'"].join(", ");
      const statement = `INSERT INTO ${name} VALUES (${values})`;
      return { statement, steps: [{ table, slot, bit: UPSERT, version }] };
    }
    if (random.chance(0.15)) {
      const statement = `DELETE FROM ${name} WHERE ${where(of, slot)}`;
      return { statement, steps: [{ table, slot, bit: DELETE, version: last }] };
    }
    if (versions[other] === 0 && random.chance(0.5)) {
      const key = of.keyOf(String(other)).map((value, i) => `${of.key[i] ?? ""} = ${value}`);
      const set = [...key, `slot = ${other}`, `version = ${version}`].join(", ");
      return {
        statement: `UPDATE ${name} SET ${set} WHERE ${where(of, slot)}`,
        steps: [
          { table, slot, bit: DELETE, version: last },
          { table, slot: other, bit: UPSERT, version },
        ],
      };
    }
    const set = `version = ${version}, body = '${"x".repeat(random.int(0, 100))}'`;
    const statement = `UPDATE ${name} SET ${set} WHERE ${where(of, slot)}`;
    return { statement, steps: [{ table, slot, bit: UPSERT, version }] };
  }

  #slot(hand: number, random: Random): number {
    return random.int(0, Math.floor(this.#slots / HANDS) - 1) * HANDS + hand;
  }
}
