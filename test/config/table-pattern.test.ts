import { describe, expect, test } from "vitest";
import {
  compileDatabaseFilter,
  compileTableFilter,
  tablePatternFault,
} from "../../src/config/table-pattern.ts";

describe("compileTableFilter", () => {
  test.each<[patterns: string[], table: string, captured: boolean]>([
    [["shop.*"], "shop.orders", true],
    [["shop.*"], "shop2.orders", false],
    [["shop.*"], "Shop.orders", false],
    [["shop.orders"], "shop.orders_old", false],
    [["shop.*", "!shop.audit_*"], "shop.audit_log", false],
    [["!shop.audit_*", "shop.*"], "shop.audit_log", false],
    [["shop.*", "!shop.audit_*", "shop.audit_log"], "shop.audit_log", false],
    [["shop.*", "!shop.audit_*"], "shop.auditor", true],
    [["*.*"], "a.b", true],
    [["*.*", "!*.tmp_*"], "a.tmp_1", false],
    [["s?op.o?"], "shop.o1", true],
    [["s?op.o?"], "shop.o12", false],
    [["s?op.o?"], "shop.o", false],
    [["a.?"], "a.🙂", true],
    [["a.b.c"], "a.b.c", true],
    [["a.*"], "a.b.c", true],
    [["a.(x|y)+"], "a.x", false],
    [["a.o[rd]*"], "a.order", false],
    [["a.*b*c"], "a.xbxbxc", true],
    [["a.*b*c"], "a.xbxbx", false],
    [["a.**"], "a.", true],
    [[], "a.b", false],
    [["!a.b"], "a.c", false],
  ])("%j: %s is captured: %s", (patterns, name, captured) => {
    const dot = name.indexOf(".");
    const isCaptured = compileTableFilter(patterns);
    expect(isCaptured(name.slice(0, dot), name.slice(dot + 1))).toBe(captured);
  });

  test.each(["mysql", "sys", "information_schema", "performance_schema", "MySQL"])(
    "never captures tables of %s",
    database => {
      expect(compileTableFilter(["*.*", `${database}.*`])(database, "user")).toBe(false);
    },
  );

  test("takes no longer for a pattern that is all stars", () => {
    const isCaptured = compileTableFilter([`a.${"*a".repeat(40)}b`]);
    const startMs = performance.now();
    expect(isCaptured("a", "a".repeat(64))).toBe(false);
    expect(performance.now() - startMs).toBeLessThan(100);
  });
});

describe("tablePatternFault", () => {
  test.each(["shop.orders", "*.*", "!shop.*", "*.a.b"])("accepts %s", pattern => {
    expect(tablePatternFault(pattern)).toBeUndefined();
  });

  test.each(["shop", "shop.", ".orders", "", "!", "!shop", "mysql.*", "sys.x"])(
    "refuses %j",
    pattern => {
      expect(tablePatternFault(pattern)).toBeDefined();
    },
  );
});

test("a database may hold captured tables if a pattern names it", () => {
  const isCaptured = compileDatabaseFilter(["shop.orders", "log_*.*", "!shop.*", "!audit.*"]);
  const databases = ["shop", "log_a", "audit", "mysql", "other"];
  expect(databases.filter(isCaptured)).toEqual(["shop", "log_a"]);
  expect(compileDatabaseFilter(["*.*"])("mysql")).toBe(false);
});
