/** Changes rows of several schemas, in one rhythm each, and keeps in which seconds that was committed. */
import type { Connection } from "mysql2/promise";
import type { Random } from "../random.ts";
import { sleep } from "../wait.ts";

/** It was committed in one of these seconds since 1970: the same two, unless the second ended meanwhile. */
export interface Commit {
  readonly schema: string;
  readonly first: number;
  readonly last: number;
}

/** Chance that it changes in each step. */
export type Rhythm = ReadonlyMap<string, number>;

const STEP_MS = 15;

export class ActivityHand {
  readonly commits: Commit[] = [];
  rolledBack = 0;
  readonly #connection: Connection;
  readonly #random: Random;
  #id = 0;

  constructor(connection: Connection, random: Random) {
    this.#connection = connection;
    this.#random = random;
  }

  static async prepare(connection: Connection, schemas: Iterable<string>): Promise<void> {
    for (const schema of schemas) {
      await connection.query("CREATE DATABASE IF NOT EXISTS ??", [schema]);
      for (const table of ["a", "b"]) {
        await connection.query("CREATE TABLE ?? (id INT PRIMARY KEY, v INT)", [
          `${schema}.${table}`,
        ]);
      }
    }
  }

  /** Until the time is over. */
  async work(rhythm: Rhythm, ms: number): Promise<void> {
    const endMs = performance.now() + ms;
    while (performance.now() < endMs) {
      for (const [schema, chance] of rhythm) {
        if (this.#random.chance(chance)) await this.change(schema);
      }
      await sleep(STEP_MS);
    }
  }

  /** One transaction of one or two tables; some are rolled back. */
  async change(schema: string): Promise<void> {
    const tables = this.#random.chance(0.5) ? ["a"] : ["a", "b"];
    await this.#connection.query("BEGIN");
    for (const table of tables) await this.#row(schema, table);
    if (this.#random.chance(0.05)) {
      await this.#connection.query("ROLLBACK");
      this.rolledBack += 1;
    } else {
      await this.#commit(schema);
    }
  }

  /** Rows over several seconds that become visible at once. */
  async changeSlowly(schema: string, seconds: number): Promise<void> {
    await this.#connection.query("BEGIN");
    for (let left = seconds; left > 0; left -= 1) {
      await this.#row(schema, "a");
      await sleep(1_000);
    }
    await this.#commit(schema);
  }

  async #row(schema: string, table: string): Promise<void> {
    this.#id += 1;
    await this.#connection.query("INSERT INTO ?? VALUES (?, 1)", [`${schema}.${table}`, this.#id]);
    const draw = this.#random.int(0, 2);
    if (draw === 1) {
      await this.#connection.query("UPDATE ?? SET v = 2 WHERE id = ?", [
        ...[`${schema}.${table}`, this.#id],
      ]);
    } else if (draw === 2) {
      await this.#connection.query("DELETE FROM ?? WHERE id = ?", [`${schema}.${table}`, this.#id]);
    }
  }

  async #commit(schema: string): Promise<void> {
    const first = Math.floor(Date.now() / 1000);
    await this.#connection.query("COMMIT");
    this.commits.push({ schema, first, last: Math.floor(Date.now() / 1000) });
  }
}
