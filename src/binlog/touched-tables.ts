/**
 * The tables that a statement makes, changes, renames, empties or drops, by its text. MySQL writes such statements
 * into the binlog as the client wrote them.
 */
import {
  ALTER,
  DROP,
  NAME,
  PAIR,
  RENAME,
  TRUNCATE,
  listOf,
  partsOf,
  pattern,
} from "./statement-names.ts";
import { skipComments } from "./statements.ts";

export interface TouchedTable {
  readonly database: string;
  readonly name: string;
  /** There is no table of that name behind the statement. */
  readonly isGone: boolean;
}

const CREATE = pattern(
  `CREATE\\s+(?:OR\\s+REPLACE\\s+)?TABLE\\s+(?:IF\\s+NOT\\s+EXISTS\\s+)?(${NAME})`,
);
const KIND = "(?:ONLINE|OFFLINE|UNIQUE|FULLTEXT|SPATIAL|VECTOR)";
const INDEX = pattern(
  `(?:CREATE|DROP)\\s+(?:OR\\s+REPLACE\\s+)?(?:${KIND}\\s+)?INDEX\\s+(?:IF\\s+(?:NOT\\s+)?EXISTS\\s+)?${NAME}\\s[\\s\\S]*?\\bON\\s+(${NAME})`,
);
const ALTERED = pattern(`${ALTER}(${NAME})`);
const RENAMED = pattern(
  `${ALTER}${NAME}\\s(?:[\\s\\S]*?,)?\\s*RENAME\\s+(?!COLUMN|INDEX|KEY)(?:TO\\s+|AS\\s+|=\\s*)?(${NAME})`,
);
const EXCHANGED = pattern(
  `${ALTER}${NAME}\\s[\\s\\S]*?\\bEXCHANGE\\s+PARTITION\\s+${NAME}\\s+WITH\\s+TABLE\\s+(${NAME})`,
);

/** @param database the session's own, in which a table without a database stands. */
export function touchedTables(sql: string, database: string): readonly TouchedTable[] {
  const text = skipComments(withoutTexts(sql));
  const found = new Map<string, TouchedTable>();
  const add = (written: string | undefined, isGone: boolean): void => {
    if (written === undefined) return;
    const [own = "", table] = partsOf(written);
    const [inside, name] = table === undefined ? [database, own] : [own, table];
    found.set(`${inside}\0${name}`, { database: inside, name, isGone });
  };
  for (const made of [CREATE, INDEX, TRUNCATE]) add(made.exec(text)?.[1], false);
  for (const name of listOf(DROP.exec(text)?.[1])) add(name, true);
  const renamed = RENAMED.exec(text)?.[1];
  add(ALTERED.exec(text)?.[1], renamed !== undefined);
  add(renamed, false);
  add(EXCHANGED.exec(text)?.[1], false);
  if (RENAME.test(text)) {
    // One pair after the other, so that a name that goes may come again.
    for (const [, from, to] of text.replace(RENAME, "").matchAll(PAIR)) {
      add(from, true);
      add(to, false);
    }
  }
  return [...found.values()];
}

const STRING = "'(?:[^'\\\\]|\\\\[\\s\\S]|'')*'";
const QUOTED = '"(?:[^"\\\\]|\\\\[\\s\\S]|"")*"';
const TEXTS = new RegExp(
  `(\`(?:[^\`]|\`\`)*\`)|${STRING}|\\b(?:COMMENT|DEFAULT)\\s*=?\\s*${QUOTED}|(${QUOTED})|` +
    "/\\*(?!M?!)[\\s\\S]*?\\*/|/\\*M?!\\d*|\\*/|--\\s[^\\n]*|#[^\\n]*",
  "gi",
);

/** Texts and comments could hold any word; what the server runs of a comment stays, and so do quoted names. */
function withoutTexts(sql: string): string {
  return sql.replace(TEXTS, (_, name?: string, other?: string) => name ?? other ?? " ");
}
