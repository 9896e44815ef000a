/** Messages about statements, by the program itself: in order with the rows, once, with the columns behind them. */
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createConnection, type Connection } from "mysql2/promise";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import type { Mysql } from "../../tools/services/interfaces.ts";
import { startKafka, startMysql, stopAll } from "../../tools/services/services.ts";
import { buildBundle } from "../support/bundle.ts";
import { Consumer } from "../verify/consumer.ts";
import { Product } from "../verify/product.ts";
import { until } from "../verify/wait.ts";

const ARRIVAL_MS = 60_000;

let mysql: Mysql;
let client: Connection;
let bundle = "";
let dir = "";
let product: Product;

beforeAll(async () => {
  mysql = await startMysql("mysql-9");
  client = await createConnection({ host: mysql.host, port: mysql.port, user: "root" });
  bundle = buildBundle();
});

afterAll(async () => {
  client.destroy();
  await stopAll();
});

beforeEach(async () => {
  await client.query("SET GLOBAL binlog_row_metadata = FULL");
  await client.query("CREATE DATABASE shop");
  await client.query("USE shop");
  await client.query("CREATE TABLE orders (id INT UNSIGNED PRIMARY KEY, a INT)");
  dir = mkdtempSync(join(tmpdir(), "tidemark-schema-"));
  mkdirSync(join(dir, "state"));
  copyFileSync(bundle, join(dir, "tidemark.mjs"));
});

afterEach(async () => {
  await product.dispose();
  rmSync(dir, { recursive: true, force: true });
  await client.query("DROP DATABASE shop");
});

const FILE = { type: "file", path: "out.jsonl", envelope: true };

async function start(more: object = {}, sink: object = FILE): Promise<void> {
  const config = {
    source: { host: mysql.host, port: mysql.port, user: "root" },
    pipelines: [
      {
        ...{ name: "shop", tables: ["shop.*", "!shop.aside"], ...more },
        schema_changes: { topic: "changes" },
        sink,
        commit_log: { type: "file", dir: "state" },
      },
    ],
  };
  writeFileSync(join(dir, "tidemark.yaml"), JSON.stringify(config));
  product = new Product({ bundle: join(dir, "tidemark.mjs"), config: "tidemark.yaml", dir });
  product.start();
  const begun = /goes on at its checkpoint|begins without a checkpoint/;
  await until(() => Promise.resolve(begun.test(product.logTail(20))), {
    ...{ what: "the start", timeoutMs: ARRIVAL_MS },
  });
}

interface Told {
  readonly statement: string;
  readonly database: string;
  readonly tables: readonly {
    readonly database: string;
    readonly table: string;
    readonly columns: readonly { readonly name: string; readonly type: string }[] | null;
  }[];
}

interface Line {
  readonly id: string;
  readonly topic: string;
  readonly value:
    (Told & { readonly op?: string; readonly after?: { readonly id: number } }) | null;
}

function lines(): readonly Line[] {
  const text = readFileSync(join(dir, "out.jsonl"), "utf8");
  return text
    .split("\n")
    .slice(0, -1)
    .map(line => JSON.parse(line) as Line);
}

async function arrived(count: number): Promise<readonly Line[]> {
  const all = (): boolean => lines().length >= count;
  await until(() => Promise.resolve(all()), { what: `${count} lines`, timeoutMs: ARRIVAL_MS });
  return lines();
}

/** Rows by operation and key, statements by what they say of each table. */
function shown({ topic, value }: Line): string {
  if (topic !== "changes") return `${value?.op ?? ""} ${value?.after?.id ?? ""}`;
  const tables = value?.tables.map(({ table, columns }) => {
    const names = columns?.map(({ name }) => name).join(",");
    return `${table}(${names ?? "?"})`;
  });
  return `${value?.statement ?? ""} → ${tables?.join(" ") ?? ""}`;
}

