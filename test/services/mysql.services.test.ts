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

describe.each([
  { version: "mysql-8", starts: /^8\.0\.15/ },
  { version: "mysql-9", starts: /^9\./ },
] as const)("$version", ({ version, starts }) => {
  test("answers over TCP, with what Tidemark needs switched on", async () => {
    const mysql = await startMysql(version);
    const [row] = await query(
      mysql,
      `SELECT @@version AS version, @@gtid_mode AS gtid, @@binlog_format AS format,
              @@binlog_row_metadata AS metadata, @@bind_address AS address`,
    );
    expect(row).toEqual({
      version: expect.stringMatching(starts) as string,
      gtid: "ON",
      format: "ROW",
      metadata: "FULL",
      address: "127.0.0.1",
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
    const first = await startMysql(version, { args: ["--server-id=7", "--gtid-mode=OFF"] });
    const uuids = await query(first, "SELECT @@server_uuid AS uuid, @@server_id AS id");
    await first.stop();
    const second = await startMysql(version, { port: first.port });
    expect(second.port).toBe(first.port);
    const others = await query(second, "SELECT @@server_uuid AS uuid, @@server_id AS id");
    await second.stop();
    expect(uuids[0]?.["id"]).toBe(7);
    expect(others[0]?.["uuid"]).not.toBe(uuids[0]?.["uuid"]);
  });

  test("tells why it could not start", async () => {
    const start = startMysql(version, { args: ["--no-such-option=1"] });
    await expect(start).rejects.toThrow(/ended while starting[^]*no-such-option/);
  });
});
