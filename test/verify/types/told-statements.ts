/**
 * What the messages about statements have to say, by the server's own word: after each statement its columns are asked
 * for. Columns may be left out only where a later statement names the table.
 */
import type { TypesSource } from "./source.ts";
import { DATABASE } from "./source.ts";

export interface Told {
  readonly statement: string;
  readonly database: string;
  readonly tables: readonly {
    readonly database: string;
    readonly table: string;
    readonly columns: readonly object[] | null;
  }[];
}

/** Table → its columns, as JSON. */
type Columns = ReadonlyMap<string, string>;

interface Executed {
  readonly statement: string;
  readonly before: Columns;
  readonly after: Columns;
}

const TELLS = /^(CREATE|ALTER|RENAME|DROP|TRUNCATE)\s+TABLE\b/i;

export class ToldStatements {
  readonly #source: TypesSource;
  #executed: Executed[] = [];
  #isLogged = true;

  constructor(source: TypesSource) {
    this.#source = source;
  }

  async run(statement: string): Promise<void> {
    const before = await this.#columns();
    await this.#source.run(statement);
    if (/sql_log_bin/i.test(statement)) this.#isLogged = /=\s*1/.test(statement);
    if (!this.#isLogged || !TELLS.test(statement)) return;
    this.#executed.push({ statement, before, after: await this.#columns() });
  }

  /** What is wrong with what was told since the last time; undefined if nothing. @param all or only those in front of a place. */
  take(told: readonly Told[], all: boolean): string | undefined {
    const executed = this.#executed;
    this.#executed = [];
    if (told.length > executed.length || (all && told.length < executed.length)) {
      const statements = told.map(({ statement }) => statement).join("; ");
      return `${told.length} of ${executed.length} statements were told: ${statements}`;
    }
    for (const [i, one] of told.entries()) {
      const fault = faultOf(one, executed[i] as Executed, executed.slice(i + 1));
      if (fault !== undefined) return `${one.statement}: ${fault}`;
    }
    return undefined;
  }

  async #columns(): Promise<Columns> {
    const rows = await this.#source.select(`
      SELECT c.TABLE_NAME AS t, c.COLUMN_NAME AS c, COLUMN_TYPE AS type, IS_NULLABLE AS n, SEQ_IN_INDEX AS k
      FROM information_schema.COLUMNS c LEFT JOIN information_schema.STATISTICS s
        ON s.TABLE_SCHEMA = c.TABLE_SCHEMA AND s.TABLE_NAME = c.TABLE_NAME
        AND s.COLUMN_NAME = c.COLUMN_NAME AND INDEX_NAME = 'PRIMARY'
      WHERE c.TABLE_SCHEMA = '${DATABASE}' ORDER BY c.TABLE_NAME, ORDINAL_POSITION`);
    const tables = new Map<string, object[]>();
    for (const { t, c, type, n, k } of rows) {
      const column = { name: c, type, nullable: n === "YES", key: k === null ? null : Number(k) };
      tables.set(t ?? "", [...(tables.get(t ?? "") ?? []), column]);
    }
    return new Map([...tables].map(([name, columns]) => [name, JSON.stringify(columns)]));
  }
}

function faultOf(
  told: Told,
  { statement, before, after }: Executed,
  later: readonly Executed[],
): string | undefined {
  if (plain(told.statement) !== plain(statement)) return `instead of ${statement}`;
  const named = new Map(told.tables.map(({ table, columns }) => [table, columns]));
  for (const table of new Set([...before.keys(), ...after.keys()])) {
    const isChanged = before.get(table) !== after.get(table);
    if (isChanged && !named.has(table)) return `does not name ${table}`;
  }
  if (named.size === 0) return "names no table";
  for (const [table, columns] of named) {
    if (columns === null && later.some(other => other.statement.includes(table))) continue;
    const wanted = after.get(table) ?? "[]";
    if (JSON.stringify(columns) !== wanted) {
      return `${table} has ${JSON.stringify(columns)} instead of ${wanted}`;
    }
  }
  return undefined;
}

/** The server writes a DROP in its own words. */
function plain(statement: string): string {
  return statement
    .replace(/\/\*[\s\S]*?\*\//g, " ")
    .replace(/[`;]/g, "")
    .replace(/\s+/g, " ")
    .trim()
    .toLowerCase();
}
