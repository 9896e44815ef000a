/**
 * Binlogs without column names, while the tables change. Each value says under which name it was written,
 * so that one glance tells whether it came under another.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Connection, RowDataPacket } from "mysql2/promise";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Definitions, DefinitionsMissing } from "../../src/binlog/definitions.ts";
import type { DumpStart } from "../../src/binlog/reader.ts";
import { MysqlServer } from "../../src/binlog/server.ts";
import type { Ask } from "../../src/binlog/statement-answers.ts";
import { readTables } from "../../src/binlog/table-reading.ts";
import type { MysqlVersion } from "../../tools/services/services.ts";
import { cellsOf, SourceServer } from "./source-server.ts";

const VERSIONS: readonly MysqlVersion[] = ["mysql-5", "mysql-8", "mysql-9", "mariadb"];
const BEGINNINGS = 60;
const PAUSE_MAX_MS = 50;
const PATIENCE_MS = 20_000;

/** Column → value, in the order of the columns. */
type Seen = Readonly<Record<string, string | null>>;

/** Reads from one place on as the source does: what definitions are missing is loaded. */
class Reading {
  readonly rows: Seen[] = [];
  readonly #ended = new AbortController();
  readonly #run: Promise<Error | undefined>;
  #hasEnded = false;
  loads = 0;

