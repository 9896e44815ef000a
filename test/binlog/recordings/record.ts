/**
 * Writes the recordings anew: binlog files that hold every kind of event and column.
 *
 *   node tools/run.mjs test/binlog/recordings/record.ts
 */
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createConnection } from "mysql2/promise";
import { startMysql, stopAll, type MysqlVersion } from "../../../tools/services/services.ts";

const mysql9 = [
  "CREATE DATABASE d",
  "USE d",
  `CREATE TABLE every (
     id INT PRIMARY KEY, ti TINYINT, si SMALLINT UNSIGNED, mi MEDIUMINT, bi BIGINT UNSIGNED, de DECIMAL(30,10),
     fl FLOAT, dou DOUBLE, bi9 BIT(9), ye YEAR, da DATE, ti6 TIME(6), dt3 DATETIME(3), ts TIMESTAMP(2) NULL,
     ch CHAR(10), vc VARCHAR(300), la VARCHAR(20) CHARACTER SET latin1, tx MEDIUMTEXT, bin BINARY(8),
     vb VARBINARY(300), bl BLOB, en ENUM('a','b','c'), se SET('x','y','z'), js JSON, ge GEOMETRY, ve VECTOR(3))`,
  "CREATE TABLE plain (id INT PRIMARY KEY, v VARCHAR(100))",
  `INSERT INTO every VALUES (1, -5, 65535, -8388608, 18446744073709551615, -12345678901234567890.0123456789, 1.5, 2e300,
     b'101010101', 2026, '2026-11-21', '-12:34:56.789012', '2026-11-21 10:11:12.345', '2026-11-21 10:11:12.34',
     'char', REPEAT('v', 200), 'latin é', REPEAT('text ', 100), 'bin', X'00ff', REPEAT(X'01', 50), 'b', 'x,z',
     '{"a": [1, 2.5, "three", null, true], "b": {"c": 12345678901}}', ST_GeomFromText('POINT(1 2)', 4326), TO_VECTOR('[1,2,3]'))`,
  "UPDATE every SET ti = NULL, vc = 'short', js = JSON_SET(js, '$.a[0]', 9)",
  "INSERT INTO plain VALUES (1, 'a'), (2, 'b'), (3, NULL)",
  "DELETE FROM plain WHERE id = 2",
  "SET SESSION binlog_row_value_options = PARTIAL_JSON",
  "UPDATE every SET js = JSON_REMOVE(JSON_SET(js, '$.b.d', 'new', '$.a[0]', 1), '$.a[1]')",
  "SET SESSION binlog_transaction_compression = ON",
  "BEGIN",
  "INSERT INTO plain SELECT id + 10, REPEAT('z', 90) FROM plain",
  "UPDATE every SET si = 1",
  "COMMIT",
  "SET SESSION binlog_transaction_compression = OFF",
  "SET SESSION binlog_rows_query_log_events = ON",
  "SET gtid_next = 'AUTOMATIC:blue'",
  "INSERT INTO plain VALUES (100, 'tagged')",
  "SET gtid_next = 'AUTOMATIC'",
  "XA START 'x'",
  "INSERT INTO plain VALUES (101, 'xa')",
  "XA END 'x'",
  "XA COMMIT 'x' ONE PHASE",
  "TRUNCATE plain",
];

/** What stands in the files of older servers and of MariaDB, and not in those of 9.7. */
const older = [
  "CREATE DATABASE d",
  "USE d",
  `CREATE TABLE every (
     id INT PRIMARY KEY, ti TINYINT, si SMALLINT UNSIGNED, mi MEDIUMINT, bi BIGINT UNSIGNED, de DECIMAL(30,10),
     fl FLOAT, dou DOUBLE, bi9 BIT(9), ye YEAR, da DATE, ti6 TIME(6), dt3 DATETIME(3), ts TIMESTAMP(2) NULL,
     ch CHAR(10), vc VARCHAR(300), la VARCHAR(20) CHARACTER SET latin1, tx MEDIUMTEXT, bin BINARY(8),
     vb VARBINARY(300), bl BLOB, en ENUM('a','b','c'), se SET('x','y','z'), ge GEOMETRY)
     DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin`,
  `INSERT INTO every VALUES (1, -5, 65535, -8388608, 18446744073709551615, -12345678901234567890.0123456789, 1.5, 2e300,
     b'101010101', 2026, '2026-11-21', '-12:34:56.789012', '2026-11-21 10:11:12.345', '2026-11-21 10:11:12.34',
     'char', REPEAT('v', 200), 'latin é', REPEAT('text ', 100), 'bin', X'00ff', REPEAT(X'01', 50), 'b', 'x,z',
     ST_GeomFromText('POINT(1 2)'))`,
  "UPDATE every SET ti = NULL, vc = 'short'",
  "DELETE FROM every",
];
const compressed = [
  "SET GLOBAL log_bin_compress = ON, GLOBAL log_bin_compress_min_len = 10",
  "CREATE TABLE plain (id INT PRIMARY KEY, v VARCHAR(100)) COMMENT = 'long enough to be compressed as well'",
  "INSERT INTO plain VALUES (1, REPEAT('z', 90)), (2, REPEAT('y', 90)), (3, NULL)",
  "UPDATE plain SET v = REPEAT('x', 95)",
  "DELETE FROM plain WHERE id < 3",
];

interface Recording {
  readonly version: MysqlVersion;
  readonly args: readonly string[];
  readonly statements: readonly string[];
}

const full = "--binlog-row-metadata=FULL";
const recordings: readonly Recording[] = [
  { version: "mysql-9", args: [], statements: mysql9 },
  { version: "mysql-8", args: [full, "--log-bin-use-v1-row-events"], statements: older },
  { version: "mariadb", args: [full], statements: [...older, ...compressed] },
];

for (const { version, args, statements } of recordings) {
  const { host, port, user, password, dir } = await startMysql(version, { args });
  const client = await createConnection({ host, port, user, password });
  await client.query("FLUSH BINARY LOGS");
  const status = version === "mysql-9" ? "SHOW BINARY LOG STATUS" : "SHOW MASTER STATUS";
  const [[before]] = (await client.query(status)) as unknown as [{ File: string }[]];
  for (const sql of statements) await client.query(sql);
  await client.query("FLUSH BINARY LOGS");
  await client.end();
  const target = fileURLToPath(new URL(`${version}.binlog`, import.meta.url));
  copyFileSync(join(dir, "data", before?.File ?? ""), target);
}
await stopAll();
process.exit();
