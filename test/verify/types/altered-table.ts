/** A table that is altered again and again, and what every row written to it has to look like. */
import type { MysqlVersion } from "../../../tools/services/services.ts";
import type { Envelope, Row } from "./file-run.ts";
import type { TypesSource } from "./source.ts";

const TABLE = "altered";

/** In this order, each on what the one before left. */
export function altersOf(version: MysqlVersion): readonly string[] {
  const instant = version === "mysql-5" ? "" : ", ALGORITHM = INSTANT";
  return [
    "ADD COLUMN first INT DEFAULT 1 FIRST",
    "ADD COLUMN third VARCHAR(9) DEFAULT 'x' AFTER a",
    "DROP COLUMN third",
    "CHANGE a a2 INT",
    "CHANGE a2 a INT",
    // Two columns of one type change places by name: only the names tell.
    "CHANGE a b INT, CHANGE b a INT",
    "MODIFY u INT UNSIGNED",
    "MODIFY e ENUM('z','y','x')",
    "MODIFY t VARCHAR(20) CHARACTER SET latin1",
    "MODIFY a BIGINT",
    "MODIFY a INT",
    "MODIFY t VARCHAR(20) CHARACTER SET utf8mb4",
    "MODIFY u INT",
    "MODIFY e ENUM('x','y','z')",
    "MODIFY b INT AFTER t",
    "MODIFY b INT FIRST",
    `ADD COLUMN last INT${instant}`,
    "RENAME TO aside",
    "DROP COLUMN first, ADD COLUMN first INT",
    "DROP PRIMARY KEY, ADD PRIMARY KEY (id, a)",
  ];
}

export class AlteredTable {
  readonly #source: TypesSource;
  #wanted: string[] = [];
  #values = 0;

  private constructor(source: TypesSource) {
    this.#source = source;
  }

  /** A new one, in the place of what was there. */
  static async create(source: TypesSource): Promise<AlteredTable> {
    await source.run(
      `DROP TABLE IF EXISTS ${TABLE}`,
      `CREATE TABLE ${TABLE} (id INT PRIMARY KEY AUTO_INCREMENT, a INT, b INT, u INT,
         t VARCHAR(20) CHARACTER SET utf8mb4, e ENUM('x','y','z'))`,
    );
    return new AlteredTable(source);
  }

  /** The messages of what was written since the last time, as `shown` shows them. */
  take(): readonly string[] {
    const wanted = this.#wanted;
    this.#wanted = [];
    return wanted;
  }

  /** A new row, and a change of the one before, if there is one: both under the columns of now. */
  async write(): Promise<void> {
    const [earlier] = await this.#newest();
    if (earlier) {
      await this.#source.run(
        `UPDATE ${TABLE} SET t = 'ü${this.#next()}' WHERE id = ${earlier["id"]}`,
      );
      const [changed = {}] = await this.#newest();
      this.#wanted.push(shownAs("u", earlier, changed));
    }
    await this.#insert();
    const [inserted = {}] = await this.#newest();
    this.#wanted.push(shownAs("c", null, inserted));
  }

  async #insert(): Promise<void> {
    const columns = (await this.#source.select(`SHOW COLUMNS FROM ${TABLE}`)).filter(
      ({ Field: name }) => name !== "id",
    );
    const names = columns.map(({ Field: name }) => name);
    const values = columns.map(({ Type: type }) => this.#value(type ?? ""));
    const sql = `INSERT INTO ${TABLE} (${names.join(", ")}) VALUES (${values.join(", ")})`;
    await this.#source.run(sql);
  }

  /** No two are alike, and none means the same if it is taken for a value of another type. */
  #value(type: string): string {
    const value = this.#next();
    if (type.startsWith("enum")) return value % 2 === 0 ? "'x'" : "'z'";
    if (type.startsWith("varchar")) return `'é${value}'`;
    return type.includes("unsigned") ? `${4_000_000_000 + value}` : `${-value}`;
  }

  #next(): number {
    this.#values += 1;
    return this.#values;
  }

  #newest(): ReturnType<TypesSource["select"]> {
    return this.#source.select(`SELECT * FROM ${TABLE} ORDER BY id DESC LIMIT 1`);
  }

  /** Renames there and back, so that the table stays where the next one expects it. */
  async alter(alter: string): Promise<void> {
    await this.#source.run(`ALTER TABLE ${TABLE} ${alter}`);
    if (alter.startsWith("RENAME")) await this.#source.run(`RENAME TABLE aside TO ${TABLE}`);
  }
}

type Selected = Readonly<Record<string, string | null>>;

/** As SELECT shows it: names and values in the order of the columns. */
function shownAs(op: string, before: Selected | null, after: Selected): string {
  return JSON.stringify([op, before && Object.entries(before), Object.entries(after)]);
}

export function shown({ op, before, after }: Envelope): string {
  return JSON.stringify([op, before && cellsOf(before), cellsOf(after ?? {})]);
}

function cellsOf(row: Row): unknown {
  return Object.entries(row).map(([name, value]) => [
    name,
    value !== null && typeof value === "object" && "text" in value ? value.text : value,
  ]);
}
