/** How a statement writes names of tables, as parts of regular expressions. */

const WORD = '(?:`(?:[^`]|``)+`|"(?:[^"]|"")+"|[\\w$\\u0080-\\uffff]+)';
export const NAME = `${WORD}(?:\\s*\\.\\s*${WORD})?`;
export const LIST = `${NAME}(?:\\s*,\\s*${NAME})*`;
export const ALTER = `ALTER\\s+(?:ONLINE\\s+)?(?:IGNORE\\s+)?TABLE\\s+(?:IF\\s+EXISTS\\s+)?`;

export const RENAME = /^RENAME\s+TABLES?\s+(?:IF\s+EXISTS\s+)?/i;
/** What one name becomes. */
export const PAIR = new RegExp(`(${NAME})\\s+(?:(?:NO)?WAIT\\s+\\d*\\s*)?TO\\s+(${NAME})`, "gi");

export const pattern = (source: string): RegExp => new RegExp(`^${source}`, "i");

export const TRUNCATE = pattern(`TRUNCATE\\s+(?:TABLE\\s+)?(${NAME})`);
export const DROP_DATABASE = pattern(
  `DROP\\s+(?:DATABASE|SCHEMA)\\s+(?:IF\\s+EXISTS\\s+)?(${WORD})`,
);
export const DROP = pattern(`DROP\\s+TABLES?\\s+(?:IF\\s+EXISTS\\s+)?(${LIST})`);

export function listOf(names: string | undefined): readonly string[] {
  return names?.match(new RegExp(NAME, "g")) ?? [];
}

/** A database and a table, or a table alone. */
export function partsOf(name: string): readonly string[] {
  return (name.match(new RegExp(WORD, "g")) ?? []).map(word =>
    /^[`"]/.test(word) ? word.slice(1, -1).replaceAll("``", "`").replaceAll('""', '"') : word,
  );
}
