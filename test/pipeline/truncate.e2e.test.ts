/** TRUNCATE on real servers, by the program itself: however it is written, and over a kill. */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createConnection } from "mysql2/promise";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Mysql } from "../../tools/services/interfaces.ts";
import { startMysql } from "../../tools/services/services.ts";
import { buildBundle } from "../support/bundle.ts";
import { FileLines } from "../verify/file-lines.ts";
import { Product } from "../verify/product.ts";
import { until } from "../verify/wait.ts";

const ARRIVAL_MS = 90_000;

/** What a session runs, in turn, in database `shop`. */
const STATEMENTS = [
  "INSERT INTO orders VALUES (1)",
  "TRUNCATE orders",
  "INSERT INTO orders VALUES (2)",
  "TRUNCATE TABLE `shop` . `loose` /* all of it */",
  "INSERT INTO loose VALUES (1)",
  "truncate /* really */ table loose",
  "TRUNCATE TABLE left_out",
  "SET SESSION sql_mode = 'ANSI_QUOTES'",
  'TRUNCATE TABLE "shop"."orders"',
  "CREATE DATABASE IF NOT EXISTS elsewhere",
  "USE elsewhere",
  "TRUNCATE shop.orders",
  "CREATE TABLE IF NOT EXISTS orders (id INT PRIMARY KEY)",
  "TRUNCATE orders",
  "USE shop",
  "INSERT INTO orders VALUES (3)",
];
/** A table of the session alone, with the name of a captured one. Where the log names no columns, that is in doubt. */
const OF_THE_SESSION = [
  "SET SESSION binlog_format = 'STATEMENT'",
  "CREATE TEMPORARY TABLE orders (id INT PRIMARY KEY)",
  "TRUNCATE orders",
  "DROP TEMPORARY TABLE orders",
  "SET SESSION binlog_format = 'ROW'",
];
const EXPECTED = [
  ...["c orders 1", "t orders", "c orders 2", "t loose", "c loose 1", "t loose"],
  ...["t orders", "t orders", "c orders 3"],
];

describe.each([
  { version: "mysql-9", args: [] },
  { version: "mysql-5", args: [] },
  { version: "mariadb", args: [] },
  // Names in statements stand as they were written, those of rows in lower case.
  { version: "mysql-5", args: ["--lower-case-table-names=1"] },
] as const)("on $version $args", ({ version, args }) => {
  let mysql: Mysql;
  let dir = "";
  let product: Product;

  beforeAll(async () => {
    mysql = await startMysql(version, { args });
    dir = mkdtempSync(join(tmpdir(), "tidemark-truncate-"));
    mkdirSync(join(dir, "state"));
    copyFileSync(buildBundle(), join(dir, "tidemark.mjs"));
  });

  afterAll(async () => {
    await product.dispose();
    rmSync(dir, { recursive: true, force: true });
    await mysql.stop();
  });

  const run = async (...statements: readonly string[]): Promise<void> => {
    const { host, port } = mysql;
    const client = await createConnection({ host, port, user: "root" });
    for (const statement of statements) await client.query(statement);
    await client.end();
  };

  const arrived = (): string[] => {
    const seen: string[] = [];
    new FileLines(join(dir, "out.jsonl")).readToEnd(line => {
      const { op, after, source } = JSON.parse(line) as {
        op: string;
        after: { id: number } | null;
        source: { table: string };
      };
      seen.push(`${op} ${source.table} ${after?.id ?? ""}`.trim());
    });
    return seen;
  };

  const awaitArrival = async (count: number): Promise<readonly string[]> => {
    const what = `${count} lines`;
    const isThere = (): boolean => {
      if (product.ended !== undefined) throw new Error(product.logTail(5));
      return arrived().length >= count;
    };
    await until(() => Promise.resolve().then(isThere), { what, timeoutMs: ARRIVAL_MS });
    return arrived();
  };

  test("it stands between the rows, once, whatever the statement looks like", async () => {
    await run(
      "CREATE DATABASE shop",
      "USE shop",
      "CREATE TABLE orders (id INT PRIMARY KEY)",
      "CREATE TABLE loose (id INT)",
      "CREATE TABLE left_out (id INT)",
    );
    const config = {
      source: { host: mysql.host, port: mysql.port, user: "root", start: "earliest" },
      pipelines: [
        {
          ...{ name: "shop", tables: ["shop.*", "!shop.left_out"] },
          sink: { type: "file", path: "out.jsonl" },
          commit_log: { type: "file", dir: "state" },
        },
      ],
    };
    writeFileSync(join(dir, "tidemark.yaml"), JSON.stringify(config));
    product = new Product({ bundle: join(dir, "tidemark.mjs"), config: "tidemark.yaml", dir });
    product.start();
    const ofSession = version === "mysql-5" ? [] : OF_THE_SESSION;
    await run("USE shop", ...ofSession, ...STATEMENTS);
    expect(await awaitArrival(EXPECTED.length)).toEqual(EXPECTED);
    expect(product.logTail(50)).not.toContain("came or went by a statement");

    await product.kill();
    await run("USE shop", "TRUNCATE orders", "INSERT INTO orders VALUES (4)");
    product.start();
    const all = [...EXPECTED, "t orders", "c orders 4"];
    expect(await awaitArrival(all.length)).toEqual(all);
    if (args.length === 0) return;

    await run("USE SHOP", "TRUNCATE Orders", "TRUNCATE TABLE `Shop`.`ORDERS`");
    const more = [...all, "t orders", "t orders"];
    expect(await awaitArrival(more.length)).toEqual(more);
  });
});