  constructor(source: SourceServer, start: DumpStart, server = source.server) {
    this.#run = this.#read(source, start, server)
      .then(
        () => undefined,
        (error: unknown) => error as Error,
      )
      .finally(() => (this.#hasEnded = true));
  }

  async #read(source: SourceServer, start: DumpStart, server: MysqlServer): Promise<void> {
    const { signal } = this.#ended;
    const wants = (database: string): boolean => database === "d";
    const definitions = new Definitions(server, wants);
    let from = start;
    for (;;) {
      try {
        for await (const events of source.reader({ wants, definitions }).events(from, signal)) {
          for (const event of events) {
            if (event.kind !== "rows") continue;
            const { rows } = event;
            const names = rows.table.columns.map(({ name }) => name);
            for (let row = 0; row < rows.count; row += 1) {
              const cells = cellsOf(rows, row, "after");
              this.rows.push(Object.fromEntries(names.map((name, i) => [name, cells[i] ?? null])));
            }
          }
        }
        return;
      } catch (thrown) {
        if (!(thrown instanceof DefinitionsMissing)) throw thrown;
        this.loads += 1;
        await definitions.load(thrown, signal);
        from = { kind: "position", ...thrown.from };
      }
    }
  }

  /** True if so many rows came; false if the stream ended in front of them. */
  async has(count: number): Promise<boolean> {
    const deadline = performance.now() + PATIENCE_MS;
    while (this.rows.length < count) {
      if (this.#hasEnded) return false;
      if (performance.now() > deadline) throw new Error(`${this.rows.length} rows came`);
      await sleep(5);
    }
    return true;
  }

  /** The fault with which it ended, if it did. */
  async end(): Promise<Error | undefined> {
    this.#ended.abort();
    return this.#run;
  }
}

/** A value says the name of its column. */
function misnamed(rows: readonly Seen[]): readonly Seen[] {
  return rows.filter(row =>
    Object.entries(row).some(([name, value]) => name !== "id" && value !== name),
  );
}

const CREATE = "CREATE TABLE d.t (id INT PRIMARY KEY AUTO_INCREMENT, a VARCHAR(9), b VARCHAR(9))";
const SWAP = "ALTER TABLE d.t CHANGE a b VARCHAR(9), CHANGE b a VARCHAR(9)";
const INSERT = "INSERT INTO d.t (a, b) VALUES ('a', 'b')";

/** Rows, and columns that change names among them; now and then slowly enough that some can be read. */
class Changer {
  readonly #done: Promise<void>;
  #isStopped = false;

  constructor(client: Connection) {
    this.#done = this.#run(client).finally(() => client.destroy());
  }

  async #run(client: Connection): Promise<void> {
    for (let i = 0; !this.#isStopped; i += 1) {
      for (const sql of [INSERT, SWAP, INSERT]) await client.query(sql);
      await sleep((i * 7) % PAUSE_MAX_MS);
    }
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#done;
  }
}

describe.each(VERSIONS)("column names on %s, which its binlog does not tell", version => {
  let source: SourceServer;

  beforeAll(async () => {
    const args = version === "mysql-5" ? [] : ["--binlog-row-metadata=MINIMAL"];
    source = await SourceServer.start(version, args);
    await source.run("CREATE DATABASE d");
  });
  afterAll(() => source.stop());

  test("are never those of another moment, while columns change names and reading begins", async () => {
    await source.run("DROP TABLE IF EXISTS d.t", CREATE);
    const changer = new Changer(await source.client());
    let named = 0;
    let stopped = 0;
    for (let i = 0; i < BEGINNINGS; i += 1) {
      const reading = new Reading(source, await source.now());
      await reading.has(4);
      const fault = await reading.end();
      expect(misnamed(reading.rows)).toEqual([]);
      named += reading.rows.length;
      if (fault === undefined) continue;
      expect(fault.message).toMatch(/binlog_row_metadata = FULL/);
      stopped += 1;
    }
    await changer.stop();
    expect(Math.min(named, stopped)).toBeGreaterThan(0);
  });

  test("are read while no change can come between them and the end of the binlog", async () => {
    await source.run("DROP TABLE IF EXISTS d.t", CREATE);
    const asked = await source.client();
    const changer = await source.client();
    let changing: Promise<unknown> = Promise.resolve();
    const ask: Ask = async (sql, values = []) => {
      const [rows] = await asked.query<RowDataPacket[]>(sql, [...values]);
      if (!sql.includes("information_schema.COLUMNS")) return rows;
      const swap = { isDone: false };
      changing = changer.query(SWAP).finally(() => (swap.isDone = true));
      const waits =
        "SELECT 1 FROM information_schema.PROCESSLIST WHERE STATE LIKE '%metadata lock%'";
      while (!swap.isDone && (await source.select(waits)).length === 0) await sleep(5);
      return rows;
    };
    const [read] = await readTables(ask, [{ database: "d", name: "t" }]);
    await changing;
    if (read === undefined) throw new Error("the table is not there");
    asked.destroy();
    changer.destroy();
    const events = await source.readAll({ kind: "position", ...read.end });
    expect(events.filter(event => event.kind === "statement")).toMatchObject([{ sql: SWAP }]);
    expect(read.definition).toMatchObject({
      columns: [{ name: "id" }, { name: "a" }, { name: "b" }],
    });
  });

  test("are right across a swap of tables", async () => {
    await source.run(
      "DROP TABLE IF EXISTS d.t, d.t_new, d.t_old",
      CREATE,
      "CREATE TABLE d.t_new (id INT PRIMARY KEY AUTO_INCREMENT, b VARCHAR(9), a VARCHAR(9))",
    );
    const reading = new Reading(source, await source.now());
    await source.run(INSERT);
    expect(await reading.has(1)).toBe(true);
    await source.run("RENAME TABLE d.t TO d.t_old, d.t_new TO d.t", INSERT);
    expect(await reading.has(2)).toBe(true);
    expect(await reading.end()).toBeUndefined();
    expect(reading.rows.map(row => Object.keys(row))).toEqual([
      ["id", "a", "b"],
      ["id", "b", "a"],
    ]);
    expect(misnamed(reading.rows)).toEqual([]);
  });

  test("are not guessed after a change that was kept out of the binlog", async () => {
    await source.run("DROP TABLE IF EXISTS d.t", CREATE);
    const reading = new Reading(source, await source.now());
    await source.run(INSERT);
    expect(await reading.has(1)).toBe(true);
    await source.run(INSERT);
    expect(await reading.has(2)).toBe(true);
    await source.run("SET sql_log_bin = 0", SWAP, "SET sql_log_bin = 1", INSERT);
    expect(await reading.has(3)).toBe(false);
    expect((await reading.end())?.message).toMatch(/sql_log_bin/);
    expect(misnamed(reading.rows)).toEqual([]);
  });

  test("stay when the server opens its tables anew", async () => {
    await source.run("DROP TABLE IF EXISTS d.t", CREATE);
    const reading = new Reading(source, await source.now());
    for (let i = 1; i <= 5; i += 1) {
      await source.run(INSERT);
      expect(await reading.has(i)).toBe(true);
      if (i % 2 === 0) await source.run("FLUSH TABLES");
    }
    expect(await reading.end()).toBeUndefined();
    expect(misnamed(reading.rows)).toEqual([]);
    // The first row, the first behind what was read then, and one for each FLUSH.
    expect(reading.loads).toBeLessThanOrEqual(5);
  });

  test("need SELECT, and it is said so", async () => {
    await source.run(
      "DROP TABLE IF EXISTS d.t",
      CREATE,
      "CREATE USER blind@'%' IDENTIFIED BY 'x'",
      "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO blind@'%'",
      "GRANT INSERT ON d.* TO blind@'%'",
    );
    const start = await source.now();
    await source.run(INSERT);
    const blind = new MysqlServer({ ...source.connection, user: "blind", password: "x" });
    const reading = new Reading(source, start, blind);
    expect(await reading.has(1)).toBe(false);
    expect((await reading.end())?.message).toMatch(/GRANT SELECT ON `d`\.`t`/);
  });
});
