/**
 * A fifth table, without a key: who writes to it, and what a consumer has of it. Like rows stand there several
 * times, so the two are compared as multisets.
 */
import { createConnection, type Connection, type RowDataPacket } from "mysql2/promise";
import type { Mysql } from "../../../tools/services/services.ts";
import { HashSet } from "../hash-set.ts";
import type { RawRecord } from "../kafka-wire.ts";
import { Random } from "../random.ts";
import { sleep } from "../wait.ts";
import { DATABASE } from "./tables.ts";

export const LOOSE = "loose";

/** Like rows of the beginning stand there so often. */
const ALIKE = 3;
const TRANSACTIONS_PER_SECOND = 60;
const ROLLED_BACK_SHARE = 0.05;
const BATCH_ROWS = 5_000;

export async function createLoose(connection: Connection, rows: number): Promise<void> {
  await connection.query(
    `CREATE TABLE ${DATABASE}.${LOOSE} (slot INT NOT NULL, version INT NOT NULL, body VARCHAR(120), KEY (slot))`,
  );
  for (let from = 0; from < rows; from += BATCH_ROWS) {
    const values = Array.from({ length: Math.min(BATCH_ROWS, rows - from) }, (_, i) => {
      return `(${Math.floor((from + i) / ALIKE)}, 0, REPEAT('b', 60))`;
    });
    await connection.query(`INSERT INTO ${DATABASE}.${LOOSE} VALUES ${values.join(", ")}`);
  }
}

export class LooseWriter {
  readonly #mysql: Mysql;
  readonly #random: Random;
  readonly #slots: number;
  readonly #end = new AbortController();
  #running: Promise<void> = Promise.resolve();
  transactions = 0;

  constructor({ mysql, rows, seed }: { mysql: Mysql; rows: number; seed: number }) {
    this.#mysql = mysql;
    this.#slots = Math.ceil(rows / ALIKE);
    this.#random = new Random(seed, "loose");
  }

  start(): void {
    this.#running = this.#run();
    // What it ends with is told by `stop`.
    this.#running.catch(() => undefined);
  }

  async stop(): Promise<void> {
    this.#end.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { host, port, user, password } = this.#mysql;
    const connection = await createConnection({ host, port, user, password });
    try {
      while (!this.#end.signal.aborted) {
        await connection.query("BEGIN");
        for (let changes = this.#random.int(1, 3); changes > 0; changes -= 1) {
          await connection.query(this.#change());
        }
        const isKept = !this.#random.chance(ROLLED_BACK_SHARE);
        await connection.query(isKept ? "COMMIT" : "ROLLBACK");
        this.transactions += 1;
        await sleep(1_000 / TRANSACTIONS_PER_SECOND);
      }
    } finally {
      await connection.end();
    }
  }

  #change(): string {
    const table = `${DATABASE}.${LOOSE}`;
    const slot = this.#random.int(0, this.#slots);
    const version = this.#random.int(1, 5);
    const draw = this.#random.next();
    if (draw < 0.3) {
      const row = `(${slot}, ${version}, 'new')`;
      return `INSERT INTO ${table} VALUES ${row}, ${row}`;
    }
    if (draw < 0.5) return `DELETE FROM ${table} WHERE slot = ${slot} LIMIT 1`;
    if (draw < 0.6) return `DELETE FROM ${table} WHERE slot = ${slot}`;
    const set = `version = ${version}, slot = ${this.#random.int(0, this.#slots)}`;
    return `UPDATE ${table} SET ${set} WHERE slot = ${slot} LIMIT ${this.#random.int(1, 2)}`;
  }
}

interface Image {
  readonly slot: number;
  readonly version: number;
  readonly body: string;
}

interface Envelope {
  readonly op: "r" | "c" | "u" | "d" | "t";
  readonly before: Image | null;
  readonly after: Image | null;
}

/** Row → how often it stands there. */
type Multiset = Map<string, number>;

export class LooseCopy {
  /** By partition: a message that empties the table speaks for its own alone. */
  readonly #there = new Map<number, Multiset>();
  readonly #copies = new Set<string>();
  readonly #ids = new HashSet();
  duplicated = 0;
  /** Since the table was emptied last. */
  rowsRead = 0;

  /** How often it was emptied. */
  get emptied(): number {
    return this.#copies.size;
  }

  observe({ value, headers }: RawRecord, partition: number): void {
    if (value === null) return;
    const { op, before, after } = JSON.parse(value.toString()) as Envelope;
    if (!this.#ids.add(headers["id"] ?? "")) this.duplicated += 1;
    const there = this.#there.get(partition) ?? new Map<string, number>();
    this.#there.set(partition, there);
    if (op === "t") {
      const copy = headers["transaction"] ?? "";
      if (!this.#copies.has(copy)) this.rowsRead = 0;
      this.#copies.add(copy);
      there.clear();
    }
    if (op === "r") this.rowsRead += 1;
    if (before !== null) add(there, before, -1);
    if (after !== null) add(there, after, 1);
  }

  /** Rows that SELECT shows and messages do not tell of, and the other way round. */
  differences(selected: Multiset): { readonly lost: number; readonly phantom: number } {
    let lost = 0;
    let phantom = 0;
    const told = [...this.#there.values()];
    for (const row of new Set([selected, ...told].flatMap(rows => [...rows.keys()]))) {
      const count = told.reduce((sum, rows) => sum + (rows.get(row) ?? 0), 0);
      const more = (selected.get(row) ?? 0) - count;
      if (more > 0) lost += more;
      else phantom -= more;
    }
    return { lost, phantom };
  }
}

export async function selectLoose(connection: Connection): Promise<Multiset> {
  const [rows] = await connection.query<(RowDataPacket & Image)[]>(
    `SELECT slot, version, body FROM ${DATABASE}.${LOOSE}`,
  );
  const there: Multiset = new Map();
  for (const row of rows) add(there, row, 1);
  return there;
}

function add(there: Multiset, { slot, version, body }: Image, count: number): void {
  const row = `${slot} ${version} ${body}`;
  const now = (there.get(row) ?? 0) + count;
  if (now === 0) there.delete(row);
  else there.set(row, now);
}
