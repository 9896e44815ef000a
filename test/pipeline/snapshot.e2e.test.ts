/** Existing rows of a real server, by the program itself: once, beside the stream, and over restarts. */
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createConnection, type Connection } from "mysql2/promise";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import type { Mysql } from "../../tools/services/interfaces.ts";
import { startMysql } from "../../tools/services/services.ts";
import { buildBundle } from "../support/bundle.ts";
import { FileLines } from "../verify/file-lines.ts";
import { Product } from "../verify/product.ts";
import { until } from "../verify/wait.ts";

const ARRIVAL_MS = 60_000;
const ROWS = 230;

let mysql: Mysql;
let client: Connection;
let bundle = "";
let dir = "";
let product: Product;

beforeAll(async () => {
  mysql = await startMysql("mysql-9");
  client = await createConnection({ host: mysql.host, port: mysql.port, user: "root" });
  bundle = buildBundle();
  await client.query("CREATE USER reader IDENTIFIED BY 'reader'");
  await client.query("GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO reader");
});

afterAll(async () => {
  client.destroy();
  await mysql.stop();
});

beforeEach(async () => {
  await client.query("CREATE DATABASE shop");
  await client.query(
    "CREATE TABLE shop.pairs (kind VARCHAR(20), id INT, v INT, PRIMARY KEY (kind, id))",
  );
  const rows = Array.from({ length: ROWS }, (_, id) => `('o''k 🌵${id % 3}', ${id}, 1)`);
  await client.query(`INSERT INTO shop.pairs VALUES ${rows.join(", ")}`);
  await client.query("CREATE TABLE shop.added (id BINARY(4) PRIMARY KEY, v INT)");
  await client.query("INSERT INTO shop.added VALUES (x'00', 1), (x'27005c00', 1)");
  dir = mkdtempSync(join(tmpdir(), "tidemark-snapshot-"));
  mkdirSync(join(dir, "state"));
  copyFileSync(bundle, join(dir, "tidemark.mjs"));
});

afterEach(async () => {
  await product.dispose();
  rmSync(dir, { recursive: true, force: true });
  await client.query("DROP DATABASE shop");
});

function start(tables: readonly string[], snapshot: object, user = "root"): void {
  const config = {
    source: {
      ...{ host: mysql.host, port: mysql.port, user, snapshot },
      ...(user === "root" ? {} : { password: user }),
    },
    pipelines: [
      {
        ...{ name: "shop", tables },
        sink: { type: "file", path: "out.jsonl" },
        commit_log: { type: "file", dir: "state" },
      },
    ],
  };
  writeFileSync(join(dir, "tidemark.yaml"), JSON.stringify(config));
  product = new Product({ bundle: join(dir, "tidemark.mjs"), config: "tidemark.yaml", dir });
  product.start();
}

/** What arrived: operation, table and key of each. */
function arrived(): string[] {
  const seen: string[] = [];
  new FileLines(join(dir, "out.jsonl")).readToEnd(line => {
    const { op, after, source } = JSON.parse(line) as {
      op: string;
      after: { id: unknown };
      source: { table: string };
    };
    seen.push(`${op} ${source.table} ${String(after.id)}`);
  });
  return seen;
}

async function awaitArrival(count: number): Promise<readonly string[]> {
  await until(() => Promise.resolve(arrived().length >= count), {
    ...{ what: `${count} lines`, timeoutMs: ARRIVAL_MS },
  });
  return arrived();
}

const isRead = (line: string): boolean => line.startsWith("r pairs");

test("rows come once, then changes; a table that joins gets its own, the others stay", async () => {
  start(["shop.pairs"], { mode: "initial", batch_rows: 50 });
  const first = await awaitArrival(ROWS);
  expect(first.filter(isRead)).toHaveLength(ROWS);
  expect(new Set(first).size).toBe(ROWS);
  await client.query("INSERT INTO shop.pairs VALUES ('later', 1000, 1)");
  expect((await awaitArrival(ROWS + 1)).at(-1)).toBe("c pairs 1000");
  await product.terminate();
  const kept = readFileSync(join(dir, "state/shop.json"), "utf8");
  expect(JSON.parse(kept)).toMatchObject({
    snapshot: { tables: { "shop.pairs": { rows: ROWS, until: null, done: true } }, tails: null },
  });

  start(["shop.pairs", "shop.added"], { mode: "initial" });
  const both = await awaitArrival(ROWS + 3);
  expect(both.filter(isRead)).toHaveLength(ROWS);
  expect(both.filter(line => line.startsWith("r added"))).toHaveLength(2);
  await client.query("DELETE FROM shop.added WHERE id = x'27005c00'");
  await until(() => Promise.resolve(readFileSync(join(dir, "out.jsonl"), "utf8").includes('"d"')), {
    ...{ what: "the delete", timeoutMs: ARRIVAL_MS },
  });
  expect((await product.terminate()).code).toBe(0);
});

test("only rows that are wanted come, however few: changes come of all", async () => {
  const where = { "shop.pairs": "id % 50 = 7 -- or none" };
  start(["shop.pairs"], { mode: "initial", batch_rows: 20, where });
  const wanted = [7, 57, 107, 157, 207].map(id => `r pairs ${id}`);
  expect([...(await awaitArrival(wanted.length))].sort()).toEqual([...wanted].sort());
  await until(() => Promise.resolve(product.logTail(5).includes("copied the rows")), {
    ...{ what: "the end of the copy", timeoutMs: ARRIVAL_MS },
  });
  await client.query("UPDATE shop.pairs SET v = 2 WHERE id = 8");
  expect((await awaitArrival(wanted.length + 1)).at(-1)).toBe("u pairs 8");
  await product.terminate();

  rmSync(join(dir, "state"), { recursive: true });
  rmSync(join(dir, "out.jsonl"));
  start(["shop.pairs"], { mode: "initial", where: { "shop.pairs": "no_such_column > 1" } });
  expect(await product.exit()).toMatchObject({ code: 78 });
  expect(product.logTail(3)).toContain("MySQL refuses the condition of source.snapshot.where");
});

test("what cannot be copied is refused, with what mends it", async () => {
  await client.query("CREATE TABLE shop.loose (v INT)");
  start(["shop.loose"], { mode: "initial" });
  expect(await product.exit()).toMatchObject({ code: 78 });
  expect(product.logTail(3)).toContain("shop.loose cannot be copied: it has no primary key");

  start(["shop.pairs"], { mode: "initial" }, "reader");
  expect(await product.exit()).toMatchObject({ code: 77 });
  expect(product.logTail(3)).toContain("GRANT SELECT ON `shop`.`pairs` TO `reader`@`%`");

  // It sees this one, and a pattern would take others too.
  await client.query("GRANT SELECT ON shop.pairs TO reader");
  start(["shop.*"], { mode: "initial" }, "reader");
  expect(await product.exit()).toMatchObject({ code: 77 });
  expect(product.logTail(3)).toContain("GRANT SELECT ON `shop`.* TO `reader`@`%`");
});
