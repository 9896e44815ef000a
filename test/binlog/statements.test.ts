import { describe, expect, test } from "vitest";
import {
  changesDefinition,
  classifyStatement,
  emptiedTable,
  xaEnd,
} from "../../src/binlog/statements.ts";

describe("classifyStatement", () => {
  test.each([
    ["BEGIN", "begin"],
    ["COMMIT", "commit"],
    ["ROLLBACK", "rollback"],
    ["XA START X'61',X'',1", "xa-begin"],
    ["XA END X'61',X'',1", "other"],
    ["XA COMMIT X'61',X'',1", "xa-end"],
    ["XA ROLLBACK X'61',X'',1", "xa-end"],
    ["SAVEPOINT `s`", "other"],
    ["ROLLBACK TO `s`", "other"],
    ["TRUNCATE TABLE t", "other"],
    ["ALTER TABLE insert_log ADD x INT", "other"],
    ["DROP TABLE `delete`", "other"],
    ["insert into t values (1)", "rows"],
    ["  /* a */ -- b\n # c\n INSERT INTO t VALUES (1)", "rows"],
    ["/*!50001 REPLACE INTO t VALUES (1) */", "rows"],
    ["/*! UPDATE*/ t SET a = 1", "rows"],
    ["(SELECT `d`.`f`())", "rows"],
    ["WITH x AS (SELECT 1) DELETE FROM t", "rows"],
    ["LOAD DATA INFILE 'x' INTO TABLE t", "rows"],
    ["SET STATEMENT max_statement_time = 1 FOR DELETE FROM t", "rows"],
    ["SET PASSWORD FOR u = 'x'", "other"],
    ["CREATE TABLE t (a INT COMMENT 'select', `select` INT /* select */)", "other"],
    ["CREATE TABLE t (a INT) PARTITION BY LIST (a) (PARTITION p VALUES IN (1))", "other"],
    ["CREATE TABLE t AS SELECT 1 AS a", "rows"],
    ["CREATE TABLE IF NOT EXISTS t (a INT) select * from s", "rows"],
    ["CREATE TABLE t TABLE s", "rows"],
    ["CREATE TABLE t VALUES ROW(1)", "rows"],
    ["CREATE TEMPORARY TABLE t SELECT 1", "other"],
    ["CREATE VIEW v AS SELECT 1", "other"],
    ["CREATE PROCEDURE p() INSERT INTO t SELECT 1", "other"],
  ])("%s is %s", (sql, kind) => {
    expect(classifyStatement(sql)).toBe(kind);
  });
});

describe("emptiedTable", () => {
  test("knows what the server logs for an emptied MEMORY table", () => {
    expect(emptiedTable("DELETE FROM `a``b`.`c.d`")).toEqual({ database: "a`b", name: "c.d" });
  });

  test.each(["DELETE FROM t", "DELETE FROM `a`.`b` WHERE 1", "DELETE FROM `a`.`b`, `c`.`d`"])(
    "does not take %s for it",
    sql => {
      expect(emptiedTable(sql)).toBeUndefined();
    },
  );
});

describe("changesDefinition", () => {
  const table = { database: "shop", name: "orders" };

  test.each([
    ["ALTER TABLE orders ADD x INT", "shop"],
    ["alter table Orders add x int", "Shop"],
    ["ALTER TABLE `shop`.`orders` ADD x INT", "other"],
    ["/* why */ ALTER TABLE shop . orders ADD x INT", ""],
    ["/*!50000 ALTER TABLE*/ orders ADD x INT", "shop"],
    ["ALTER TABLE x ADD y INT, RENAME /*!50000orders*/", "shop"],
    ["RENAME TABLE orders TO _orders_del, _orders_gho TO orders", "shop"],
    ["CREATE TABLE shop.orders LIKE o", "other"],
    ["DROP TABLE IF EXISTS a,orders", "shop"],
    ["CREATE TRIGGER t AFTER INSERT ON orders FOR EACH ROW SET @a = 1", "shop"],
    ["SET STATEMENT lock_wait_timeout=1 FOR ALTER TABLE orders ADD x INT", "shop"],
    ["IMPORT TABLE FROM 'a.sdi'", ""],
  ])("may: %s", (sql, database) => expect(changesDefinition(sql, database, table)).toBe(true));

  test.each([
    ["ALTER TABLE orders ADD x INT", "other"],
    ["ALTER TABLE orders_old ADD x INT", "shop"],
    ["ALTER TABLE other.reorders ADD x INT", "shop"],
    ["ALTER TABLE `orders$` ADD x INT", "shop"],
    ["ALTER TABLE ordersä ADD x INT", "shop"],
    ["GRANT SELECT ON orders TO u", "shop"],
    ["TRUNCATE TABLE orders", "shop"],
    ["SAVEPOINT orders", "shop"],
    ["DROP DATABASE shop", "shop"],
  ])("does not: %s", (sql, database) => {
    expect(changesDefinition(sql, database, table)).toBe(false);
  });

  test("any statement may change a table whose name can be written in many ways", () => {
    const odd = { database: "shop", name: "ordérs" };
    expect(changesDefinition("ALTER TABLE x ADD y INT", "shop", odd)).toBe(true);
    expect(changesDefinition("FLUSH TABLES", "shop", odd)).toBe(false);
  });
});

describe("xaEnd", () => {
  test.each([
    ["XA COMMIT X'61',X'622263',7", { step: "commit", xid: "X'61',X'622263',7" }],
    ["xa rollback x'6A',x'',1", { step: "rollback", xid: "X'6a',X'',1" }],
    ["XA COMMIT 'a'", undefined],
  ])("of %s", (sql, end) => expect(xaEnd(sql)).toEqual(end));
});
