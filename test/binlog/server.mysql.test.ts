import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { MysqlServer } from "../../src/binlog/server.ts";
import { startProxy } from "../../tools/services/tcp-proxy.ts";
import { SourceServer, versions } from "./source-server.ts";

describe.each(versions)("MysqlServer on %s", version => {
  let source: SourceServer;

  beforeAll(async () => {
    source = await SourceServer.start(version);
    await source.run(
      "CREATE DATABASE d",
      "CREATE TABLE d.keyed (id INT PRIMARY KEY)",
      "CREATE TABLE d.keyless (id INT UNIQUE)",
      "CREATE VIEW d.seen AS SELECT 1",
    );
  });
  afterAll(() => source.stop());

  test("tells who it is", async () => {
    const identity = await source.server.inspect();
    const [row] = await source.select("SELECT @@server_uuid AS uuid, VERSION() AS version");
    expect(identity).toEqual({
      serverUuid: row?.["uuid"],
      serverId: 1,
      isMariaDb: false,
      version: row?.["version"],
      gtidMode: true,
      lowerCaseNames: false,
    });
  });

  test("lists base tables, and which have a primary key", async () => {
    expect(await source.server.tables()).toEqual([
      { database: "d", name: "keyed", hasPrimaryKey: true },
      { database: "d", name: "keyless", hasPrimaryKey: false },
    ]);
  });

  test("tells where the binlog begins and ends, and when a file was created", async () => {
    const [current, earliest, gtids] = await Promise.all([
      source.server.currentPosition(),
      source.server.earliestPosition(),
      source.server.gtids(),
    ]);
    expect(earliest).toEqual({ file: "binlog.000001", position: 4, gtidSet: gtids.purged });
    expect(current.position).toBeGreaterThan(4);
    expect(current.gtidSet).toBe(gtids.executed);
    expect(await source.server.hasFile(current.file)).toBe(true);
    expect(await source.server.hasFile("binlog.009999")).toBe(false);
    const created = await source.server.fileCreated(current.file);
    expect(Math.abs(created - Date.now() / 1000)).toBeLessThan(600);
    await expect(source.server.fileCreated("binlog.009999")).rejects.toMatchObject({
      code: "POSITION_LOST",
    });
  });

  test("compares GTID sets", async () => {
    const uuid = "6db3edf2-e588-11f1-8730-02fc00000001";
    expect(await source.server.isGtidSubset(`${uuid}:2-3`, `${uuid}:1-5`)).toBe(true);
    expect(await source.server.isGtidSubset(`${uuid}:2-7`, `${uuid}:1-5`)).toBe(false);
    expect(await source.server.subtractGtids(`${uuid}:1-7`, `${uuid}:2-5`)).toBe(`${uuid}:1:6-7`);
  });

  test("finds nothing wrong with a server that is set up", async () => {
    await expect(source.server.preflight()).resolves.toBeUndefined();
  });

  test("names every wrong setting and missing privilege at once, with what mends it", async () => {
    await source.run(
      "CREATE USER few@'%' IDENTIFIED BY 'secret'",
      "SET GLOBAL binlog_format = STATEMENT, GLOBAL binlog_row_metadata = MINIMAL",
    );
    const asFew = new MysqlServer({ ...source.connection, user: "few", password: "secret" });
    const found = await asFew.preflight().catch((error: unknown) => error);
    expect(found).toMatchObject({ code: "SOURCE_SETTING" });
    for (const fix of [
      "SET PERSIST binlog_format = ROW",
      "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO `few`@`%`",
    ]) {
      expect(String(found)).toContain(fix);
    }
    await source.run("SET GLOBAL binlog_format = ROW");
    await expect(asFew.preflight()).rejects.toMatchObject({ code: "ACCESS_DENIED" });
    await source.run("GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO few@'%'");
    await expect(asFew.preflight()).resolves.toBeUndefined();
    await source.run("SET GLOBAL binlog_row_metadata = FULL");
  });

  test("gives up when nothing answers", async () => {
    const proxy = await startProxy(source.mysql);
    proxy.blackhole(true);
    const connection = { ...source.connection, host: proxy.host, port: proxy.port };
    const asked = new MysqlServer(connection, 300).inspect();
    await expect(asked).rejects.toMatchObject({ code: "SOURCE_UNAVAILABLE" });
    await proxy.close();
  });
});
