/** Changes that a real server has removed before they were read, with rows in their place. */
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createConnection, type Connection, type RowDataPacket } from "mysql2/promise";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import type { Mysql } from "../../tools/services/interfaces.ts";
import { startMysql } from "../../tools/services/services.ts";
import { buildBundle } from "../support/bundle.ts";
import { FileLines } from "../verify/file-lines.ts";
import { Product } from "../verify/product.ts";
import { until } from "../verify/wait.ts";

const ARRIVAL_MS = 90_000;

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
  await mysql.stop();
});

beforeEach(async () => {
  await client.query("CREATE DATABASE shop");
  await client.query("CREATE TABLE shop.orders (id INT PRIMARY KEY, v INT)");
  await client.query("CREATE TABLE shop.notes (id INT PRIMARY KEY, v INT)");
  await client.query("CREATE TABLE shop.audit (id INT)");
  dir = mkdtempSync(join(tmpdir(), "tidemark-lost-"));
  mkdirSync(join(dir, "state"));
  copyFileSync(bundle, join(dir, "tidemark.mjs"));
});

afterEach(async () => {
  await product.dispose();
  rmSync(dir, { recursive: true, force: true });
  await client.query("DROP DATABASE shop");
});

function start(source: object): void {
  const { host, port } = mysql;
  const config = {
    source: { host, port, user: "root", ...source },
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
  product.start();
}

interface Line {
  readonly op: string;
  readonly before: { readonly id: number } | null;
  readonly after: { readonly id: number; readonly v: number } | null;
  readonly source: { readonly table: string };
  readonly gap?: { readonly from: object; readonly to: object };
}

function lines(): Line[] {
  const found: Line[] = [];
  new FileLines(join(dir, "out.jsonl")).readToEnd(line => {
    const read = JSON.parse(line) as Line | null;
    if (read !== null) found.push(read);
  });
  return found;
}

const shown = ({ op, source, after, before }: Line): string =>
  `${op} ${source.table} ${after?.id ?? before?.id ?? ""}`.trim();

/** What a consumer has of a table that applies the lines in their order. */
function copyOf(table: string): Record<number, number> {
  const rows = new Map<number, number>();
  for (const { op, source, before, after } of lines()) {
    if (source.table !== table) continue;
    if (op === "t") rows.clear();
    else if (op === "d" && before !== null) rows.delete(before.id);
    else if (after !== null) rows.set(after.id, after.v);
  }
  return Object.fromEntries(rows);
}

async function selected(table: string): Promise<Record<number, number>> {
  const [rows] = await client.query<RowDataPacket[]>(`SELECT id, v FROM shop.${table}`);
  return Object.fromEntries(rows.map(({ id, v }) => [id as number, v as number]));
}

async function expectEqual(...tables: readonly string[]): Promise<void> {
  for (const table of tables) expect(copyOf(table)).toEqual(await selected(table));
}

async function awaitLine(what: string): Promise<void> {
  const isThere = (): boolean => {
    if (product.ended !== undefined) throw new Error(product.logTail(5));
    return lines().some(line => shown(line) === what);
  };
  await until(() => Promise.resolve().then(isThere), { what, timeoutMs: ARRIVAL_MS });
}

async function purge(): Promise<void> {
  await client.query("FLUSH BINARY LOGS");
  const [files] = await client.query<RowDataPacket[]>("SHOW BINARY LOGS");
  await client.query(`PURGE BINARY LOGS TO '${String(files.at(-1)?.["Log_name"])}'`);
}

const MENDING = { on_lost_position: "snapshot", snapshot: { tables: ["*.*", "!shop.audit"] } };

test("rows take the place of what is gone, and consumers are told to begin anew", async () => {
  start(MENDING);
  await until(() => Promise.resolve(product.logTail(5).includes("begins without")), {
    ...{ what: "it begins", timeoutMs: ARRIVAL_MS },
  });
  await client.query("INSERT INTO shop.orders VALUES (1, 1), (2, 1), (3, 1)");
  await client.query("INSERT INTO shop.audit VALUES (1)");
  await awaitLine("c audit 1");
  await product.terminate();
  await client.query("DELETE FROM shop.orders WHERE id = 2");
  await client.query("UPDATE shop.orders SET v = 2 WHERE id = 3");
  await client.query("INSERT INTO shop.notes VALUES (7, 1)");
  await purge();

  product.start();
  await awaitLine("r orders 3");
  await awaitLine("r notes 7");
  const told = lines().slice(4);
  expect(told.slice(0, 5).map(shown)).toEqual([
    ...["m audit", "m notes", "t notes", "m orders", "t orders"],
  ]);
  const kept = readFileSync(join(dir, "state/shop.json"), "utf8");
  expect(told[0]?.gap).toMatchObject({ from: { position: expect.any(Number) as number } });
  await client.query("INSERT INTO shop.orders VALUES (4, 1)");
  await awaitLine("c orders 4");
  await expectEqual("orders", "notes");
  expect(kept).toContain('"gap"');
  // It is over: another start tells nothing again.
  expect((await product.terminate()).code).toBe(0);
  const before = lines().length;
  start({ on_lost_position: "stop" });
  await client.query("INSERT INTO shop.orders VALUES (5, 1)");
  await awaitLine("c orders 5");
  expect(lines()).toHaveLength(before + 1);
});

test("a crash at any moment leaves neither out, nor what is older behind what is newer", async () => {
  const values = Array.from({ length: 3_000 }, (_, id) => `(${id}, 1)`).join(", ");
  await client.query(`INSERT INTO shop.orders VALUES ${values}`);
  start({ ...MENDING, snapshot: { ...MENDING.snapshot, batch_rows: 100 } });
  await until(() => Promise.resolve(product.logTail(5).includes("begins without")), {
    ...{ what: "it begins", timeoutMs: ARRIVAL_MS },
  });
  await client.query("INSERT INTO shop.notes VALUES (1, 1)");
  await awaitLine("c notes 1");
  await product.kill();
  await client.query("DELETE FROM shop.orders WHERE id % 3 = 0");
  await client.query("DELETE FROM shop.notes");
  await purge();
  for (const [round, more] of [1, 2, 5, 100, 400, 900].entries()) {
    const enough = lines().length + more;
    product.start();
    await until(() => Promise.resolve(lines().length >= enough), {
      ...{ what: `${more} lines more`, timeoutMs: ARRIVAL_MS, intervalMs: 10 },
    });
    await client.query(`UPDATE shop.orders SET v = v + 1 WHERE id % 7 = ${round}`);
    await client.query(`DELETE FROM shop.orders WHERE id % 50 = ${round}`);
    await product.kill();
  }
  product.start();
  await client.query("INSERT INTO shop.notes VALUES (2, 1)");
  await awaitLine("c notes 2");
  await until(() => Promise.resolve(product.logTail(20).includes('"tables_left":0')), {
    ...{ what: "all is copied", timeoutMs: ARRIVAL_MS },
  });
  expect((await product.terminate()).code).toBe(0);
  await expectEqual("orders", "notes");
  expect(lines().filter(line => shown(line) === "m orders").length).toBeGreaterThan(0);
});
