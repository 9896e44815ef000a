/** Rows of a table without a key, by the program itself: as they were at one place, with the changes behind it. */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createConnection, type Connection, type RowDataPacket } from "mysql2/promise";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Mysql, MysqlVersion } from "../../tools/services/interfaces.ts";
import { startMysql } from "../../tools/services/services.ts";
import { buildBundle } from "../support/bundle.ts";
import { FileLines } from "../verify/file-lines.ts";
import { Product } from "../verify/product.ts";
import { until } from "../verify/wait.ts";

const ARRIVAL_MS = 60_000;
const ROWS = 3_000;
/** A value that stands in some rows. */
const VALUES = 700;

let bundle = "";

beforeAll(() => {
  bundle = buildBundle();
});

describe.each<MysqlVersion>(["mysql-9", "mariadb"])("rows without a key of %s", version => {
  let mysql: Mysql;
  let client: Connection;
  let dir = "";
  let product: Product;

  beforeAll(async () => {
    mysql = await startMysql(version);
    client = await createConnection({ host: mysql.host, port: mysql.port, user: "root" });
  });

  afterAll(async () => {
    client.destroy();
    await mysql.stop();
  });

  beforeEach(async () => {
    await client.query("CREATE DATABASE shop");
    await client.query("CREATE TABLE shop.loose (a INT, v INT)");
    const rows = Array.from({ length: ROWS }, (_, i) => `(${i % VALUES}, 1)`);
    await client.query(`INSERT INTO shop.loose VALUES ${rows.join(", ")}`);
    dir = mkdtempSync(join(tmpdir(), "tidemark-lock-"));
    mkdirSync(join(dir, "state"));
    copyFileSync(bundle, join(dir, "tidemark.mjs"));
    const { host, port, user } = mysql;
    const quiesced = version === "mariadb";
    const config = {
      source: { host, port, user, snapshot: { mode: "initial", no_key: "lock", quiesced } },
      pipelines: [
        {
          ...{ name: "shop", tables: ["shop.*"] },
          sink: { type: "file", path: "out.jsonl" },
          commit_log: { type: "file", dir: "state" },
        },
      ],
    };
    writeFileSync(join(dir, "tidemark.yaml"), JSON.stringify(config));
    product = new Product({ bundle: join(dir, "tidemark.mjs"), config: "tidemark.yaml", dir });
  });

  afterEach(async () => {
    await product.dispose();
    rmSync(dir, { recursive: true, force: true });
    await client.query("DROP DATABASE shop");
  });

  /** What a consumer has that applies message by message: how often each row stands there. */
  function applied(): Map<string, number> {
    const there = new Map<string, number>();
    new FileLines(join(dir, "out.jsonl")).readToEnd(line => {
      const { op, before, after } = JSON.parse(line) as Line;
      if (op === "t") there.clear();
      if (before !== null) add(there, before, -1);
      if (after !== null) add(there, after, 1);
    });
    return there;
  }

  async function selected(): Promise<Map<string, number>> {
    const [rows] = await client.query<(RowDataPacket & Row)[]>("SELECT a, v FROM shop.loose");
    const there = new Map<string, number>();
    for (const row of rows) add(there, row, 1);
    return there;
  }

  async function isEqual(): Promise<boolean> {
    return sorted(applied()) === sorted(await selected());
  }

  /** One change after the other, until it is told to end. */
  function writing(): () => Promise<void> {
    const end = new AbortController();
    const running = (async () => {
      const writer = await createConnection({ host: mysql.host, port: mysql.port, user: "root" });
      for (let i = 0; !end.signal.aborted; i += 1) {
        const a = (i * 31) % VALUES;
        await writer.query(`INSERT INTO shop.loose VALUES (${a}, ${i}), (${a}, ${i})`);
        await writer.query(`UPDATE shop.loose SET v = ${i} WHERE a = ${(a + 5) % VALUES}`);
        await writer.query(`DELETE FROM shop.loose WHERE a = ${(a + 9) % VALUES} LIMIT 1`);
      }
      writer.destroy();
    })();
    return () => {
      end.abort();
      return running;
    };
  }

  async function said(text: string): Promise<void> {
    await until(() => Promise.resolve(product.logTail(50).includes(text)), {
      ...{ what: text, timeoutMs: ARRIVAL_MS },
    });
  }

  test("meet the changes without a gap and without a repeat", async () => {
    const stop = writing();
    product.start();
    await said("copied the rows");
    await stop();
    await until(isEqual, { what: "the same rows", timeoutMs: ARRIVAL_MS });
    expect((await product.terminate()).code).toBe(0);
  });

  test("are sent again from the first one on after a kill among them", async () => {
    const more = Array.from({ length: 20_000 }, (_, i) => `(${i % VALUES}, ${i})`);
    for (let i = 0; i < 5; i += 1) {
      await client.query(`INSERT INTO shop.loose VALUES ${more.join(", ")}`);
    }
    const stop = writing();
    product.start();
    await until(() => Promise.resolve(applied().size > VALUES / 2), {
      ...{ what: "the first rows", timeoutMs: ARRIVAL_MS, intervalMs: 20 },
    });
    await product.kill();
    expect(product.logTail(20)).not.toContain("copied the rows");
    product.start();
    await said("copied the rows");
    await stop();
    await until(isEqual, { what: "the same rows", timeoutMs: ARRIVAL_MS });
    expect((await product.terminate()).code).toBe(0);
  });

  test("wait for a transaction that has changed them, and the changes do not", async () => {
    await client.query("CREATE TABLE shop.other (id INT PRIMARY KEY)");
    await client.query("BEGIN");
    await client.query("INSERT INTO shop.loose VALUES (1, 1)");
    product.start();
    await said("waits to lock a table");
    const writer = await createConnection({ host: mysql.host, port: mysql.port, user: "root" });
    await writer.query("INSERT INTO shop.other VALUES (1)");
    await until(() => Promise.resolve(applied().size === 1), {
      ...{ what: "a change of another table", timeoutMs: ARRIVAL_MS },
    });
    await writer.query("DROP TABLE shop.other");
    writer.destroy();
    await client.query("COMMIT");
    await said("copied the rows");
    const seen = (): number => [...applied().values()].reduce((sum, count) => sum + count, 0);
    await until(() => Promise.resolve(seen() >= ROWS + 1), {
      ...{ what: "all rows", timeoutMs: ARRIVAL_MS },
    });
    expect((await product.terminate()).code).toBe(0);
  });
});

interface Row {
  readonly a: number;
  readonly v: number;
}

interface Line {
  readonly op: string;
  readonly before: Row | null;
  readonly after: Row | null;
}

function add(there: Map<string, number>, { a, v }: Row, count: number): void {
  const row = `${a} ${v}`;
  const now = (there.get(row) ?? 0) + count;
  if (now === 0) there.delete(row);
  else there.set(row, now);
}

function sorted(there: ReadonlyMap<string, number>): string {
  return JSON.stringify([...there].sort());
}
