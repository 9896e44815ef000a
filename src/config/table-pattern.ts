/**
 * Which tables are captured: patterns as `database.table`, with `*` for any characters, `?` for one, and
 * a `!` before those that exclude. Names are compared letter by letter, as MySQL on Linux does.
 */

const SYSTEM_SCHEMAS: ReadonlySet<string> = new Set([
  "mysql",
  "sys",
  "information_schema",
  "performance_schema",
]);

interface TablePattern {
  readonly excludes: boolean;
  readonly database: readonly string[];
  readonly table: readonly string[];
}

function parse(pattern: string): TablePattern | undefined {
  const excludes = pattern.startsWith("!");
  const glob = excludes ? pattern.slice(1) : pattern;
  const dot = glob.indexOf(".");
  if (dot < 1 || dot === glob.length - 1) return undefined;
  // Split into whole characters, so that `?` stands for one of them outside the BMP too.
  return {
    excludes,
    database: Array.from(glob.slice(0, dot)),
    table: Array.from(glob.slice(dot + 1)),
  };
}

/** What is wrong with a pattern; undefined if nothing is. */
export function tablePatternFault(pattern: string): string | undefined {
  const parsed = parse(pattern);
  if (parsed === undefined) {
    return "expected database.table, such as shop.orders, shop.* or !shop.audit_*";
  }
  if (!parsed.excludes && SYSTEM_SCHEMAS.has(parsed.database.join(""))) {
    return "tables of system schemas are never captured";
  }
  return undefined;
}

/**
 * Goes back to the last `*` only, which is enough for globs. A regular expression would try every way
 * to share the name between the stars, and take for ever on a pattern with many of them.
 */
export function matchesGlob(glob: readonly string[], name: readonly string[]): boolean {
  let at = 0;
  let star = -1;
  let starAt = 0;
  let next = 0;
  while (at < name.length) {
    const wanted = glob[next];
    if (wanted === "*") {
      star = next;
      starAt = at;
      next += 1;
    } else if (wanted === "?" || wanted === name[at]) {
      next += 1;
      at += 1;
    } else if (star >= 0) {
      starAt += 1;
      at = starAt;
      next = star + 1;
    } else {
      return false;
    }
  }
  while (glob[next] === "*") next += 1;
  return next === glob.length;
}

/**
 * A table is captured if a pattern without `!` matches it and no pattern with `!` does, whatever their
 * order. Tables of system schemas never are.
 */
export function compileTableFilter(
  patterns: readonly string[],
): (database: string, table: string) => boolean {
  const parsed = patterns.map(parse).filter(pattern => pattern !== undefined);
  const included = parsed.filter(pattern => !pattern.excludes);
  const excluded = parsed.filter(pattern => pattern.excludes);
  return (database, table) => {
    if (SYSTEM_SCHEMAS.has(database.toLowerCase())) return false;
    const databaseName = Array.from(database);
    const tableName = Array.from(table);
    const isMatch = (pattern: TablePattern): boolean =>
      matchesGlob(pattern.database, databaseName) && matchesGlob(pattern.table, tableName);
    return included.some(isMatch) && !excluded.some(isMatch);
  };
}

/** Whether a table of this database may be captured; of which names is what the table filter says. */
export function compileDatabaseFilter(patterns: readonly string[]): (database: string) => boolean {
  const included = patterns.map(parse).filter(pattern => pattern?.excludes === false);
  return database =>
    !SYSTEM_SCHEMAS.has(database.toLowerCase()) &&
    included.some(pattern => matchesGlob(pattern?.database ?? [], Array.from(database)));
}
