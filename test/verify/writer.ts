/**
 * Changes rows in every way an application does, over several connections, and keeps the journal.
 *
 * Each hand (connection) owns the slots and versions whose number leaves its own remainder when divided
 * by the number of hands. So hands never wait for one another's rows, and what a hand chooses depends on
 * the seed alone, whatever the timing. Every transaction also raises the hand's number in a table that
 * Tidemark does not capture: after a lost answer to COMMIT that row tells whether it was done.
 */
import { setTimeout as sleep } from "node:timers/promises";
import {
  createConnection,
  type Connection,
  type ResultSetHeader,
  type RowDataPacket,
} from "mysql2/promise";
import type { Journal, PlannedChange } from "./journal.ts";
import { Random } from "./random.ts";
import { SlotModel } from "./slot-model.ts";
import { copyTable, type Table } from "./tables.ts";

export interface MysqlAddress {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
}

/** As it is now: the server may come to be another one. */
function addressOf({ host, port, user, password }: MysqlAddress): MysqlAddress {
  return { host, port, user, password };
}

/** How many rows transactions change: mostly a handful, some thousands, and the largest now and then. */
export type SizeProfile = "mixed" | "small";

export interface WriterOptions {
  readonly mysql: MysqlAddress;
  readonly database: string;
  readonly seed: number;
  readonly journal: Journal;
  readonly tables: readonly Table[];
  readonly hands: number;
  /** Over all hands together, on average. */
  readonly rowsPerSecond: number;
  readonly sizes: SizeProfile;
  /** Beyond this many living rows of a hand in a table there are no more inserts. */
  readonly aliveMax: number;
  /** ALTER TABLE … ADD COLUMN and CREATE … SELECT now and then. */
  readonly ddl: boolean;
}

/** Versions and slots up to this number are left to checks that write rows of their own. */
export const RESERVED = 1_000;

const LARGEST_TRANSACTION = 20_000;
const ROWS_PER_STATEMENT = 500;
const DDL_MAX = 4;
const RECONNECT_WAIT_MS = 200;
/** After the largest transactions the other hands go on. */
const PAUSE_MAX_MS = 3_000;
/** MySQL before 8.0.21 refuses CREATE … SELECT with GTIDs. */
const ER_GTID_UNSAFE_CREATE_SELECT = 1786;

/** The answer to a transaction is unknown, or the server has undone it: the connection is no more. */
class ConnectionLost extends Error {}

export class Writer {
  readonly options: WriterOptions;
  readonly #hands: Hand[];
  #running: Promise<unknown> = Promise.resolve();
  #stopped = false;
  #gate: Promise<void> | undefined;
  #openGate: (() => void) | undefined;
  #resting = 0;
  #paused = false;
  #held = false;
  #ddlCount = 0;
  /** Rows rolled back, by transaction or savepoint. */
  rolledBack = 0;
  largest = 0;
  failure: unknown;

