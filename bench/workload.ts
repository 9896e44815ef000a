/** The orders workload: orders.sql, and what has to come of it. */
import { readFileSync } from "node:fs";
import type { Connection, RowDataPacket } from "mysql2/promise";

/** Messages by kind. */
export interface Counts {
  readonly c: number;
  readonly u: number;
  readonly d: number;
  readonly tombstones: number;
}

const ROWS_PER_TRANSACTION = 10;

/** Every second transaction updates four rows, every tenth deletes one. */
export function expectedCounts(transactions: number): Counts {
  const d = Math.ceil(transactions / 10);
  const u = Math.ceil(transactions / 2) * 4;
  return { c: transactions * ROWS_PER_TRANSACTION, u, d, tombstones: d };
}

export function rowChanges({ c, u, d }: Counts): number {
  return c + u + d;
}

export function isSame(a: Counts, b: Counts): boolean {
  return a.c === b.c && a.u === b.u && a.d === b.d && a.tombstones === b.tombstones;
}

/** Statements of a file that, as for the mysql client, changes the delimiter. */
export function statements(sql: string): string[] {
  const found: string[] = [];
  let delimiter = ";";
  let statement = "";
  for (const line of sql.split("\n")) {
    if (line.startsWith("--")) continue;
    const change = /^DELIMITER (\S+)$/.exec(line);
    if (change) {
      delimiter = change[1] ?? ";";
      continue;
    }
    statement += `${line}\n`;
    if (!line.endsWith(delimiter)) continue;
    found.push(statement.trim().slice(0, -delimiter.length));
    statement = "";
  }
  return found;
}

export async function prepareOrders(connection: Connection): Promise<void> {
  const sql = readFileSync(new URL("orders.sql", import.meta.url), "utf8");
  for (const statement of statements(sql)) await connection.query(statement);
}

export async function loadOrders(connection: Connection, transactions: number): Promise<void> {
  await connection.query("CALL load_orders(?, ?)", [transactions, ROWS_PER_TRANSACTION]);
}

/** One transaction of so many rows, a million at most. */
export async function fillOrders(connection: Connection, rows: number): Promise<void> {
  const digits =
    "SELECT 0 n UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 " +
    "UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9";
  await connection.query(
    `INSERT INTO bench.orders (customer_id, status, amount, note, tags, weight, flags, created_at)
     WITH d AS (${digits})
     SELECT 4711, 'paid', 1234.56, repeat('x', 30), '{"src": "web"}', 12.5, 'a', now(6)
     FROM d a, d b, d c, d d, d e, d f LIMIT ${rows}`,
  );
}

type Row = Readonly<Record<string, unknown>>;

/** One row in so many is compared with the table. */
export const SAMPLE = 97;

export async function sampleRows(connection: Connection): Promise<ReadonlyMap<string, Row>> {
  const micros = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', created_at)";
  const [rows] = await connection.query<RowDataPacket[]>(
    `SELECT CAST(id AS CHAR) AS id, customer_id, status, CAST(amount AS CHAR) AS amount, note,
       CAST(tags AS CHAR) AS tags, CAST(weight AS CHAR) AS weight, CAST(flags AS CHAR) AS flags,
       CAST(${micros} AS CHAR) AS created_at,
       DATE_FORMAT(CONVERT_TZ(updated_at, @@session.time_zone, '+00:00'), '%Y-%m-%dT%H:%i:%s.%f')
         AS updated_at
     FROM orders WHERE id % ${SAMPLE} = 0`,
  );
  return new Map(rows.map(row => [String(row["id"]), row]));
}

/** Columns in which the delivered row is not the selected one. */
export function rowDifferences(selected: Row, delivered: Row): string[] {
  const columns = new Set([...Object.keys(selected), ...Object.keys(delivered)]);
  return [...columns].filter(
    column => comparable(column, selected[column]) !== comparable(column, delivered[column]),
  );
}

function comparable(column: string, value: unknown): string {
  if (value === null || value === undefined) return "null";
  const text = typeof value === "string" ? value : JSON.stringify(value);
  // Spaces between the parts of a JSON text, and zeros at the end of a fraction, say nothing.
  if (column === "tags") {
    const tags = Object.entries(JSON.parse(text) as Row);
    return JSON.stringify(tags.sort(([a], [b]) => (a < b ? -1 : 1)));
  }
  // As text, because the driver is off by a last digit now and then where it reads a DOUBLE itself.
  if (column === "weight") return String(Number(text));
  return column === "updated_at" ? text.replace(/Z$/, "").replace(/\.?0*$/, "") : text;
}
