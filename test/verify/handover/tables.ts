/**
 * Four tables, each with another kind of key. A row stands in a numbered slot, from which the server makes
 * its key; the column `slot` tells it to the consumer. A change of the key is a change of the slot.
 */
export interface HandoverTable {
  readonly name: string;
  readonly keyColumns: string;
  readonly key: readonly string[];
  /** Values of the key columns for this slot, as SQL. */
  keyOf(slot: string): readonly string[];
}

export const tables: readonly HandoverTable[] = [
  {
    name: "by_bigint",
    keyColumns: "id BIGINT NOT NULL",
    key: ["id"],
    keyOf: slot => [`${slot} * 7 - 1000`],
  },
  {
    name: "by_pair",
    keyColumns: "region INT NOT NULL, code VARCHAR(20) CHARACTER SET latin1 NOT NULL",
    key: ["region", "code"],
    keyOf: slot => [`${slot} % 97`, `CONCAT('k', ${slot}, _latin1 x'e9')`],
  },
  {
    name: "by_text",
    keyColumns: "word VARCHAR(60) CHARACTER SET utf8mb4 NOT NULL",
    key: ["word"],
    // Quotes, backslashes and letters beyond 16 bits; the number is what makes them differ.
    keyOf: slot => [
      `CONVERT(CONCAT(ELT(1 + ${slot} % 5, 'o''clock ', 'ключ "', 'ß\\\\', _utf8mb4 x'f09f8cb5', ''), ${slot})
        USING utf8mb4) COLLATE utf8mb4_0900_ai_ci`,
    ],
  },
  {
    name: "by_uuid",
    keyColumns: "uuid BINARY(16) NOT NULL",
    key: ["uuid"],
    keyOf: slot => [`UNHEX(LEFT(SHA2(${slot}, 256), 32))`],
  },
];

export const DATABASE = "v_handover";

export function createTable({ name, keyColumns, key }: HandoverTable): string {
  return `CREATE TABLE ${DATABASE}.${name} (${keyColumns}, slot INT NOT NULL, version INT NOT NULL,
    body VARCHAR(120) NOT NULL, PRIMARY KEY (${key.join(", ")}))`;
}

/** Fills slots 0 to `rows` - 1 in one statement; the version of the row in slot n is `firstVersion` + n. */
export function fillTable(table: HandoverTable, rows: number, firstVersion: number): string {
  return `INSERT INTO ${DATABASE}.${table.name}
    WITH RECURSIVE few (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM few WHERE n < 999),
    slots AS (SELECT a.n * 1000 + b.n AS slot FROM few a CROSS JOIN few b)
    SELECT ${table.keyOf("slot").join(", ")}, slot, ${firstVersion} + slot, REPEAT('b', 60)
    FROM slots WHERE slot < ${rows}`;
}

export function where(table: HandoverTable, slot: number): string {
  const values = table.keyOf(String(slot));
  return table.key.map((column, i) => `${column} = ${values[i] ?? ""}`).join(" AND ");
}