  constructor(options: WriterOptions) {
    this.options = options;
    const tables = options.tables.map(table => ({
      table,
      number: options.journal.addTable(table),
    }));
    this.#hands = Array.from(
      { length: options.hands },
      (_, index) => new Hand(this, index, tables),
    );
  }

  /** Makes the database and its empty tables. */
  async createTables(): Promise<void> {
    const { mysql, database, tables } = this.options;
    const connection = await createConnection(addressOf(mysql));
    try {
      await connection.query(`CREATE DATABASE ${database}`);
      await connection.query("CREATE DATABASE IF NOT EXISTS harness");
      await connection.query(
        `CREATE TABLE harness.${database} (hand INT PRIMARY KEY, transaction_ BIGINT NOT NULL)`,
      );
      for (const { name, definition } of tables) {
        await connection.query(`CREATE TABLE ${database}.\`${name}\` (${definition})`);
      }
    } finally {
      await connection.end();
    }
  }

  start(): void {
    const runs = this.#hands.map(hand => hand.run());
    this.#running = Promise.all(runs).catch((error: unknown) => {
      this.failure ??= error;
      this.#stopped = true;
    });
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  /** Resolves when no transaction is open. */
  async pause(): Promise<void> {
    this.#paused = true;
    this.#shut();
    while (this.#resting < this.#hands.length && !this.#stopped) await sleep(5);
    this.throwFailure();
  }

  resume(): void {
    this.#paused = false;
    this.#maybeOpen();
  }

  /** Holds hands back before their next transaction, without waiting for them. Apart from `pause`. */
  hold(on: boolean): void {
    this.#held = on;
    if (on) this.#shut();
    else this.#maybeOpen();
  }

  get isHeld(): boolean {
    return this.#gate !== undefined;
  }

  #shut(): void {
    this.#gate ??= new Promise(resolve => (this.#openGate = resolve));
  }

  #maybeOpen(): void {
    if ((this.#paused || this.#held) && !this.#stopped) return;
    this.#openGate?.();
    this.#gate = undefined;
    this.#openGate = undefined;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#maybeOpen();
    await this.#running;
    this.throwFailure();
  }

  throwFailure(): void {
    if (this.failure !== undefined) {
      throw new Error("The writer failed.", { cause: this.failure });
    }
  }

  /** A hand passes here between its transactions. */
  async rest(): Promise<void> {
    while (this.#gate && !this.#stopped) {
      this.#resting += 1;
      await this.#gate;
      this.#resting -= 1;
    }
  }

  /** True if one more schema change is due. */
  takeDdl(): number | undefined {
    if (!this.options.ddl || this.#ddlCount >= DDL_MAX) return undefined;
    this.#ddlCount += 1;
    return this.#ddlCount;
  }
}

interface HandTable {
  readonly table: Table;
  readonly number: number;
  readonly model: SlotModel;
}

class Hand {
  readonly #writer: Writer;
  readonly #index: number;
  readonly #random: Random;
  readonly #tables: readonly HandTable[];
  readonly #step: number;
  readonly #sizes: SizeProfile;
  #connection: Connection | undefined;
  #versions = 0;
  #nextFreeMs = 0;
  #transactions = 0;
  /** Of the open transaction. */
  #changes: PlannedChange[] = [];

  constructor(
    writer: Writer,
    index: number,
    tables: readonly { readonly table: Table; readonly number: number }[],
  ) {
    this.#writer = writer;
    this.#index = index;
    this.#step = writer.options.hands;
    // Half of the hands always write small transactions, so that hardly a moment is without one.
    this.#sizes = index % 2 === 1 ? "small" : writer.options.sizes;
    this.#random = new Random(writer.options.seed, `hand ${index}`);
    this.#tables = tables.map(entry => ({ ...entry, model: new SlotModel() }));
  }

  async run(): Promise<void> {
    try {
      await this.#connect();
      await this.#query(
        `INSERT INTO harness.${this.#writer.options.database} VALUES (${this.#index}, 0)`,
      );
      for (;;) {
        await this.#writer.rest();
        if (this.#writer.stopped) break;
        const rows = await this.#transaction();
        await this.#maybeDdl();
        await this.#pay(rows);
      }
      await this.#connection?.end();
    } finally {
      this.#connection?.destroy();
    }
  }

  /** Waits so long that the rate is kept: a large transaction is paid for by the pause after it. */
  async #pay(rows: number): Promise<void> {
    const { rowsPerSecond, hands } = this.#writer.options;
    const share = this.#sizes === "small" ? 0.5 : 1.5;
    const now = performance.now();
    this.#nextFreeMs =
      Math.max(now, this.#nextFreeMs) + (rows * hands * 1000) / (rowsPerSecond * share);
    const until = Math.min(this.#nextFreeMs, now + PAUSE_MAX_MS);
    while (performance.now() < until && !this.#writer.stopped && !this.#writer.isHeld) {
      await sleep(Math.max(1, Math.min(50, until - performance.now())));
    }
  }

  /** Waits for a server that is down. */
  async #connect(): Promise<void> {
    for (;;) {
      try {
        const connection = await createConnection({
          ...addressOf(this.#writer.options.mysql),
          database: this.#writer.options.database,
          charset: "utf8mb4",
          connectTimeout: 5_000,
        });
        connection.on("error", () => undefined);
        this.#connection = connection;
        await connection.query("SET SESSION session_track_gtids = OWN_GTID");
        await connection.query("SET SESSION time_zone = '+00:00'");
        await connection.query("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED");
        return;
      } catch (error) {
        if (!isConnectionError(error)) throw error;
        this.#connection?.destroy();
        this.#connection = undefined;
        await sleep(RECONNECT_WAIT_MS);
      }
    }
  }

  /** @throws ConnectionLost */
  async #query(sql: string): Promise<ResultSetHeader> {
    if (!this.#connection) throw new ConnectionLost();
    try {
      const [result] = await this.#connection.query<ResultSetHeader>(sql);
      return result;
    } catch (error) {
      if (isConnectionError(error)) throw new ConnectionLost("", { cause: error });
      throw error;
    }
  }

  #version(): number {
    this.#versions += 1;
    return (RESERVED + this.#versions) * this.#step + this.#index;
  }

  #slot(local: number): number {
    return (RESERVED + local) * this.#step + this.#index;
  }

  /** One transaction, committed or rolled back. Returns how many rows it changed. */
  async #transaction(): Promise<number> {
    const { database } = this.#writer.options;
    this.#transactions += 1;
    this.#changes = [];
    for (const { model } of this.#tables) model.begin();
    let committing = false;
    try {
      await this.#query("BEGIN");
      await this.#query(
        `UPDATE harness.${database} SET transaction_ = ${this.#transactions} WHERE hand = ${this.#index}`,
      );
      await this.#changeRows(this.#size());
      const rows = this.#changes.length;
      if (this.#random.chance(0.06)) {
        await this.#query("ROLLBACK");
        this.#undo();
        return rows;
      }
      committing = true;
      const answer = await this.#query("COMMIT");
      this.#committed(ownGtid(answer));
      return rows;
    } catch (error) {
      if (error instanceof ConnectionLost) {
        this.#connection?.destroy();
        this.#connection = undefined;
        await this.#connect();
        if (committing && (await this.#wasCommitted())) this.#committed(undefined);
        else this.#undo();
        return 0;
      }
      if (!isDeadlock(error)) throw error;
      this.#undo();
      return 0;
    }
  }

  #committed(gtid: string | undefined): void {
    const { journal } = this.#writer.options;
    if (this.#changes.length > 0) journal.commit(gtid, this.#changes);
    this.#writer.largest = Math.max(this.#writer.largest, this.#changes.length);
  }

  #undo(): void {
    this.#writer.rolledBack += this.#changes.length;
    for (const { model } of this.#tables) model.undo(0);
  }

  async #wasCommitted(): Promise<boolean> {
    for (;;) {
      try {
        const connection = this.#connection;
        if (!connection) throw new ConnectionLost();
        const [rows] = await connection.query<RowDataPacket[]>(
          `SELECT transaction_ AS number FROM harness.${this.#writer.options.database}
             WHERE hand = ${this.#index}`,
        );
        return Number(rows[0]?.["number"]) === this.#transactions;
      } catch (error) {
        if (!isConnectionError(error) && !(error instanceof ConnectionLost)) throw error;
        this.#connection?.destroy();
        this.#connection = undefined;
        await this.#connect();
      }
    }
  }

  #size(): number {
    const random = this.#random;
    const draw = random.next();
    switch (this.#sizes) {
      case "small":
        return random.int(1, draw < 0.95 ? 5 : 100);
      case "mixed":
        if (draw < 0.8) return random.int(1, 4);
        if (draw < 0.94) return random.int(5, 50);
        if (draw < 0.99) return random.int(50, 500);
        if (draw < 0.997) return random.int(500, 3_000);
        return draw < 0.9985 ? random.int(3_000, LARGEST_TRANSACTION) : LARGEST_TRANSACTION;
    }
  }

  /** Changes about `size` rows, in one table or several, perhaps with a savepoint that is given up. */
  async #changeRows(size: number): Promise<void> {
    const random = this.#random;
    const parts = size > 3 && random.chance(0.6) ? random.int(2, 4) : 1;
    for (let part = 0; part < parts; part += 1) {
      const count = Math.max(1, Math.floor(size / parts));
      if (random.chance(0.1)) {
        await this.#query(`SAVEPOINT part_${part}`);
        const marks = this.#tables.map(({ model }) => model.mark);
        const kept = this.#changes.length;
        await this.#changeTable(random.pick(this.#tables), count);
        if (random.chance(0.6)) {
          await this.#query(`ROLLBACK TO SAVEPOINT part_${part}`);
          this.#tables.forEach(({ model }, i) => model.undo(marks[i] ?? 0));
          this.#writer.rolledBack += this.#changes.length - kept;
          this.#changes.length = kept;
        }
      } else {
        await this.#changeTable(random.pick(this.#tables), count);
      }
    }
  }

  async #changeTable(entry: HandTable, count: number): Promise<void> {
    const random = this.#random;
    const { model, table } = entry;
    const draw = random.next();
    if (model.aliveCount < 10 || (draw < 0.4 && model.aliveCount < this.#writer.options.aliveMax)) {
      await this.#insert(entry, count);
    } else if (draw < 0.75) {
      if (count <= 20) await this.#updateSingly(entry, count);
      else await this.#updateMany(entry, count);
    } else if (draw < 0.93 || !table.keyed) {
      await this.#delete(entry, Math.min(count, model.aliveCount >> 1));
    } else {
      await this.#move(entry, Math.min(count, 5));
    }
  }

  async #insert(entry: HandTable, count: number): Promise<void> {
    const { table } = entry;
    for (let left = count; left > 0; left -= ROWS_PER_STATEMENT) {
      const rows: string[] = [];
      for (let i = 0; i < Math.min(left, ROWS_PER_STATEMENT); i += 1) {
        rows.push(this.#newValues("create", entry, this.#freeSlot(entry)).join(", "));
      }
      await this.#query(
        `INSERT INTO \`${table.name}\` (${table.columns.join(", ")}) VALUES (${rows.join("), (")})`,
      );
    }
  }

  /** Plans a change of the slot, and returns the values that it writes. */
  #newValues(kind: "create" | "update", entry: HandTable, local: number): readonly string[] {
    const version = this.#version();
    const slot = this.#slot(local);
    this.#writer.options.journal.plan(kind, version, entry.number, slot);
    this.#changes.push({ kind, version });
    entry.model.write(local, version);
    return entry.table.values(slot, version);
  }

  /** A slot never used, or, now and then, that of a row deleted before. */
  #freeSlot({ model }: HandTable): number {
    return this.#random.chance(0.2) ? model.takeDead(this.#random) : model.takeNew();
  }

  async #updateSingly(entry: HandTable, count: number): Promise<void> {
    const { table, model } = entry;
    let local = model.pickAlive(this.#random);
    for (let i = 0; i < count; i += 1) {
      // The same row several times in a row, now and then.
      if (!this.#random.chance(0.15)) local = model.pickAlive(this.#random);
      const values = this.#newValues("update", entry, local);
      await this.#query(
        `UPDATE \`${table.name}\` SET ${assignments(table, values).slice(table.keyColumns).join(", ")} ` +
          `WHERE ${table.where(this.#slot(local))}`,
      );
    }
  }

  /** Many rows by one statement, each with values of its own. */
  async #updateMany(entry: HandTable, count: number): Promise<void> {
    const { table, model } = entry;
    for (let left = count; left > 0; left -= ROWS_PER_STATEMENT) {
      const rows = model
        .pickAliveDistinct(this.#random, Math.min(left, ROWS_PER_STATEMENT))
        .map(local => this.#newValues("update", entry, local));
      await this.#query(table.numericKey ? updateByJoin(table, rows) : upsert(table, rows));
    }
  }

  async #delete(entry: HandTable, count: number): Promise<void> {
    const { table, model } = entry;
    for (let left = count; left > 0; left -= ROWS_PER_STATEMENT) {
      const conditions: string[] = [];
      for (let i = 0; i < Math.min(left, ROWS_PER_STATEMENT); i += 1) {
        const local = model.pickAlive(this.#random);
        this.#changes.push({ kind: "delete", version: model.kill(local) });
        conditions.push(table.where(this.#slot(local)));
      }
      if (conditions.length === 0) return;
      await this.#query(`DELETE FROM \`${table.name}\` WHERE ${conditions.join(" OR ")}`);
    }
  }

  /** Changes primary keys, to new ones or to those of rows deleted before. */
  async #move(entry: HandTable, count: number): Promise<void> {
    const { table, model } = entry;
    for (let i = 0; i < count; i += 1) {
      const from = model.pickAlive(this.#random);
      const to = this.#freeSlot(entry);
      this.#changes.push({ kind: "delete", version: model.kill(from) });
      const values = this.#newValues("create", entry, to);
      await this.#query(
        `UPDATE \`${table.name}\` SET ${assignments(table, values).join(", ")} ` +
          `WHERE ${table.where(this.#slot(from))}`,
      );
    }
  }

  /** A new column, or a table made with its rows. Both end the transaction by themselves. */
  async #maybeDdl(): Promise<void> {
    if (this.#index !== 0 || this.#transactions % 40 !== 0) return;
    const number = this.#writer.takeDdl();
    if (number === undefined) return;
    try {
      if (number % 2 === 1) {
        const { table } = this.#random.pick(this.#tables);
        await this.#query(
          `ALTER TABLE \`${table.name}\` ADD COLUMN added_${number} VARCHAR(20) DEFAULT 'added'`,
        );
      } else {
        await this.#createFromSelect(number);
      }
    } catch (error) {
      if ((error as { errno?: number }).errno !== ER_GTID_UNSAFE_CREATE_SELECT) throw error;
    }
  }

  async #createFromSelect(number: number): Promise<void> {
    const { journal } = this.#writer.options;
    const table = copyTable(number, number % 4 === 2);
    const entry = { table, number: journal.addTable(table), model: new SlotModel() };
    this.#changes = [];
    const rows: (readonly string[])[] = [];
    for (let i = 0; i < 200; i += 1) {
      rows.push(this.#newValues("create", entry, entry.model.takeNew()));
    }
    const answer = await this.#query(
      `CREATE TABLE \`${table.name}\` (${table.definition}) ${selectAll(table, rows)}`,
    );
    this.#committed(ownGtid(answer));
  }
}

