/** `tidemark activity` without a queue, as a program of its own beside a real MySQL. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createConnection, type Connection } from "mysql2/promise";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startMysql, type Mysql } from "../../tools/services/services.ts";
import { buildBundle, runBundle } from "../support/bundle.ts";
import { until } from "../verify/wait.ts";

let mysql: Mysql;
let client: Connection;
let bundle = "";
const folder = mkdtempSync(join(tmpdir(), "tidemark-activity-"));

beforeAll(async () => {
  bundle = buildBundle();
  mysql = await startMysql("mysql-9");
  client = await createConnection({ host: mysql.host, port: mysql.port, user: "root" });
  for (const schema of ["shop", "quiet"]) {
    await client.query(`CREATE DATABASE ${schema}`);
    await client.query(`CREATE TABLE ${schema}.t (id INT PRIMARY KEY)`);
  }
});

afterAll(async () => {
  client.destroy();
  await mysql.stop();
});

interface Report {
  readonly rows: number;
  readonly schemas: readonly { readonly schema: string; readonly insert: number }[];
}

test("counts what changes, reads on over a lost connection, and ends with SIGINT", async () => {
  const args = ["activity", "--host", mysql.host, "--port", String(mysql.port)];
  const options = ["--json", "--report", "0.2", "--verbose"];
  const program = spawn(process.execPath, [bundle, ...args, ...options], { cwd: folder });
  const text = { out: "", log: "" };
  program.stdout.on("data", (part: Buffer) => (text.out += part.toString()));
  program.stderr.on("data", (part: Buffer) => (text.log += part.toString()));
  const reports = (): Report[] =>
    text.out
      .split("\n")
      .slice(0, -1) // Behind the last line feed is a part of a line at most.
      .map(line => JSON.parse(line) as Report);
  const rows = (): number => reports().reduce((all, report) => all + report.rows, 0);
  const seen = (count: number): Promise<void> =>
    until(() => rows() === count, { what: `${count} rows: ${text.out}`, timeoutMs: 60_000 });
  try {
    await until(isRead, { what: "it reads the binlog", timeoutMs: 60_000 });
    await client.query("INSERT INTO shop.t VALUES (1), (2), (3)");
    await seen(3);
    const [dump] = await dumps();
    await client.query(`KILL ${dump}`);
    await client.query("INSERT INTO shop.t VALUES (4)");
    await seen(4);
    const ended = once(program, "exit");
    program.kill("SIGINT");
    expect(await ended).toEqual([0, null]);
    const schemas = reports().flatMap(report => report.schemas.map(({ schema }) => schema));
    expect(new Set(schemas)).toEqual(new Set(["shop"]));
    expect(text.log).toContain("reading from MySQL again");
    expect(readdirSync(folder)).toEqual([]);
  } finally {
    program.kill("SIGKILL");
  }
});

test("says in one sentence that the password is wrong", () => {
  const args = ["activity", "--host", mysql.host, "--port", String(mysql.port), "--user", "nobody"];
  const { status, stdout, stderr } = runBundle(bundle, args, {
    cwd: folder,
    env: { TIDEMARK_MYSQL_PASSWORD: "hunter2-secret" },
  });
  expect({ status, stdout }).toEqual({ status: 77, stdout: "" });
  expect(stderr.trim().split("\n")).toHaveLength(1);
  expect(stderr).not.toContain("hunter2");
});

async function dumps(): Promise<number[]> {
  const [rows] = await client.query(
    "SELECT ID AS id FROM information_schema.processlist WHERE COMMAND LIKE 'Binlog Dump%'",
  );
  return (rows as { id: number }[]).map(({ id }) => id);
}

async function isRead(): Promise<boolean> {
  return (await dumps()).length > 0;
}
