/**
 * Statements by which rows of a table come or go without a rows event: TRUNCATE, DROP, also of a database, a partition that is dropped,
 * emptied or exchanged, another table that takes the name. Of the first a message tells where the format has a word
 * for it; of the others a person has to be told.
 */
import type { TableName } from "../core/name-template.ts";
import type { TableFilter } from "./reader.ts";
import {
  ALTER,
  DROP,
  DROP_DATABASE,
  NAME,
  PAIR,
  RENAME,
  TRUNCATE,
  listOf,
  partsOf,
  pattern,
} from "./statement-names.ts";

export interface Untold {
  readonly table: string;
  /** As in "TRUNCATE took its rows away". */
  readonly what: string;
}

const REPLACE = pattern(`CREATE\\s+OR\\s+REPLACE\\s+TABLE\\s+(${NAME})`);
const PARTITION = pattern(
  `${ALTER}(${NAME})\\s[\\s\\S]*?\\b((?:DROP|TRUNCATE|EXCHANGE|DISCARD|IMPORT)\\s+(?:PARTITION|TABLESPACE))\\b`,
);
const ALTER_RENAME = pattern(
  `${ALTER}(${NAME})\\s(?:[\\s\\S]*?,)?\\s*RENAME\\s+(?!COLUMN|INDEX|KEY)(?:TO\\s+|AS\\s+|=\\s*)?(${NAME})`,
);

/**
 * The table that a statement empties whole.
 *
 * @param database the session's own, in which a table without a database stands.
 */
export function emptiedBy(
  sql: string,
  database: string,
  wants: TableFilter,
): TableName | undefined {
  const [, name] = TRUNCATE.exec(withoutComments(sql)) ?? [];
  if (name === undefined) return undefined;
  const found = tableOf(name, database);
  return wants(found.database, found.table) ? found : undefined;
}

export interface UntoldFilter {
  readonly wants: TableFilter;
  /** Whether tables of a database may be captured: a statement that drops it does not name them. */
  readonly wantsDatabase: (database: string) => boolean;
}

/** @param database as above. */
export function untoldRows(
  sql: string,
  database: string,
  { wants, wantsDatabase }: UntoldFilter,
): readonly Untold[] {
  const text = withoutComments(sql);
  const found: Untold[] = [];
  const add = (name: string | undefined, what: string): void => {
    if (name === undefined) return;
    const { database: inside, table } = tableOf(name, database);
    if (wants(inside, table)) found.push({ table: `${inside}.${table}`, what });
  };
  add(TRUNCATE.exec(text)?.[1], "TRUNCATE took its rows away");
  add(REPLACE.exec(text)?.[1], "CREATE OR REPLACE took its rows away");
  for (const name of listOf(DROP.exec(text)?.[1])) add(name, "it was dropped, with its rows");
  const [whole] = partsOf(DROP_DATABASE.exec(text)?.[1] ?? "");
  if (whole !== undefined && wantsDatabase(whole)) {
    found.push({ table: `${whole}.*`, what: "its database was dropped, with all tables" });
  }
  const [, partitioned, action = ""] = PARTITION.exec(text) ?? [];
  add(partitioned, `${action.toUpperCase().replace(/\s+/, " ")} took rows away or brought some`);
  const [, before, after] = ALTER_RENAME.exec(text) ?? [];
  if (after !== undefined) add(after, `it has the rows now that ${shown(before)} had`);
  if (RENAME.test(text)) {
    for (const [, from, to] of text.replace(RENAME, "").matchAll(PAIR)) {
      add(to, `it has the rows now that ${shown(from)} had`);
    }
  }
  return found;
}

function tableOf(name: string, ownDatabase: string): TableName {
  const [first = "", second] = partsOf(name);
  return second === undefined
    ? { database: ownDatabase, table: first }
    : { database: first, table: second };
}

const QUOTED_OR_COMMENT =
  /('(?:[^'\\]|\\[\s\S]|'')*'|"(?:[^"\\]|\\[\s\S]|"")*"|`(?:[^`]|``)*`)|\/\*M?!\d*|\*\/|\/\*(?!M?!)[\s\S]*?\*\/|--(?=\s)[^\n]*|#[^\n]*/g;

/** What an executable comment holds stays. */
function withoutComments(sql: string): string {
  return sql.replace(QUOTED_OR_COMMENT, (_, quoted?: string) => quoted ?? " ").trimStart();
}

function shown(name = ""): string {
  return partsOf(name).join(".");
}
