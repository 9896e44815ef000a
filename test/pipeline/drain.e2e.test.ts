/**
 * A row that is refused, on a real server: every row in front of it arrives, none behind it does, and the
 * commit log stands in front of it. With a full disk the program ends all the same, and nothing is lost.
 */
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createConnection, type Connection, type RowDataPacket } from "mysql2/promise";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import type { Mysql } from "../../tools/services/interfaces.ts";
import { startMysql } from "../../tools/services/services.ts";
import { buildBundle, runBundle } from "../support/bundle.ts";
import { SmallDisk } from "../support/small-disk.ts";
import { FileLines } from "../verify/file-lines.ts";
import { Product } from "../verify/product.ts";
import { until } from "../verify/wait.ts";

const ARRIVAL_MS = 30_000;
const GRACE_MS = 2_000;
const MAX_ROW = 2_000;

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
  await client.query("CREATE TABLE shop.orders (id INT PRIMARY KEY, v TEXT)");
  dir = mkdtempSync(join(tmpdir(), "tidemark-drain-"));
  mkdirSync(join(dir, "state"));
  copyFileSync(bundle, join(dir, "tidemark.mjs"));
});

afterEach(async () => {
  await product.dispose();
  rmSync(dir, { recursive: true, force: true });
  await client.query("DROP DATABASE shop");
});

async function binlogEnd(): Promise<string> {
  const [[row]] = await client.query<RowDataPacket[]>("SHOW BINARY LOG STATUS");
  return `${row?.["File"]}:${row?.["Position"]}`;
}

/** Reads from that place into a file. Nothing is sent before the refused row was read. */
function start(place: string, folder: string, maxRow: number): void {
  const [file, position] = place.split(":");
  const config = {
    source: {
      ...{ host: mysql.host, port: mysql.port, user: "root" },
      start: { file, position: Number(position) },
    },
    queue: { max_row: maxRow, flush_interval_ms: 1_000 },
    shutdown_grace_ms: GRACE_MS,
    pipelines: [
      {
        name: "shop",
        tables: ["shop.*"],
        sink: { type: "file", path: join(folder, "out.jsonl") },
        commit_log: { type: "file", dir: "state" },
      },
    ],
  };
  writeFileSync(join(dir, "tidemark.yaml"), JSON.stringify(config));
  product = new Product({ bundle: join(dir, "tidemark.mjs"), config: "tidemark.yaml", dir });
  product.start();
}

function idsIn(folder: string): number[] {
  const ids: number[] = [];
  new FileLines(join(folder, "out.jsonl")).readToEnd(line => {
    ids.push((JSON.parse(line) as { after: { id: number } }).after.id);
  });
  return ids;
}

const numbers = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);

const insert = (ids: readonly number[], bytes: number): string =>
  `INSERT INTO shop.orders VALUES ${ids.map(id => `(${id}, REPEAT('x', ${bytes}))`).join(", ")}`;

test("everything in front of the refused row arrives, and a position behind it skips nothing else", async () => {
  const begin = await binlogEnd();
  for (const id of numbers(1, 300)) await client.query(insert([id], 50));
  const before = await binlogEnd();
  await client.query("BEGIN");
  await client.query(insert(numbers(301, 310), 50));
  await client.query(insert([311, 312, 313], 100));
  await client.query(insert([314], MAX_ROW));
  await client.query(insert([315], 50));
  await client.query("COMMIT");
  const behind = await binlogEnd();
  await client.query(insert([316], 50));

  start(begin, dir, MAX_ROW);
  expect(await product.exit()).toMatchObject({ code: 65 });
  expect(idsIn(dir)).toEqual(numbers(1, 313));
  const stand = `the commit log stands at ${before}, inside the transaction that begins there.`;
  expect(product.logTail(1)).toContain(`Everything that was read before it is delivered; ${stand}`);
  const [file, position] = before.split(":");
  expect(JSON.parse(readFileSync(join(dir, "state/shop.json"), "utf8"))).toMatchObject({
    ...{ file, position: Number(position) },
    transaction: { tables: { "shop.orders": { rows: 13 } } },
  });

  const flags = ["--config", "tidemark.yaml"];
  const set = runBundle(join(dir, "tidemark.mjs"), ["position", "set", behind, ...flags], {
    cwd: dir,
  });
  expect(set).toMatchObject({ status: 0 });
  product.start();
  await until(() => idsIn(dir).includes(316), { what: "the row behind it", timeoutMs: ARRIVAL_MS });
  expect(idsIn(dir)).toEqual([...numbers(1, 313), 316]);
});

test("with a full disk it ends after its bound, and the next start sends what was left", async () => {
  const disk = new SmallDisk(2);
  try {
    disk.fill(1);
    const begin = await binlogEnd();
    for (let id = 1; id <= 3_000; id += 100) await client.query(insert(numbers(id, id + 99), 200));
    await client.query(insert([3_001], MAX_ROW));

    start(begin, disk.dir, MAX_ROW);
    const startedMs = performance.now();
    expect(await product.exit()).toMatchObject({ code: 65 });
    expect(performance.now() - startedMs).toBeLessThan(GRACE_MS + ARRIVAL_MS);
    expect(product.logTail(1)).toMatch(
      /could not all be delivered within 2000 ms .* start again before .* Everything up to \S+:\d+.* is delivered\./,
    );
    const arrived = idsIn(disk.dir);
    expect(arrived.length).toBeLessThan(3_000);
    expect(arrived).toEqual(numbers(1, arrived.length));

    disk.empty();
    start(begin, disk.dir, 2 * MAX_ROW);
    await until(() => idsIn(disk.dir).includes(3_001), { what: "all rows", timeoutMs: ARRIVAL_MS });
    expect(idsIn(disk.dir)).toEqual(numbers(1, 3_001));
  } finally {
    await product.dispose();
    disk.close();
  }
});
