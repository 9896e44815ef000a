/**
 * What a Query event says about the transaction it stands in.
 *
 * With binlog_format=ROW changed rows never come as a statement, but the format can be changed for one
 * session. The rows that such a statement changed are nowhere in the binlog, so it must be noticed.
 */

export type StatementKind =
  | "begin"
  | "xa-begin"
  | "commit"
  | "rollback"
  /** Ends a transaction that was prepared by XA PREPARE in an earlier group. */
  | "xa-end"
  /** DDL, SAVEPOINT and whatever else changes no rows. */
  | "other"
  /** Changes rows, or may. */
  | "rows";

const TRANSACTION: ReadonlyMap<string, StatementKind> = new Map([
  ["BEGIN", "begin"],
  ["COMMIT", "commit"],
  ["ROLLBACK", "rollback"],
]);

/**
 * First words of statements that change rows. A function or procedure that does is logged as SELECT, DO
 * or CALL; no other SELECT is ever logged.
 */
const CHANGES_ROWS: ReadonlySet<string> = new Set([
  "INSERT",
  "UPDATE",
  "DELETE",
  "REPLACE",
  "LOAD",
  "WITH",
  "SELECT",
  "DO",
  "CALL",
  "TABLE",
  "VALUES",
  "MERGE",
  "EXECUTE",
]);

export function classifyStatement(sql: string): StatementKind {
  const known = TRANSACTION.get(sql);
  if (known !== undefined) return known;
  const text = skipComments(sql);
  const [word = ""] = /^\w*/.exec(text) ?? [];
  const verb = word.toUpperCase();
  if (verb === "XA") return classifyXa(text);
  if (verb === "CREATE") return fillsTable(text) ? "rows" : "other";
  if (CHANGES_ROWS.has(verb) || /^SET\s+STATEMENT\b/i.test(text)) return "rows";
  return TRANSACTION.get(text.trim().replace(/;$/, "").toUpperCase()) ?? "other";
}

/** Which prepared transaction an `xa-end` is about, and what becomes of it. The server writes it in this form only. */
export function xaEnd(
  sql: string,
): { readonly xid: string; readonly step: "commit" | "rollback" } | undefined {
  const found = /^XA\s+(COMMIT|ROLLBACK)\s+(X'[0-9a-f]*',X'[0-9a-f]*',\d+)/i.exec(
    skipComments(sql),
  );
  const [, verb = "", xid] = found ?? [];
  if (xid === undefined) return undefined;
  return { xid: canonicalXid(xid), step: verb.toUpperCase() === "COMMIT" ? "commit" : "rollback" };
}

/** Servers differ in the letters of their hexadecimal digits. */
function canonicalXid(text: string): string {
  return text.toLowerCase().replaceAll("x'", "X'");
}

function classifyXa(text: string): StatementKind {
  if (/^XA\s+(START|BEGIN)\b/i.test(text)) return "xa-begin";
  return /^XA\s+(COMMIT|ROLLBACK)\b/i.test(text) ? "xa-end" : "other";
}

/** Without white space, comments and brackets at the start; `/*!80000 insert` counts as `insert`. */
export function skipComments(sql: string): string {
  let text = sql;
  for (;;) {
    const shorter = text
      .replace(/^[\s(;]+/, "")
      .replace(/^\/\*M?!\d*/, "")
      .replace(/^\*\//, "")
      .replace(/^\/\*(?!M?!)[\s\S]*?\*\//, "")
      .replace(/^--(?=\s|$)[^\n]*/, "")
      .replace(/^#[^\n]*/, "");
    if (shorter === text) return text;
    text = shorter;
  }
}

/**
 * CREATE TABLE … SELECT as a statement fills the table. In row format the server writes out the columns
 * instead, and the rows come as events. A temporary table is never logged in row format, and its rows
 * matter to nobody.
 */
function fillsTable(text: string): boolean {
  if (!/^CREATE\s+(OR\s+REPLACE\s+)?TABLE\b/i.test(text)) return false;
  const words = withoutLiterals(text);
  return /\bSELECT\b|\bTABLE\b[\s\S]*\bTABLE\b|\bVALUES\s+ROW\b/i.test(words);
}

/** Quoted text, quoted names and comments could hold any word. */
function withoutLiterals(text: string): string {
  return text.replace(
    /'(?:[^'\\]|\\[\s\S]|'')*'|"(?:[^"\\]|\\[\s\S]|"")*"|`(?:[^`]|``)*`|\/\*(?!M?!)[\s\S]*?\*\/|--\s[^\n]*|#[^\n]*/g,
    " x ",
  );
}

/**
 * After a restart the server empties each MEMORY table at its first use and logs just this, whatever
 * the format. Nothing else is judged by its table: a statement may touch any number of them.
 */
export function emptiedTable(sql: string): { database: string; name: string } | undefined {
  const match = /^DELETE FROM `((?:[^`]|``)+)`\.`((?:[^`]|``)+)`$/.exec(sql);
  if (!match) return undefined;
  const [, database = "", name = ""] = match;
  return { database: database.replaceAll("``", "`"), name: name.replaceAll("``", "`") };
}

/** First words of statements that leave every definition as it is. */
const KEEPS_DEFINITIONS: ReadonlySet<string> = new Set([
  ...["BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "XA"],
  ...["GRANT", "REVOKE", "FLUSH", "ANALYZE", "TRUNCATE", "INSERT", "UPDATE", "DELETE", "REPLACE"],
]);

/**
 * Whether a statement may change the definition of a table. It is not parsed: whatever names the table
 * and is not known to be harmless counts. So a change may be seen where there is none, never the reverse.
 *
 * @param database the session's own, in which a table without a database stands.
 */
export function changesDefinition(
  sql: string,
  database: string,
  table: { readonly database: string; readonly name: string },
): boolean {
  // An executable comment may hold any statement, and so is not skipped.
  const [word = ""] = /^\w*/.exec(sql.trimStart()) ?? [];
  const verb = word.toUpperCase();
  if (KEEPS_DEFINITIONS.has(verb)) return false;
  if (verb === "IMPORT") return true; // It names files, not tables.
  const text = sql.toLowerCase();
  const isHere = database.toLowerCase() === table.database.toLowerCase();
  return mayName(text, table.name) && (isHere || mayName(text, table.database));
}

/** A name with other characters can be written in many ways: quoted, or in the session's character set. */
function mayName(text: string, name: string): boolean {
  if (!/^[\w$]+$/.test(name)) return true;
  const lower = name.toLowerCase();
  if (!text.includes(lower)) return false;
  // Behind the version of an executable comment a name needs no space.
  if (/\/\*m?!/.test(text)) return true;
  const whole = lower.replaceAll("$", "\\$");
  return new RegExp(`(?<![\\w$\\u0080-\\uffff])${whole}(?![\\w$\\u0080-\\uffff])`).test(text);
}
