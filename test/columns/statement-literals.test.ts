import { describe, expect, test } from "vitest";
import {
  withoutLiterals,
  withoutSecrets,
  withoutTexts,
} from "../../src/columns/statement-literals.ts";

describe("a statement without its literals", () => {
  test.each([
    ["ALTER TABLE t2 ADD c3 INT DEFAULT 42", "ALTER TABLE t2 ADD c3 INT DEFAULT ?"],
    [
      "ALTER TABLE `t'x` ADD c CHAR(1) DEFAULT 'it''s'",
      "ALTER TABLE `t'x` ADD c CHAR(?) DEFAULT ?",
    ],
    ["ADD c INT DEFAULT -1.5e3, ADD d INT", "ADD c INT DEFAULT -?, ADD d INT"],
    [`ADD c TEXT DEFAULT ("a\\"b'c")`, "ADD c TEXT DEFAULT (?)"],
    ["ADD c BINARY(2) DEFAULT 0xAB12", "ADD c BINARY(?) DEFAULT ?"],
    ["ADD c BIT DEFAULT b'101'", "ADD c BIT DEFAULT b?"],
    ["ADD c INT /* secret 'x' */ -- more\n, ADD d INT # end", "ADD c INT    , ADD d INT  "],
    [
      "x /*!50100 PARTITION BY HASH (id) PARTITIONS 4 */",
      "x /*!50100 PARTITION BY HASH (id) PARTITIONS ? */",
    ],
    ["COMMENT 'back\\\\' , x = 'y'", "COMMENT ? , x = ?"],
    ["ADD größe INT DEFAULT 7", "ADD größe INT DEFAULT ?"],
  ])("%s", (statement, hidden) => {
    const shown = withoutLiterals(statement);
    expect(shown.replace(/\s+/g, " ")).toBe(hidden.replace(/\s+/g, " "));
  });

  test("keeps the numbers of a type", () => {
    expect(withoutTexts("enum('a','it''s')")).toBe("enum(?,?)");
    expect(withoutTexts("decimal(10,2) unsigned")).toBe("decimal(10,2) unsigned");
  });
});

describe("a statement without its secrets", () => {
  test.each([
    [
      "CREATE TABLE t (c INT) CONNECTION='mysql://u:p@h/d/t'",
      "CREATE TABLE t (c INT) CONNECTION=?",
    ],
    [
      "CREATE TABLE t (c INT) connection \"x\" COMMENT 'y'",
      "CREATE TABLE t (c INT) connection ? COMMENT 'y'",
    ],
    ["ALTER TABLE t PASSWORD = 'x'", "ALTER TABLE t PASSWORD = ?"],
    ["ADD c TEXT COMMENT ' PASSWORD = ''x'' '", "ADD c TEXT COMMENT ' PASSWORD = ''x'' '"],
    ["ADD password CHAR(9) DEFAULT 'x'", "ADD password CHAR(9) DEFAULT 'x'"],
  ])("%s", (statement, hidden) => {
    expect(withoutSecrets(statement)).toBe(hidden);
  });
});
