/** Questions to a server, and the cells of its answers. */
import type { Connection, RowDataPacket } from "mysql2/promise";

export type Row = Readonly<Record<string, unknown>>;

export type Ask = (sql: string, values?: readonly string[]) => Promise<readonly Row[]>;

export function asker(connection: Connection): Ask {
  return async (sql, values = []) => {
    const [rows] = await connection.query<RowDataPacket[]>(sql, [...values]);
    return rows;
  };
}

export function text(row: Row | undefined, column: string): string {
  const value = row?.[column];
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
}

/** The wording changed with 8.2; what a server does not know is a syntax error there. */
export async function firstKnown(ask: Ask, statements: readonly string[]): Promise<readonly Row[]> {
  const SYNTAX_ERROR = 1064;
  for (const [i, statement] of statements.entries()) {
    try {
      return await ask(statement);
    } catch (thrown) {
      const isLast = i === statements.length - 1;
      if (isLast || errnoOf(thrown) !== SYNTAX_ERROR) throw thrown;
    }
  }
  return [];
}

/** The server's number of an error; undefined for one that is not the server's. */
export function errnoOf(thrown: unknown): unknown {
  return (thrown as { readonly errno?: unknown } | null)?.errno;
}

/** A name as it has to stand in a statement. */
export function quoted(name: string): string {
  return `\`${name.replaceAll("`", "``")}\``;
}
