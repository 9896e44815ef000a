/** What the server says about the columns, for the rules that hold for some of them only. */
import type { Connection, RowDataPacket } from "mysql2/promise";

export interface ColumnFacts {
  /** As MySQL 9 shows it: `bigint unsigned`, `float(7,3)`, `tinyint(1)`. */
  readonly type: string;
  readonly hasDefault: boolean;
}

export class Facts {
  readonly #columns = new Map<string, ColumnFacts>();

  /** To be called before a table or column goes; what is known already stays. */
  async collect(session: Connection, database: string): Promise<void> {
    const [rows] = await session.query<RowDataPacket[]>(
      `SELECT TABLE_NAME AS tableName, COLUMN_NAME AS columnName, COLUMN_TYPE AS type,
         COLUMN_DEFAULT IS NOT NULL AS hasDefault
       FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ?`,
      [database],
    );
    for (const row of rows) {
      const name = nameOf(String(row["tableName"]), String(row["columnName"]));
      const hasDefault = Number(row["hasDefault"]) === 1;
      this.#columns.set(name, {
        type: withoutWidth(String(row["type"]).toLowerCase()),
        hasDefault,
      });
    }
  }

  get types(): number {
    return new Set([...this.#columns.values()].map(({ type }) => type)).size;
  }

  column(table: string, column: string): ColumnFacts | undefined {
    return this.#columns.get(nameOf(table, column));
  }
}

/** MySQL 8.0.15 shows how wide a client would print a number. */
function withoutWidth(type: string): string {
  return type === "tinyint(1)" ? type : type.replace(/^(\w*int|year)\(\d+\)/, "$1");
}

function nameOf(table: string, column: string): string {
  return JSON.stringify([table, column]);
}
