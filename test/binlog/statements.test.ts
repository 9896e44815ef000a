import { describe, expect, test } from "vitest";
import { classifyStatement, emptiedTable } from "../../src/binlog/statements.ts";

describe("classifyStatement", () => {
  test.each([
    ["BEGIN", "begin"],
    ["COMMIT", "commit"],
    ["ROLLBACK", "rollback"],
    ["XA START X'61',X'',1", "begin"],
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
