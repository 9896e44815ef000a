/**
 * One connection of the shop: it changes rows on the server and on its shelf alike, and writes down in
 * the ledger what was committed, under the GTID that the server gave it.
 */
import type { Connection, ResultSetHeader } from "mysql2/promise";
import { Failure } from "./failure.ts";
import type { Ledger } from "./ledger.ts";
import { Shelf } from "./shelf.ts";
import { database, type Cell, type Key, type Table } from "./tables.ts";

/** Columns and their new values; the version is added here. */
export type Values = Readonly<Record<string, Cell | Buffer>>;

const ROWS_PER_STATEMENT = 500;

export class Till {
  readonly shelf = new Shelf();
  readonly #connection: Connection;
  readonly #ledger: Ledger;

  private constructor(connection: Connection, ledger: Ledger) {
    this.#connection = connection;
    this.#ledger = ledger;
  }

  static async open(connect: () => Promise<Connection>, ledger: Ledger): Promise<Till> {
    const connection = await connect();
    await connection.query(`USE ${database}`);
    await connection.query("SET SESSION session_track_gtids = OWN_GTID, time_zone = '+00:00'");
    return new Till(connection, ledger);
  }

  async close(): Promise<void> {
    await this.#connection.end();
  }

  /** Everything that `work` does becomes one transaction. */
  async transaction(work: () => Promise<void>): Promise<number> {
    await this.execute("START TRANSACTION");
    await work();
    return this.commitWith("COMMIT");
  }

  async rolledBack(work: () => Promise<void>): Promise<void> {
    await this.execute("START TRANSACTION");
    await work();
    await this.execute("ROLLBACK");
    this.shelf.rollback();
  }

  async takenBack(work: () => Promise<void>): Promise<void> {
    await this.execute("SAVEPOINT before_second_thoughts");
    const { drafted } = this.shelf;
    await work();
    await this.execute("ROLLBACK TO SAVEPOINT before_second_thoughts");
    this.shelf.rollback(drafted);
  }

  /** Runs the statement that commits what is on the shelf's draft; returns how many changes that is. */
  async commitWith(statement: string): Promise<number> {
    const gtid = gtidOf(await this.execute(statement));
    const changes = this.shelf.commit();
    if (gtid === undefined && changes.length > 0) {
      throw new Failure(`MySQL gave no GTID to a transaction of ${changes.length} changes.`);
    }
    if (gtid !== undefined) this.#ledger.commit(gtid.toLowerCase(), changes);
    return changes.length;
  }

  async insert(
    table: Table,
    rows: readonly { readonly key: Key; readonly values: Values }[],
  ): Promise<void> {
    for (const some of chunks(rows)) {
      const columns = [...table.key, "version", ...Object.keys(some[0]?.values ?? {})];
      const values = some.map(({ key, values }) => {
        return [...key, this.shelf.insert(table, key), ...Object.values(values)];
      });
      await this.#change(
        `INSERT INTO ${table.name} (${columns.join(", ")}) VALUES ?`,
        [values],
        some,
      );
    }
  }

  async update(table: Table, keys: readonly Key[], values: Values): Promise<void> {
    for (const some of chunks(keys)) {
      for (const key of some) this.shelf.update(table, key);
      const sql = `UPDATE ${table.name} SET version = version + 1, ? WHERE ${keyIn(table)}`;
      await this.#change(sql, [values, some], some);
    }
  }

  async delete(table: Table, keys: readonly Key[]): Promise<void> {
    for (const some of chunks(keys)) {
      for (const key of some) this.shelf.delete(table, key);
      await this.#change(`DELETE FROM ${table.name} WHERE ${keyIn(table)}`, [some], some);
    }
  }

  async rekey(table: Table, key: Key, newKey: Key): Promise<void> {
    this.shelf.rekey(table, key, newKey);
    const newValues = Object.fromEntries(table.key.map((column, i) => [column, newKey[i]]));
    const sql = `UPDATE ${table.name} SET version = version + 1, ? WHERE ${keyIn(table)}`;
    await this.#change(sql, [newValues, [key]], [key]);
  }

  async execute(sql: string, values: unknown[] = []): Promise<ResultSetHeader> {
    const [header] = await this.#connection.query<ResultSetHeader>(sql, values);
    return header;
  }

  async #change(sql: string, values: unknown[], rows: readonly unknown[]): Promise<void> {
    const { affectedRows } = await this.execute(sql, values);
    if (affectedRows === rows.length) return;
    throw new Failure(
      `The shop lost track of its rows: ${affectedRows} instead of ${rows.length} by ${sql}.`,
    );
  }
}

/** The driver's types leave this part of the answer out. */
function gtidOf(header: object): string | undefined {
  const { stateChanges } = header as {
    stateChanges?: { readonly gtids: readonly string[] } | null;
  };
  return stateChanges?.gtids[0];
}

/** `?` becomes a list of keys, each in brackets of its own. */
function keyIn(table: Table): string {
  return `(${table.key.join(", ")}) IN (?)`;
}

function chunks<T>(items: readonly T[]): T[][] {
  const count = Math.ceil(items.length / ROWS_PER_STATEMENT);
  return Array.from({ length: count }, (_, i) =>
    items.slice(i * ROWS_PER_STATEMENT, (i + 1) * ROWS_PER_STATEMENT),
  );
}
