import { createConnection, type RowDataPacket } from "mysql2/promise";
import { afterAll, describe, expect, test } from "vitest";
import { startMysql, stopAll, type Mysql } from "../../tools/services/services.ts";

afterAll(stopAll);

async function query(mysql: Mysql, sql: string): Promise<RowDataPacket[]> {
  const connection = await createConnection(mysql.url);
  try {
    const [rows] = await connection.query<RowDataPacket[]>(sql);
    return rows;
  } finally {
    await connection.end();
  }
}

const withNames = { binlog_row_metadata: "FULL" };
const withGtids = { gtid_mode: "ON", enforce_gtid_consistency: "ON" };

describe.each([
  { version: "mysql-5", starts: /^5\.7\./, settings: withGtids },
  { version: "mysql-8", starts: /^8\.0\.15/, settings: { ...withGtids, ...withNames } },
  { version: "mysql-9", starts: /^9\./, settings: { ...withGtids, ...withNames } },
  { version: "mariadb", starts: /^10\.11\..*MariaDB/, settings: withNames },
] as const)("$version", ({ version, starts, settings }) => {
  test("answers over TCP, with what Tidemark needs switched on", async () => {
    const mysql = await startMysql(version);
    const rows = await query(mysql, "SHOW GLOBAL VARIABLES");
    const values = new Map(rows.map(row => [row["Variable_name"], row["Value"]] as const));
    expect(Object.fromEntries(values)).toMatchObject({
      version: expect.stringMatching(starts) as string,
      log_bin: "ON",
      binlog_format: "ROW",
      binlog_row_image: "FULL",
      bind_address: "127.0.0.1",
      ...settings,
    });
    await mysql.stop();
  });

  test("has its data and its port after a SIGKILL and after a clean stop", async () => {
    const mysql = await startMysql(version);
    await query(mysql, "CREATE DATABASE shop");
    await query(mysql, "CREATE TABLE shop.orders (id INT PRIMARY KEY)");
    await query(mysql, "INSERT INTO shop.orders VALUES (1)");
    const firstPid = mysql.pid;

    mysql.kill("SIGKILL");
    await mysql.start();
    expect(mysql.pid).not.toBe(firstPid);
    await query(mysql, "INSERT INTO shop.orders VALUES (2)");

    await mysql.stop();
    await expect(query(mysql, "SELECT 1")).rejects.toThrow();
    await mysql.start();
    expect(await query(mysql, "SELECT id FROM shop.orders ORDER BY id")).toEqual([
      { id: 1 },
      { id: 2 },
    ]);
    await mysql.stop();
  });

  test("takes more arguments and a port, and has a server UUID of its own", async () => {
    // MariaDB has one too, but tells it nowhere else than in its log.
    const identity = `SELECT @@server_id AS id${version === "mariadb" ? "" : ", @@server_uuid AS uuid"}`;
    const first = await startMysql(version, { args: ["--server-id=7"] });
    const [one] = await query(first, identity);
    await first.stop();
    const second = await startMysql(version, { port: first.port });
    expect(second.port).toBe(first.port);
    const [other] = await query(second, identity);
    await second.stop();
    expect(one?.["id"]).toBe(7);
    expect(other).not.toEqual(one);
    if (version !== "mariadb") expect(other?.["uuid"]).not.toBe(one?.["uuid"]);
  });

  test("tells why it could not start", async () => {
    const start = startMysql(version, { args: ["--no-such-option=1"] });
    await expect(start).rejects.toThrow(/ended while starting[^]*no-such-option/);
  });
});
