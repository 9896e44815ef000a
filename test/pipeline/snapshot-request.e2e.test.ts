/** `tidemark snapshot` against a pipeline that runs, one that does not, and one that is killed. */
import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Kafka, Mysql } from "../../tools/services/interfaces.ts";
import { ask } from "../../tools/services/mysql-statements.ts";
import { startKafka, startMysql, stopAll } from "../../tools/services/services.ts";
import { buildBundle } from "../support/bundle.ts";
import { Consumer } from "../verify/consumer.ts";
import { FileLines } from "../verify/file-lines.ts";
import { Product } from "../verify/product.ts";
import { until } from "../verify/wait.ts";

const PATIENCE_MS = 60_000;
const ROWS = 3_000;

let mysql: Mysql;
let kafka: Kafka;
let bundle = "";

beforeAll(async () => {
  bundle = buildBundle();
  [mysql, kafka] = await Promise.all([startMysql("mysql-9"), startKafka()]);
  await ask(
    mysql,
    "SET SESSION cte_max_recursion_depth = 100000",
    "CREATE DATABASE shop",
    "CREATE TABLE shop.orders (id INT PRIMARY KEY, v INT)",
    `INSERT INTO shop.orders WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < ${ROWS})
     SELECT id, 1 FROM n`,
    "CREATE TABLE shop.few (id INT PRIMARY KEY, v INT)",
    "INSERT INTO shop.few VALUES (1, 1), (2, 1)",
    "CREATE TABLE shop.loose (v INT)",
  );
});

afterAll(() => stopAll());

/** A folder with a configuration, and what is said in it. */
class Place {
  readonly dir = mkdtempSync(join(tmpdir(), "tidemark-request-"));
  readonly product: Product;

  constructor(pipeline: object, pace: object = {}) {
    const { host, port, user } = mysql;
    const snapshot = { batch_rows: 100, parallel_tables: 2, ...pace };
    const config = {
      source: { host, port, user, snapshot },
      pipelines: [{ name: "shop", tables: ["shop.*", "!shop.other"], ...pipeline }],
    };
    copyFileSync(bundle, join(this.dir, "tidemark.mjs"));
    writeFileSync(join(this.dir, "tidemark.yaml"), JSON.stringify(config));
    this.product = new Product({
      ...{ bundle: join(this.dir, "tidemark.mjs"), config: "tidemark.yaml", dir: this.dir },
    });
  }

  snapshot(...words: readonly string[]) {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ["tidemark.mjs", "snapshot", ...words],
      { cwd: this.dir, encoding: "utf8", timeout: PATIENCE_MS },
    );
    return { status, stdout, stderr };
  }

  async release(): Promise<void> {
    await this.product.dispose();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** How many rows of each table were sent as existing ones. */
function countRead(texts: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const text of texts) {
    const { op, source } = JSON.parse(text) as { op: string; source: { table: string } };
    if (op === "r") counts[source.table] = (counts[source.table] ?? 0) + 1;
  }
  return counts;
}

test("into a file, beside the stream: once, with --force again, and over restarts", async () => {
  const place = new Place({
    sink: { type: "file", path: "out.jsonl" },
    commit_log: { type: "file", dir: "state" },
  });
  const { product, dir } = place;
  const arrived = (): Record<string, number> => {
    const texts: string[] = [];
    const path = join(dir, "out.jsonl");
    if (existsSync(path)) new FileLines(path).readToEnd(text => texts.push(text));
    return countRead(texts);
  };
  try {
    expect(place.snapshot("shop.few")).toMatchObject({ status: 65, stdout: "" });
    product.start();
    await until(() => Promise.resolve(existsSync(join(dir, "state/shop.json"))), {
      ...{ what: "the first checkpoint", timeoutMs: PATIENCE_MS },
    });
    expect(place.snapshot("shop.orders", "--wait")).toMatchObject({
      ...{ status: 0, stdout: "Copied by pipeline shop: shop.orders.\n" },
    });
    expect(arrived()).toEqual({ orders: ROWS });

    // What was sent is left alone, whatever else is asked for.
    const both = place.snapshot("shop.*", "!shop.loose", "--wait");
    expect(both).toMatchObject({ status: 0 });
    expect(both.stdout).toContain("Copied by pipeline shop: shop.few.\n");
    expect(both.stdout).toContain("--force sends them again: shop.orders.\n");
    expect(arrived()).toEqual({ orders: ROWS, few: 2 });
    expect(place.snapshot("shop.orders", "shop.few", "--force", "--wait").status).toBe(0);
    expect(arrived()).toEqual({ orders: 2 * ROWS, few: 4 });

    expect(place.snapshot("shop.typo").status).toBe(64);
    expect(place.snapshot("shop.loose").status).toBe(78);
    expect((await product.terminate()).code).toBe(0);

    // Nobody runs: both requests wait for the next start.
    for (const table of ["shop.few", "shop.orders"]) {
      const asked = place.snapshot(table, "--force", "--connect-timeout", "2");
      expect(asked).toMatchObject({ status: 69, stdout: "" });
      expect(asked.stderr).toContain("NOT_TAKEN");
    }
    product.start();
    await until(() => Promise.resolve(arrived()["few"] === 6 && arrived()["orders"] === 3 * ROWS), {
      ...{ what: "both tables", timeoutMs: PATIENCE_MS },
    });
    expect((await product.terminate()).code).toBe(0);
    // It was taken: the next start does not begin with it once more.
    product.start();
    await ask(mysql, "INSERT INTO shop.few VALUES (3, 1)");
    await until(
      () => Promise.resolve(readFileSync(join(dir, "out.jsonl"), "utf8").includes('"c"')),
      { what: "the next change", timeoutMs: PATIENCE_MS },
    );
    await product.terminate();
    expect(arrived()).toEqual({ orders: 3 * ROWS, few: 6 });
  } finally {
    await ask(mysql, "DELETE FROM shop.few WHERE id = 3");
    await place.release();
  }
});

test("into Kafka, with a kill while the rows are on their way: each of them once", async () => {
  const place = new Place(
    {
      sink: { type: "kafka", brokers: kafka.brokers, topic: "{database}.{table}" },
      commit_log: { type: "kafka", topic: "commit-log" },
    },
    { rows_per_s: 1_000 },
  );
  const { product } = place;
  const consumer = new Consumer(kafka.brokers, topic => topic.startsWith("shop."));
  const texts: string[] = [];
  const arrived = async (): Promise<number> => {
    await consumer.readToEnd(({ value }) => value && texts.push(value.toString()));
    return countRead(texts)["orders"] ?? 0;
  };
  try {
    product.start();
    await until(() => Promise.resolve(product.logTail(20).includes("begins without")), {
      ...{ what: "the first checkpoint", timeoutMs: PATIENCE_MS },
    });
    expect(place.snapshot("shop.orders").status).toBe(0);
    await until(async () => (await arrived()) > 0, {
      ...{ what: "the first rows", timeoutMs: PATIENCE_MS, intervalMs: 20 },
    });
    await product.kill();
    const before = await arrived();
    expect(before).toBeLessThan(ROWS);
    product.start();
    await until(async () => (await arrived()) >= ROWS, {
      ...{ what: "all rows", timeoutMs: PATIENCE_MS },
    });
    expect(place.snapshot("shop.few", "--wait").status).toBe(0);
    await product.terminate();
    await arrived();
    expect(countRead(texts)).toEqual({ orders: ROWS, few: 2 });
  } finally {
    consumer.close();
    await place.release();
  }
});
