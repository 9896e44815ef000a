/** What `decode` prints of a server and of the files that this server wrote is the same. */
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { decodeFiles, decodeServer } from "../../src/decode/decode.ts";
import type { MysqlVersion } from "../../tools/services/services.ts";
import { SourceServer } from "../binlog/source-server.ts";

let source: SourceServer | undefined;
afterEach(() => source?.stop());

const LARGE = "REPEAT('x', 20000000)";

const common = [
  "CREATE DATABASE d CHARACTER SET utf8mb4",
  "USE d",
  `CREATE TABLE t (id BIGINT UNSIGNED PRIMARY KEY, v VARCHAR(50), l VARCHAR(20) CHARACTER SET latin1,
     e ENUM('ä','b'), g GEOMETRY, ts TIMESTAMP(3) NULL, n DECIMAL(20,4), big LONGTEXT)`,
  `INSERT INTO t VALUES (18446744073709551615, 'a', 'é', 'ä', ST_GeomFromText('POINT(1 2)'), '2026-01-02 03:04:05.678', 1.5, NULL), (2, '😀', NULL, 'b', NULL, NULL, -1, '')`,
  "UPDATE t SET v = NULL WHERE id = 2",
  "FLUSH BINARY LOGS",
  "SET GLOBAL binlog_checksum = NONE",
  "BEGIN",
  "INSERT INTO t (id, v) VALUES (3, 'c')",
  "SAVEPOINT s",
  `INSERT INTO t (id, big) VALUES (4, ${LARGE})`,
  "DELETE FROM t WHERE id = 3",
  "COMMIT",
  "SET GLOBAL binlog_checksum = CRC32",
  "SET SESSION binlog_row_image = MINIMAL",
  `UPDATE t SET v = 'minimal' WHERE id = 4`,
  `INSERT INTO t (id, big) VALUES (5, ${LARGE})`,
  "SET SESSION binlog_row_image = FULL",
];
const compressed = [
  "SET SESSION binlog_transaction_compression = ON",
  "BEGIN",
  "INSERT INTO t (id, v) SELECT id + 10, REPEAT('z', 50) FROM t WHERE id < 10",
  `INSERT INTO t (id, big) VALUES (6, ${LARGE})`,
  "COMMIT",
];
const versions: readonly (readonly [MysqlVersion, readonly string[]])[] = [
  ["mysql-8", []],
  ["mysql-9", compressed],
  ["mariadb", ["CREATE TABLE u (v VARCHAR(9) COLLATE utf8mb4_uca1400_ai_ci)", "INSERT INTO u VALUES ('ü')"]], // prettier-ignore
];

async function printed(
  decode: (write: (line: Buffer) => Promise<void>) => Promise<void>,
): Promise<string[]> {
  const lines: string[] = [];
  await decode(line => Promise.resolve(void lines.push(line.toString())));
  return lines;
}

describe.each(versions)("the files of %s", (version, more) => {
  test("say what the server says", async () => {
    source = await SourceServer.start(version, ["--binlog-row-metadata=FULL"]);
    const { connection, mysql } = source;
    const { file: first } = await source.now();
    await source.run(...common, ...more, "FLUSH BINARY LOGS");
    const logs = await source.select("SHOW BINARY LOGS");
    const names = logs.map(({ Log_name: name }) => String(name)).filter(name => name >= first);
    const paths = names.map(name => join(mysql.dir, "data", name));
    const warnings: string[] = [];
    const options = { tables: ["*.*"], signal: new AbortController().signal };
    const ofFiles = await printed(write =>
      decodeFiles({ ...options, limit: Infinity, paths, write, warn: text => warnings.push(text) }),
    );
    const start = { kind: "position", file: first, position: 4 } as const;
    const ofServer = await printed(write =>
      decodeServer({ ...options, connection, start, limit: ofFiles.length, write }),
    );
    expect(paths.length).toBeGreaterThanOrEqual(3);
    expect(ofFiles.length).toBeGreaterThanOrEqual(10);
    expect(ofFiles.join("")).toContain('"id":18446744073709551615,"v":"a","l":"é","e":"ä"');
    expect(ofFiles.map(short)).toEqual(ofServer.map(short));
    expect(ofFiles).toEqual(ofServer);
    expect(warnings).toEqual([]);
  });
});

/** For a difference that can be read. */
function short(line: string): string {
  return line.slice(0, 300);
}

test("files that do not name columns are refused before anything is guessed", async () => {
  source = await SourceServer.start("mysql-5");
  const { file } = await source.now();
  await source.run("CREATE DATABASE d", "CREATE TABLE d.t (id INT)", "INSERT INTO d.t VALUES (1)");
  const paths = [join(source.mysql.dir, "data", file)];
  const lines: string[] = [];
  const decoding = decodeFiles({
    paths,
    tables: ["d.*"],
    limit: Infinity,
    signal: new AbortController().signal,
    warn: () => undefined,
    write: line => Promise.resolve(void lines.push(line.toString())),
  });
  await expect(decoding).rejects.toMatchObject({ code: "SOURCE_SETTING", exitCode: 78 });
  expect(lines.at(-1)).toContain("CREATE TABLE d.t");
});
