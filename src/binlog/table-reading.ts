/**
 * A table's definition and the end of the binlog, both of one moment.
 *
 *   BEGIN ─▶ SELECT … LIMIT 0 ─▶ columns, key, end of the binlog ─▶ COMMIT
 *
 * The SELECT takes a metadata lock, which the transaction keeps: whoever changes the table writes it into
 * the binlog and into the data dictionary while nobody else has such a lock. So no change lies half done,
 * and each that is in the binlog is in the dictionary too. The lock makes a change wait for as long as
 * the four questions take; one table is locked at a time, and none while another one is waited for.
 */
import { TidemarkError } from "../core/errors.ts";
import type { ColumnDefinition, ReadTable } from "./definitions.ts";
import { errnoOf, firstKnown, quoted, text, type Ask, type Row } from "./statement-answers.ts";

export interface TableId {
  readonly database: string;
  readonly name: string;
}

const LOCK_WAIT_S = 5;
export const LOCK_TIMEOUT = 1205;
const DEADLOCK = 1213;
const NO_SUCH_TABLE = 1146;
/** Errors of the SELECT that a user's privileges cause. */
const DENIED: ReadonlySet<unknown> = new Set([1044, 1142, 1143]);

export async function listTables(ask: Ask): Promise<readonly TableId[]> {
  const rows = await ask(`
    SELECT TABLE_SCHEMA AS db, TABLE_NAME AS name
    FROM information_schema.TABLES
    WHERE TABLE_TYPE NOT IN ('VIEW', 'SYSTEM VIEW', 'SEQUENCE')
      AND TABLE_SCHEMA NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema')`);
  return rows.map(row => ({ database: text(row, "db"), name: text(row, "name") }));
}

/** Those of the tables that are still there. */
export async function readTables(ask: Ask, tables: readonly TableId[]): Promise<ReadTable[]> {
  await ask(`SET SESSION lock_wait_timeout = ${LOCK_WAIT_S}`);
  const read: ReadTable[] = [];
  for (const table of tables) {
    const found = await readTable(ask, table);
    if (found) read.push(found);
  }
  return read;
}

async function readTable(ask: Ask, table: TableId): Promise<ReadTable | undefined> {
  await ask("START TRANSACTION READ ONLY");
  try {
    const refusal = await lock(ask, table);
    if (refusal === "gone") return undefined;
    const definition = refusal ?? (await readDefinition(ask, table));
    return { ...table, definition, end: await readEnd(ask) };
  } finally {
    await ask("COMMIT");
  }
}

/** Why the table cannot be locked; undefined if it is. */
async function lock(ask: Ask, { database, name }: TableId): Promise<string | undefined> {
  try {
    await ask(`SELECT 1 FROM ${quoted(database)}.${quoted(name)} LIMIT 0`);
    return undefined;
  } catch (thrown) {
    const errno = errnoOf(thrown);
    if (errno === NO_SUCH_TABLE) return "gone";
    if (DENIED.has(errno)) {
      return `our user may not read it; GRANT SELECT ON ${quoted(database)}.${quoted(name)} TO it`;
    }
    if (errno === LOCK_TIMEOUT || errno === DEADLOCK) {
      throw new TidemarkError(
        "SOURCE_UNAVAILABLE",
        `The definition of ${database}.${name} cannot be read: a change of the table is under way, or waits.`,
        { cause: thrown },
      );
    }
    if (typeof errno !== "number") throw thrown;
    return `the server cannot open it (${(thrown as Error).message})`;
  }
}

/** Old servers compare names without regard to case, also where the tables differ by it. */
const THIS_TABLE = "TABLE_SCHEMA = ? AND TABLE_NAME = ? AND CAST(TABLE_NAME AS BINARY) = ?";

export async function readDefinition(
  ask: Ask,
  { database, name }: TableId,
): Promise<Exclude<ReadTable["definition"], string>> {
  const values = [database, name, name];
  const columns = await ask(
    `SELECT COLUMN_NAME AS name, DATA_TYPE AS type, COLUMN_TYPE AS declared,
       IS_NULLABLE AS nullable, CHARACTER_SET_NAME AS charset,
       COALESCE(DATETIME_PRECISION, NUMERIC_PRECISION, CHARACTER_OCTET_LENGTH) AS size,
       NUMERIC_SCALE AS scale
     FROM information_schema.COLUMNS
     WHERE ${THIS_TABLE}
     ORDER BY ORDINAL_POSITION`,
    values,
  );
  // 5.7 and MariaDB show constraints only to those who may do more than SELECT.
  const key = await ask(
    `SELECT COLUMN_NAME AS name
     FROM information_schema.STATISTICS
     WHERE ${THIS_TABLE} AND INDEX_NAME = 'PRIMARY'
     ORDER BY SEQ_IN_INDEX`,
    values,
  );
  const names = columns.map(row => text(row, "name"));
  return {
    database,
    name,
    columns: columns.map(columnDefinition),
    primaryKey: key.map(row => names.indexOf(text(row, "name"))),
  };
}

async function readEnd(ask: Ask): Promise<ReadTable["end"]> {
  const [row] = await firstKnown(ask, ["SHOW BINARY LOG STATUS", "SHOW MASTER STATUS"]);
  if (text(row, "Binlog_Do_DB") + text(row, "Binlog_Ignore_DB") !== "") {
    throw new TidemarkError(
      "SOURCE_SETTING",
      "The server's binlog-do-db or binlog-ignore-db keeps some changes of tables out of the binlog: no " +
        "definition can be proven. Run SET GLOBAL binlog_row_metadata = FULL, or remove these options.",
    );
  }
  return { file: text(row, "File"), position: Number(row?.["Position"]) };
}

function columnDefinition(row: Row): ColumnDefinition {
  const charset = text(row, "charset");
  const declared = text(row, "declared");
  const dataType = text(row, "type").toLowerCase();
  const number = (column: string): number | undefined =>
    row[column] === null ? undefined : Number(row[column]);
  return {
    name: text(row, "name"),
    dataType,
    declared,
    unsigned: /\bunsigned\b/.test(declared),
    nullable: text(row, "nullable") === "YES",
    charset: charset === "" ? undefined : charset,
    members: /^(enum|set)$/.test(dataType) ? membersOf(declared) : [],
    size: number("size"),
    scale: number("scale"),
  };
}

const ESCAPES: Readonly<Record<string, string>> = { "0": "\0", n: "\n", r: "\r" };

/** `enum('a','it''s')` → its members; the server escapes some characters and doubles the quote. */
export function membersOf(columnType: string): string[] {
  const members = columnType.matchAll(/'((?:[^'\\]|''|\\[\s\S])*)'/g);
  return Array.from(members, ([, member = ""]) =>
    member.replace(/''|\\([\s\S])/g, (_, escaped?: string) =>
      escaped === undefined ? "'" : (ESCAPES[escaped] ?? escaped),
    ),
  );
}
