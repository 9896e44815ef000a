/** Transactions drawn at random, in turns by several sessions. */
import type { Connection } from "mysql2/promise";
import type { Random } from "../random.ts";

const TEXTS = [
  "NULL",
  "''",
  "'pen'",
  "'é😀'",
  "'a\"b\\\\c'",
  "'\\n\\t\\0'",
  "REPEAT('long ', 200)",
];
const NUMBERS = ["NULL", "0", "-1", "42", "9007199254740993", "-9223372036854775808"];
const AMOUNTS = ["NULL", "0", "-0.01", "99999999.99", "1.5"];
const MOMENTS = ["NULL", "'2026-11-21 09:08:07.090807'", "'0000-00-00'", "'1969-12-31 23:59:59.5'"];
const DOCUMENTS = ["NULL", "'{}'", "'[1, 2.50, \"x\"]'", '\'{"b": 1, "a": {"c": null}}\''];
const VALUES = [TEXTS, NUMBERS, AMOUNTS, MOMENTS, DOCUMENTS] as const;
const COLUMNS = ["t", "n", "m", "at", "j"] as const;
const TYPES = ["TEXT", "BIGINT", "DECIMAL(10,2)", "DATETIME(6)", "JSON"] as const;
const KEYS: Readonly<Record<string, string>> = {
  by_id: "PRIMARY KEY (id)",
  by_pair: "PRIMARY KEY (kind, id)",
  by_none: "KEY (id)",
};
const IDS_MAX = 30;
const STATEMENTS_MAX = 5;

export async function changeAtRandom(
  sessions: readonly Connection[],
  random: Random,
  transactions: number,
): Promise<void> {
  const columns = COLUMNS.map((name, i) => `${name} ${TYPES[i] ?? ""}`).join(", ");
  for (const [table, key] of Object.entries(KEYS)) {
    await sessions[0]?.query(
      `CREATE TABLE ${table} (id INT NOT NULL, kind CHAR(2) NOT NULL, ${columns}, ${key})`,
    );
  }
  for (let done = 0; done < transactions; done += 1) {
    const session = random.pick(sessions);
    const count = random.int(1, STATEMENTS_MAX);
    const statements = Array.from({ length: count }, () => statement(random));
    const end = random.chance(0.1) ? "ROLLBACK" : "COMMIT";
    await session.query(["BEGIN", ...statements, end].join("; "));
  }
}

function statement(random: Random): string {
  const table = random.pick(Object.keys(KEYS));
  const place = `kind = '${random.pick(["a", "b"])}' AND id BETWEEN ${id(random)} AND ${id(random)}`;
  const draw = random.next();
  if (draw < 0.45) {
    const rows = Array.from({ length: random.int(1, 6) }, () => row(random));
    const verb = random.chance(0.5) ? "REPLACE INTO" : "INSERT IGNORE INTO";
    return `${verb} ${table} VALUES ${rows.join(", ")}`;
  }
  if (draw < 0.75) return `UPDATE ${table} SET ${assignment(random)} WHERE ${place}`;
  if (draw < 0.85) return `UPDATE IGNORE ${table} SET id = id + ${id(random)} WHERE ${place}`;
  return `DELETE FROM ${table} WHERE ${place} LIMIT 3`;
}

function id(random: Random): number {
  return random.int(0, IDS_MAX);
}

function row(random: Random): string {
  const values = VALUES.map(list => random.pick(list));
  return `(${[id(random), `'${random.pick(["a", "b"])}'`, ...values].join(", ")})`;
}

function assignment(random: Random): string {
  const i = random.int(0, COLUMNS.length - 1);
  return `${COLUMNS[i] ?? ""} = ${random.pick(VALUES[i] ?? ["NULL"])}`;
}
