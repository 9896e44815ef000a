/** What only MariaDB writes, and how a dump of it begins. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { BinlogEvent } from "../../src/binlog/reader.ts";
import { imagesOf, kinds, SourceServer } from "./source-server.ts";

describe("MariaDB", () => {
  let source: SourceServer;
  beforeAll(async () => {
    source = await SourceServer.start("mariadb", [
      "--binlog-row-metadata=FULL",
      "--log-bin-compress-min-len=10",
      "--max-allowed-packet=128M",
    ]);
    await source.run(
      "CREATE DATABASE d",
      "USE d",
      "CREATE TABLE t (id INT PRIMARY KEY, v LONGTEXT)",
    );
  });
  afterAll(() => source.stop());

  const imagesIn = (events: readonly BinlogEvent[]): string[] =>
    events.flatMap(event => (event.kind === "rows" ? imagesOf(event.rows) : []));

  /** Numbers of rows events by their type, as the server itself lists them. */
  async function typesFrom(file: string, position: number): Promise<ReadonlySet<string>> {
    const events = await source.select(`SHOW BINLOG EVENTS IN '${file}' FROM ${position}`);
    return new Set(events.map(({ Event_type: type }) => String(type)));
  }

  test("compresses rows and statements, and both are read as they were", async () => {
    const start = await source.now();
    await source.run("SET GLOBAL log_bin_compress = ON");
    const client = await source.client();
    const pad = "p".repeat(300);
    for (const sql of [
      "USE d",
      `CREATE TABLE c (id INT PRIMARY KEY, v TEXT) COMMENT '${pad}'`,
      `INSERT INTO c VALUES (1, '${pad}'), (2, NULL), (3, '')`,
      `UPDATE c SET v = CONCAT(v, 'ü') WHERE id = 1`,
      "DELETE FROM c WHERE id = 1",
      "SET SESSION binlog_row_image = MINIMAL",
      `UPDATE c SET v = '${pad}' WHERE id = 3`,
      "DELETE FROM c WHERE id < 3",
      `INSERT INTO c VALUES (4, REPEAT('y', 60000))`,
      "DROP TABLE c",
    ]) {
      await client.query(sql);
    }
    await client.end();
    await source.run("SET GLOBAL log_bin_compress = OFF");
    const events = await source.readAll(start);
    expect(imagesIn(events)).toEqual([
      ...[`after id=1 v=${pad}`, "after id=2 v=NULL", "after id=3 v="],
      ...[`before id=1 v=${pad}`, `after id=1 v=${pad}ü`],
      `before id=1 v=${pad}ü`,
      ...["before id=3", `after v=${pad}`],
      "before id=2",
      `after id=4 v=${"y".repeat(60_000)}`,
    ]);
    const statements = events.flatMap(event => (event.kind === "statement" ? [event.sql] : []));
    expect(statements[0]).toContain(`COMMENT '${pad}'`);
    const types = await typesFrom(start.file, start.position);
    for (const kind of ["Write", "Update", "Delete"]) {
      expect([...types]).toContain(`${kind}_rows_compressed_v1`);
    }
    expect([...types]).toContain("Query_compressed");
  });

  test("may compress a row that would not fit into a packet, and one that is too large", async () => {
    const start = await source.now();
    await source.run(
      "SET GLOBAL log_bin_compress = ON",
      "INSERT INTO t VALUES (1, REPEAT('z', 40000000))",
      "SET GLOBAL log_bin_compress = OFF",
    );
    const lengths = (events: readonly BinlogEvent[]): number[] =>
      events.flatMap(event =>
        event.kind === "rows" ? [event.rows.cell(0, "after", 1).length] : [],
      );
    expect(lengths(await source.readAll(start))).toEqual([40_000_000]);
    const small = source.readAll(start, { rowBytesMax: 2 ** 20 });
    await expect(small).rejects.toMatchObject({ code: "ROW_TOO_LARGE" });
    await expect(small).rejects.toThrow(/take 40\d{6} bytes/);
  });

  test("goes on from a GTID set, behind what is in it", async () => {
    const gtidOf = async (): Promise<string> =>
      String((await source.select("SELECT @@GLOBAL.gtid_binlog_pos AS gtid"))[0]?.["gtid"]);
    await source.run("TRUNCATE t", "INSERT INTO t VALUES (1, 'a')");
    const first = await gtidOf();
    await source.run("FLUSH BINARY LOGS", "INSERT INTO t VALUES (2, 'b')");
    const second = await gtidOf();
    await source.run("INSERT INTO t VALUES (3, 'c')");
    const third = await gtidOf();
    expect(first).toMatch(/^0-1-\d+$/);
    const events = await source.readAll({ kind: "gtid-set", gtidSet: first });
    expect(imagesIn(events)).toEqual(["after id=2 v=b", "after id=3 v=c"]);
    expect(events.flatMap(event => (event.kind === "gtid" ? [event.gtid] : []))).toEqual([
      second,
      third,
    ]);
    expect(kinds(events)).toEqual([
      ...["file", "gtid", "begin", "rows", "commit", "gtid", "begin", "rows", "commit"],
    ]);
    const later = await source.readAll({ kind: "gtid-set", gtidSet: second });
    expect(imagesIn(later)).toEqual(["after id=3 v=c"]);
  });

  test("ends at a GTID that the server does not have", async () => {
    const start = { kind: "gtid-set", gtidSet: "0-1-4711" } as const;
    await expect(source.read(start, () => false)).rejects.toMatchObject({
      code: "POSITION_UNUSABLE",
    });
  });

  test("knows collations that several character sets share", async () => {
    const start = await source.now();
    await source.run(
      "CREATE TABLE u (a VARCHAR(9) COLLATE utf8mb4_uca1400_ai_ci, b VARCHAR(9) CHARACTER SET ucs2 COLLATE ucs2_uca1400_ai_ci)",
      "INSERT INTO u VALUES ('ü', 'ä')",
      "DROP TABLE u",
    );
    expect(imagesIn(await source.readAll(start))).toEqual(["after a=ü b=ä"]);
  });

  test("tells its GTIDs by domain, and what of a set is lacking", async () => {
    const { server } = source;
    const { serverUuid, serverId, isMariaDb } = await server.inspect();
    expect({ serverUuid, isMariaDb }).toEqual({
      serverUuid: `server_id-${serverId}`,
      isMariaDb: true,
    });
    const before = await server.currentPosition();
    await source.run("SET gtid_domain_id = 7", "INSERT INTO t VALUES (7, '')");
    await source.run("SET gtid_domain_id = 0", "DELETE FROM t");
    const after = await server.currentPosition();
    expect(before.gtidSet).toMatch(/^0-\d+-\d+$/);
    expect(after.gtidSet).toMatch(/^0-\d+-\d+,7-\d+-1$/);
    expect((await server.earliestPosition()).gtidSet).toBe("");
    expect(await server.gtids()).toEqual({ executed: after.gtidSet, purged: "" });
    const lacking = await server.subtractGtids(after.gtidSet, before.gtidSet);
    expect(lacking).toBe(after.gtidSet);
    expect(await server.subtractGtids(before.gtidSet, after.gtidSet)).toBe("");
    await source.run("FLUSH BINARY LOGS");
    const { file } = await source.now();
    // It removes a file only when no transaction of it needs it for a recovery.
    const purge = async (): Promise<string> => {
      await source.run(`PURGE BINARY LOGS TO '${file}'`);
      return (await server.gtids()).purged;
    };
    await expect.poll(purge, { timeout: 10_000 }).toBe(after.gtidSet);
    expect((await server.earliestPosition()).gtidSet).toBe(after.gtidSet);
  });
});