test("statements come once, in order with the rows, with the columns behind them", async () => {
  await start();
  await client.query("INSERT INTO orders VALUES (1, 1)");
  await arrived(1);
  await client.query("ALTER TABLE orders ADD COLUMN b ENUM('x','y') NOT NULL");
  await arrived(2);
  await client.query("INSERT INTO orders VALUES (2, 2, 'x')");
  await client.query("CREATE TABLE aside (id INT)");
  await client.query("CREATE TABLE _orders_gho LIKE orders");
  await arrived(4);
  await client.query("ALTER TABLE _orders_gho DROP a, DROP PRIMARY KEY, ADD PRIMARY KEY (b, id)");
  await arrived(5);
  await client.query("RENAME TABLE orders TO _orders_del, _orders_gho TO orders");
  await arrived(6);
  await client.query("TRUNCATE orders");
  await client.query("CREATE TABLE filled AS SELECT 7 AS id");
  await client.query("DROP TABLE _orders_del");
  const all = await arrived(11);
  expect(all.map(shown)).toEqual([
    "c 1",
    "ALTER TABLE orders ADD COLUMN b ENUM('x','y') NOT NULL → orders(id,a,b)",
    "c 2",
    "CREATE TABLE _orders_gho LIKE orders → _orders_gho(id,a,b)",
    "ALTER TABLE _orders_gho DROP a, DROP PRIMARY KEY, ADD PRIMARY KEY (b, id) → _orders_gho(id,b)",
    "RENAME TABLE orders TO _orders_del, _orders_gho TO orders → orders(id,b) _orders_del(id,a,b) _orders_gho()",
    "TRUNCATE orders → orders(id,b)",
    "t ",
    expect.stringMatching(/^CREATE TABLE `filled` .* → filled\(id\)$/s),
    "c 7",
    expect.stringMatching(/^DROP TABLE `?_orders_del.* → _orders_del\(\)$/s),
  ]);
  const [, altered, , , , renamed] = all;
  expect(altered?.id).toMatch(/^[0-9a-f-]{36}:\d+:shop\.orders:ddl$/);
  expect(altered?.value).toMatchObject({
    database: "shop",
    tables: [
      {
        columns: [
          { name: "id", type: "int unsigned", nullable: false, key: 1 },
          { name: "a", type: "int", nullable: true, key: null },
          { name: "b", type: "enum('x','y')", nullable: false, key: null },
        ],
      },
    ],
    transaction: altered?.id.replace(/:shop.*/, ""),
    file: expect.stringMatching(/\.\d+$/) as string,
  });
  expect(renamed?.value?.tables[0]?.columns).toMatchObject([
    { name: "id", key: 2 },
    { name: "b", key: 1 },
  ]);
});

test("what was changed again meanwhile has no columns, and a kill repeats nothing", async () => {
  await start();
  await client.query("INSERT INTO orders VALUES (1, 1)");
  await arrived(1);
  await product.kill();
  const kept = join(dir, "state/shop.json");
  copyFileSync(kept, join(dir, "earlier.json"));
  await client.query("ALTER TABLE orders ADD b INT");
  await client.query("ALTER TABLE orders ADD c INT");
  await client.query("CREATE TABLE filled AS SELECT 7 AS id");
  await client.query("FLUSH BINARY LOGS");
  await client.query("INSERT INTO orders VALUES (2, 2, 2, 2)");
  await start();
  const wanted: unknown[] = [
    "c 1",
    "ALTER TABLE orders ADD b INT → orders(?)",
    "ALTER TABLE orders ADD c INT → orders(id,a,b,c)",
    expect.stringMatching(/^CREATE TABLE `filled` .* → filled\(id\)$/s),
    "c 7",
    "c 2",
  ];
  expect((await arrived(6)).map(shown)).toEqual(wanted);
  // As if it had been killed before it wrote how far it was.
  await product.kill();
  copyFileSync(join(dir, "earlier.json"), kept);
  await start();
  await client.query("INSERT INTO orders VALUES (3, 3, 3, 3)");
  expect((await arrived(7)).map(shown)).toEqual([...wanted, "c 3"]);
});

test("nothing is told of columns that are hidden", async () => {
  await start({ columns: { exclude: ["*.*.code"], mask: ["*.*.kind"] } });
  await client.query(
    "ALTER TABLE orders ADD code VARCHAR(20) DEFAULT 'geheim' COMMENT 'geheim', " +
      "ADD pin INT DEFAULT 4711 /* geheim */, ADD kind ENUM('geheim')",
  );
  const [line] = await arrived(1);
  expect(line?.value?.statement).toBe(
    "ALTER TABLE orders ADD code VARCHAR(?) DEFAULT ? COMMENT ?, ADD pin INT DEFAULT ?  , ADD kind ENUM(?)",
  );
  expect(line?.value?.tables[0]?.columns).toMatchObject([
    { name: "id" },
    { name: "a" },
    { name: "pin", type: "int" },
    { name: "kind", type: "enum(?)" },
  ]);
});

test("the password of a table on another server is not told", async () => {
  await start();
  await client.query(
    "CREATE TABLE far (id INT PRIMARY KEY) COMMENT = 'x' CONNECTION = 'mysql://u:geheim@h/d/t'",
  );
  expect((await arrived(1))[0]?.value?.statement).toBe(
    "CREATE TABLE far (id INT PRIMARY KEY) COMMENT = 'x' CONNECTION = ?",
  );
});

test("in Kafka they have a topic and a key of their own, and are found in its tail", async () => {
  const { brokers } = await startKafka({ brokers: 1 });
  const consumer = new Consumer(brokers, topic => /^(changes$|shop\.)/.test(topic));
  const records: string[] = [];
  const read = async (count: number): Promise<void> => {
    const look = async (): Promise<boolean> => {
      await consumer.readToEnd(({ key, headers }, { topic, partition }) => {
        const { id = "", pipeline = "" } = headers;
        const name = id.slice(id.indexOf(":shop.") + 1);
        records.push(`${topic} ${name} ${pipeline} ${key?.toString() ?? ""} ${partition}`);
      });
      return records.length >= count;
    };
    await until(look, { what: `${count} records`, timeoutMs: ARRIVAL_MS });
  };
  const sink = { type: "kafka", brokers, create_topics: { partitions: 3 } };
  await start({}, sink);
  await client.query("ALTER TABLE orders ADD b INT");
  await client.query("INSERT INTO orders VALUES (1, 1, 1)");
  await read(2);
  const kept = join(dir, "state/shop.json");
  const isKept = (): boolean => /"changes".*"shop.orders"/.test(readFileSync(kept, "utf8"));
  await until(() => Promise.resolve(isKept()), { what: "a checkpoint", timeoutMs: ARRIVAL_MS });
  copyFileSync(kept, join(dir, "earlier.json"));
  await client.query("CREATE TABLE other (id INT PRIMARY KEY)");
  await client.query("INSERT INTO orders VALUES (2, 2, 2)");
  await read(4);
  // As if it had been killed before it wrote how far it was.
  await product.kill();
  copyFileSync(join(dir, "earlier.json"), kept);
  await start({}, sink);
  await client.query("DROP TABLE other");
  await read(5);
  consumer.close();
  const told = records.filter(record => record.startsWith("changes "));
  expect(records.length - told.length).toBe(2);
  expect(told.map(record => record.split(" ")[1])).toEqual([
    "shop.orders:ddl",
    "shop.other:ddl",
    "shop.other:ddl",
  ]);
  expect(new Set(told.map(record => record.at(-1))).size).toBe(1);
  expect(told[0]).toMatch(/ shop \{"transaction":"[0-9a-f-]{36}:\d+"\} \d$/);
});