type Values = readonly string[];

function assignments(table: Table, values: Values): readonly string[] {
  return table.columns.map((column, i) => `${column} = ${values[i] ?? "NULL"}`);
}

/** The rows as a query, with the table's column names. */
function selectAll(table: Table, rows: readonly Values[]): string {
  return rows
    .map((values, row) =>
      values
        .map((value, i) => (row === 0 ? `${value} AS ${table.columns[i] ?? ""}` : value))
        .join(),
    )
    .map(values => `SELECT ${values}`)
    .join(" UNION ALL ");
}

/** The new values lead the join, so that no row of another hand is looked at, and locked. */
function updateByJoin(table: Table, rows: readonly Values[]): string {
  const [key = "", ...others] = table.columns;
  return (
    `UPDATE (${selectAll(table, rows)}) AS new_ STRAIGHT_JOIN \`${table.name}\` AS old_ ` +
    `ON old_.${key} = new_.${key} ` +
    `SET ${others.map(column => `old_.${column} = new_.${column}`).join(", ")}`
  );
}

/** INSERT … ON DUPLICATE KEY UPDATE: the binlog shows updates. */
function upsert(table: Table, rows: readonly Values[]): string {
  const others = table.columns.slice(table.keyColumns);
  return (
    `INSERT INTO \`${table.name}\` (${table.columns.join(", ")}) ` +
    `VALUES ${rows.map(values => `(${values.join(", ")})`).join(", ")} ` +
    `ON DUPLICATE KEY UPDATE ${others.map(column => `${column} = VALUES(${column})`).join(", ")}`
  );
}

interface StateChanges {
  readonly stateChanges?: { readonly gtids?: readonly string[] };
}

function ownGtid(answer: ResultSetHeader): string | undefined {
  return (answer as StateChanges).stateChanges?.gtids?.[0];
}

function isConnectionError(error: unknown): boolean {
  const { code, fatal, errno } = error as { code?: string; fatal?: boolean; errno?: number };
  // 1053: shutdown in progress; 1927, 3169: connection or session was killed.
  return (
    fatal === true ||
    code === "PROTOCOL_CONNECTION_LOST" ||
    code === "ECONNREFUSED" ||
    code === "ECONNRESET" ||
    code === "EPIPE" ||
    code === "ETIMEDOUT" ||
    errno === 1053 ||
    errno === 1317 ||
    errno === 1927 ||
    errno === 3169
  );
}

function isDeadlock(error: unknown): boolean {
  const { code } = error as { code?: string };
  return code === "ER_LOCK_DEADLOCK" || code === "ER_LOCK_WAIT_TIMEOUT";
}
