/** Tables with a column of every type: as it is, without NULL, and as a key. */
import type { Connection } from "mysql2/promise";
import type { Random } from "../random.ts";
import type { TypeCase } from "../types/cases.ts";

/** So that no row is longer than MySQL allows. */
const COLUMNS_MAX = 12;

/** Each case in a table that holds its values in one column. */
export async function fillWideTables(
  session: Connection,
  cases: readonly TypeCase[],
  random: Random,
): Promise<void> {
  for (let from = 0; from < cases.length; from += COLUMNS_MAX) {
    const chunk = cases.slice(from, from + COLUMNS_MAX);
    await fill(session, `wide_${from / COLUMNS_MAX}`, chunk, ["NULL"]);
    await change(session, `wide_${from / COLUMNS_MAX}`, chunk, random);
  }
  const plain = cases.filter(one => one.isGenerated !== true).map(withoutNull);
  for (let from = 0; from < plain.length; from += COLUMNS_MAX) {
    const chunk = plain.slice(from, from + COLUMNS_MAX);
    await fill(session, `strict_${from / COLUMNS_MAX}`, chunk, []);
  }
}

function withoutNull(one: TypeCase): TypeCase {
  return { ...one, type: `${one.type.replace(/ NULL$/, "")} NOT NULL` };
}

/** All rows by one statement; a case with fewer values than another begins anew. */
async function fill(
  session: Connection,
  table: string,
  cases: readonly TypeCase[],
  more: readonly string[],
): Promise<void> {
  const columns = cases.map(({ type, isGenerated }, i) => {
    if (isGenerated !== true) return `c${i} ${type}`;
    const given = `c${i}_source`;
    return `${given} VARCHAR(40) CHARACTER SET utf8mb4, c${i} ${type.replaceAll("source", given)}`;
  });
  await session.query(
    `CREATE TABLE ${table} (id INT PRIMARY KEY, ${columns.join(", ")}, tail INT)`,
  );
  const filled = cases.map(({ isGenerated }, i) => `c${i}${isGenerated === true ? "_source" : ""}`);
  const values = cases.map(one => [...one.values, ...more]);
  const count = Math.max(...values.map(list => list.length));
  const rows = Array.from({ length: count }, (_, id) => {
    const cells = values.map(list => list[id % list.length]);
    return `(${[id, ...cells, 7].join(", ")})`;
  });
  await session.query(
    `INSERT IGNORE INTO ${table} (id, ${filled.join(", ")}, tail) VALUES ${rows.join(", ")}`,
  );
}

/** Updates beside the values, of the values, and of the key; deletes. */
async function change(
  session: Connection,
  table: string,
  cases: readonly TypeCase[],
  random: Random,
): Promise<void> {
  const emptied = cases.flatMap(({ isGenerated }, i) =>
    isGenerated !== true && random.chance(0.5) ? [`c${i} = NULL`] : [],
  );
  for (const statement of [
    `UPDATE ${table} SET tail = -id`,
    `UPDATE ${table} SET ${["tail = 1", ...emptied].join(", ")} WHERE id % 3 = ${random.int(0, 2)}`,
    `UPDATE ${table} SET id = id + 1000 WHERE id % 4 = ${random.int(0, 3)}`,
    `DELETE FROM ${table} WHERE id % 5 = ${random.int(0, 4)}`,
  ]) {
    await session.query(statement);
  }
}

const KEYS: readonly (readonly [type: string, first: string, second: string])[] = [
  ["TINYINT UNSIGNED", "0", "255"],
  ["BIGINT", "-9223372036854775808", "9007199254740993"],
  ["BIGINT UNSIGNED", "1", "18446744073709551615"],
  ["DECIMAL(10,2)", "-0.10", "12345678.90"],
  ["DOUBLE", "0.1", "1e20"],
  ["BOOL", "TRUE", "FALSE"],
  ["BIT(1)", "b'0'", "b'1'"],
  ["BIT(12)", "b'1'", "b'100000000001'"],
  ["YEAR", "1901", "2026"],
  ["DATE", "'2026-11-21'", "'1969-12-31'"],
  ["TIME(3)", "'-01:02:03.5'", "'838:59:59'"],
  ["DATETIME", "'2026-11-21 01:02:03'", "'1000-01-01'"],
  ["DATETIME(6)", "'2026-11-21 01:02:03.000004'", "'1969-12-31 23:59:59.999999'"],
  ["TIMESTAMP(2)", "'2026-11-21 01:02:03.45'", "'2038-01-19 03:14:07'"],
  ["CHAR(5) CHARACTER SET latin1", "'é'", "'ab'"],
  ["VARCHAR(20) CHARACTER SET utf8mb4", "'abc'", "'ABC'"],
  ["VARCHAR(20) CHARACTER SET sjis", "'日本'", "''"],
  ["BINARY(4)", "x'0001'", "x'FFFFFFFF'"],
  ["VARBINARY(4)", "x'00'", "x'0000'"],
  ["ENUM('a','b,c')", "'a'", "'b,c'"],
  ["SET('a','b')", "''", "'a,b'"],
];

/** A key of each type, changed from one value to the other. */
export async function changeKeys(session: Connection): Promise<void> {
  for (const [i, [type, first, second]] of KEYS.entries()) {
    const table = `key_${i}`;
    for (const statement of [
      `CREATE TABLE ${table} (v INT, k ${type} PRIMARY KEY)`,
      `INSERT INTO ${table} VALUES (1, ${first})`,
      `UPDATE ${table} SET v = 2`,
      `UPDATE ${table} SET k = ${second}`,
      `UPDATE ${table} SET v = 3, k = ${first}`,
      `DELETE FROM ${table}`,
    ]) {
      await session.query(statement);
    }
  }
}
