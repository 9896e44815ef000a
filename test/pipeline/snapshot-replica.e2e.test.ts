/** Existing rows of a real replica, beside the stream of its source: one that lags, is down, or is none. */
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import type { Mysql } from "../../tools/services/interfaces.ts";
import { ask } from "../../tools/services/mysql-statements.ts";
import {
  delay,
  executed,
  follow,
  replicaArgs,
  whenExecuted,
} from "../../tools/services/replication.ts";
import { startMysql, stopAll } from "../../tools/services/services.ts";
import { buildBundle } from "../support/bundle.ts";
import { FileLines } from "../verify/file-lines.ts";
import { Product } from "../verify/product.ts";
import { until } from "../verify/wait.ts";

const ARRIVAL_MS = 60_000;
const ROWS = 40;
const LAG_S = 3;

let source: Mysql;
let replica: Mysql;
let bundle = "";
let dir = "";
let product: Product;

beforeAll(async () => {
  bundle = buildBundle();
  [source, replica] = await Promise.all([
    startMysql("mysql-9"),
    startMysql("mysql-9", { args: replicaArgs(2) }),
  ]);
  await ask(replica, "RESET BINARY LOGS AND GTIDS");
  await follow(replica, source);
  const values = Array.from({ length: ROWS }, (_, id) => `(${id}, 1)`).join(", ");
  await ask(
    source,
    "CREATE DATABASE shop",
    "CREATE TABLE shop.orders (id INT PRIMARY KEY, v INT)",
    `INSERT INTO shop.orders VALUES ${values}`,
  );
  await whenExecuted(replica, await executed(source));
});

afterAll(() => stopAll());

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "tidemark-replica-"));
  mkdirSync(join(dir, "state"));
  copyFileSync(bundle, join(dir, "tidemark.mjs"));
  const { host, port, user } = source;
  const snapshot = { mode: "initial", host: replica.host, port: replica.port, batch_rows: 15 };
  const config = {
    source: { host, port, user, snapshot },
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
});

/** Operation, key and value of each. */
function arrived(): string[] {
  const seen: string[] = [];
  new FileLines(join(dir, "out.jsonl")).readToEnd(line => {
    const { op, after } = JSON.parse(line) as { op: string; after: { id: number; v: number } };
    seen.push(`${op} ${after.id} ${after.v}`);
  });
  return seen;
}

async function awaitArrival(count: number): Promise<readonly string[]> {
  await until(() => Promise.resolve(arrived().length >= count), {
    ...{ what: `${count} lines`, timeoutMs: ARRIVAL_MS },
  });
  return arrived();
}

/** Without a trace in its GTIDs: so it is known which of the servers a row was read from. */
async function mark(server: Mysql, id: number): Promise<void> {
  await ask(
    server,
    "SET GLOBAL super_read_only = OFF",
    "SET SESSION sql_log_bin = 0",
    `UPDATE shop.orders SET v = 99 WHERE id = ${id}`,
    "SET GLOBAL super_read_only = ON",
  );
}

function check(): { readonly status: number | null; readonly stdout: string } {
  const args = ["tidemark.mjs", "check", "--config", "tidemark.yaml"];
  const { status, stdout } = spawnSync(process.execPath, args, { cwd: dir, encoding: "utf8" });
  return { status, stdout };
}

test("rows come from it as they are where the stream is, however far it lags", async () => {
  await delay(replica, LAG_S);
  await ask(source, "UPDATE shop.orders SET v = 2 WHERE id = 7");
  await mark(replica, 11);
  product.start();
  const lines = await awaitArrival(ROWS);
  expect(lines).toHaveLength(ROWS);
  expect(lines).toContain("r 7 2");
  expect(lines).toContain("r 11 99");
  expect((await product.terminate()).code).toBe(0);
  expect(check().status).toBe(0);
  await ask(replica, "STOP REPLICA SQL_THREAD");
  expect(check().status).toBe(69);
  await delay(replica, 0);
});

test("one that is down is waited for, and changes are sent meanwhile", async () => {
  await replica.stop();
  product.start();
  await until(() => Promise.resolve(product.logTail(20).includes("begins to copy")), {
    ...{ what: "the copy", timeoutMs: ARRIVAL_MS },
  });
  expect(check().status).toBe(69);
  await ask(source, "UPDATE shop.orders SET v = 3 WHERE id = 8");
  expect(await awaitArrival(1)).toEqual(["u 8 3"]);
  await replica.start();
  await ask(replica, "START REPLICA");
  const lines = await awaitArrival(ROWS + 1);
  expect(lines).toHaveLength(ROWS + 1);
  expect(lines).toContain("r 8 3");
  expect((await product.terminate()).code).toBe(0);
});

test("one with transactions of its own is refused, and they are named", async () => {
  const before = await executed(replica);
  await ask(
    replica,
    "SET GLOBAL super_read_only = OFF",
    "UPDATE shop.orders SET v = 4 WHERE id = 9",
  );
  const [row] = await ask(
    replica,
    `SELECT GTID_SUBTRACT(@@GLOBAL.gtid_executed, '${before}') AS own`,
  );
  const named = `never had (${String(row?.["own"])})`;
  product.start();
  expect((await product.exit()).code).toBe(78);
  expect(product.logTail(3)).toContain(named);
  const checked = check();
  expect(checked.status).toBe(78);
  expect(checked.stdout).toContain(named);
});
