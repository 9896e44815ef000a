/** Which columns are meant: patterns as `database.table.column`, with `*` and `?` as for tables. */
import { matchesGlob } from "./table-pattern.ts";

export type ColumnFilter = (database: string, table: string, column: string) => boolean;

/** The first dot ends the database's name, the last one begins the column's. */
function parse(pattern: string): readonly (readonly string[])[] | undefined {
  const [, ...parts] = /^([^.]+)\.(.+)\.([^.]+)$/s.exec(pattern) ?? [];
  return parts.length === 3 ? parts.map(part => Array.from(part)) : undefined;
}

/** What is wrong with a pattern; undefined if nothing is. */
export function columnPatternFault(pattern: string): string | undefined {
  if (parse(pattern) !== undefined) return undefined;
  return "expected database.table.column, such as shop.users.phone or *.*.password";
}

export function compileColumnFilter(patterns: readonly string[]): ColumnFilter {
  const parsed = patterns.map(parse).filter(pattern => pattern !== undefined);
  return (...names) => {
    const given = names.map(name => Array.from(name));
    return parsed.some(pattern =>
      pattern.every((glob, i) => matchesGlob(glob, given[i] as readonly string[])),
    );
  };
}
