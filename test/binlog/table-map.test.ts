import { describe, expect, test } from "vitest";
import { MysqlType } from "../../src/binlog/column-types.ts";
import { parseTableMap } from "../../src/binlog/table-map.ts";

const COLLATIONS = new Map([
  [8, "latin1"],
  [45, "utf8mb4"],
  [63, "binary"],
]);

const DEFAULT_CHARSET = 2;
const COLUMN_CHARSET = 3;
const COLUMN_NAME = 4;

function field(type: number, bytes: readonly number[]): number[] {
  return [type, bytes.length, ...bytes];
}

function packed(text: string): number[] {
  return [text.length, ...Buffer.from(text)];
}

/** A geometry, a text, a binary and a text, their character sets told by `charsets`. */
function tableMap(charsets: readonly number[]): Buffer {
  const types = [MysqlType.geometry, MysqlType.blob, MysqlType.blob, MysqlType.blob];
  const names = ["g", "one", "two", "three"].flatMap(packed);
  return Buffer.from([
    ...[0, 0, 0, 0, 0, 0, 1, 0], // The table's number and flags.
    ...[...packed("d"), 0, ...packed("t"), 0],
    ...[types.length, ...types, types.length, 4, 2, 2, 2, 0b1111],
    ...charsets,
    ...field(COLUMN_NAME, names),
  ]);
}

function typesOf(charsets: readonly number[], serverVersion: string): string[] {
  const { table } = parseTableMap(tableMap(charsets), { collations: COLLATIONS, serverVersion });
  return table.columns.map(({ type }) => type);
}

// As the servers write them: MariaDB counts a geometry among the columns that have a character set.
describe("the character sets behind a geometry", () => {
  const mixed = ["geometry", "text", "blob", "text"];

  test("of MariaDB, one by one", () => {
    expect(typesOf(field(COLUMN_CHARSET, [63, 8, 63, 45]), "10.11.14-MariaDB-log")).toEqual(mixed);
  });

  test("of MariaDB, a default and what differs from it", () => {
    const charsets = field(DEFAULT_CHARSET, [63, 1, 8, 3, 45]);
    expect(typesOf(charsets, "10.11.14-MariaDB-log")).toEqual(mixed);
  });

  test("of MySQL", () => {
    expect(typesOf(field(COLUMN_CHARSET, [8, 63, 45]), "9.7.0")).toEqual(mixed);
    expect(typesOf(field(DEFAULT_CHARSET, [8, 1, 63, 2, 45]), "8.0.15")).toEqual(mixed);
  });
});
