/** A table that is altered again and again, and what every row written to it has to look like. */
import type { MysqlVersion } from "../../../tools/services/services.ts";
import type { Envelope, Row } from "./file-run.ts";
import type { TypesSource } from "./source.ts";
import type { ToldStatements } from "./told-statements.ts";

export const TABLE = "altered";

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

  async change({ statements, isEmptying }: SchemaChange, told: ToldStatements): Promise<void> {
    for (const statement of statements) await told.run(statement);
    if (isEmptying === true) this.#wanted.push(EMPTIED);
  }

  /** Renames there and back, so that the table stays where the next one expects it. */
  async alter(alter: string): Promise<void> {
    await this.#source.run(`ALTER TABLE ${TABLE} ${alter}`);
    if (alter.startsWith("RENAME")) await this.#source.run(`RENAME TABLE aside TO ${TABLE}`);
  }
}

/** What becomes of the table: statements on it and on others. */
export interface SchemaChange {
  readonly name: string;
  readonly statements: readonly string[];
  /** Rows come or go with it, and no message tells of that. */
  readonly isUntold?: boolean;
  /** All rows go with it, and a message tells of that. */
  readonly isEmptying?: boolean;
}

const T = TABLE;
const COPY = "(id, a, b, u, t, e) SELECT id, a, b, u, t, e";
const FRESH = `CREATE TABLE ${T} (id INT PRIMARY KEY AUTO_INCREMENT, a INT, b INT, u INT,
  t VARCHAR(20) CHARACTER SET utf8mb4, e ENUM('x','y','z')`;

/** In this order, each on what the one before left. */
export const schemaChanges: readonly SchemaChange[] = [
  { name: "add", statements: [`ALTER TABLE ${T} ADD COLUMN added INT FIRST`] },
  { name: "rename column", statements: [`ALTER TABLE ${T} CHANGE added other INT`] },
  { name: "reorder", statements: [`ALTER TABLE ${T} MODIFY other INT AFTER b`] },
  { name: "type", statements: [`ALTER TABLE ${T} MODIFY other BIGINT`] },
  { name: "drop", statements: [`ALTER TABLE ${T} DROP COLUMN other`] },
  {
    name: "rename table",
    statements: [`RENAME TABLE ${T} TO aside`, `RENAME TABLE aside TO ${T}`],
    isUntold: true,
  },
  { name: "truncate", statements: [`TRUNCATE TABLE ${T}`], isEmptying: true },
  {
    name: "drop and create",
    statements: [`DROP TABLE ${T}`, `${FRESH}, again INT)`],
    isUntold: true,
  },
  {
    name: "create another in its place",
    statements: [`DROP TABLE ${T}`, `${FRESH})`],
    isUntold: true,
  },
  {
    name: "gh-ost",
    statements: [
      `CREATE TABLE _${T}_gho LIKE ${T}`,
      `ALTER TABLE _${T}_gho ADD COLUMN ghost INT AFTER a`,
      `CREATE TABLE _${T}_del (id INT PRIMARY KEY)`,
      `INSERT IGNORE INTO _${T}_gho ${COPY} FROM ${T} LOCK IN SHARE MODE`,
      `REPLACE INTO _${T}_gho ${COPY} FROM ${T} ORDER BY id DESC LIMIT 1`,
      `DROP TABLE _${T}_del`,
      `RENAME TABLE ${T} TO _${T}_del, _${T}_gho TO ${T}`,
      `DROP TABLE _${T}_del`,
    ],
    isUntold: true,
  },
  {
    name: "pt-osc",
    statements: [
      `CREATE TABLE _${T}_new LIKE ${T}`,
      `ALTER TABLE _${T}_new DROP COLUMN ghost`,
      `CREATE TRIGGER pt_osc_ins AFTER INSERT ON ${T} FOR EACH ROW REPLACE INTO _${T}_new
         (id, a, b, u, t, e) VALUES (NEW.id, NEW.a, NEW.b, NEW.u, NEW.t, NEW.e)`,
      `CREATE TRIGGER pt_osc_del AFTER DELETE ON ${T} FOR EACH ROW
         DELETE IGNORE FROM _${T}_new WHERE id = OLD.id`,
      `INSERT LOW_PRIORITY IGNORE INTO _${T}_new ${COPY} FROM ${T}`,
      `RENAME TABLE ${T} TO _${T}_old, _${T}_new TO ${T}`,
      `DROP TABLE IF EXISTS _${T}_old`,
    ],
    isUntold: true,
  },
  {
    name: "partition",
    statements: [
      `ALTER TABLE ${T} PARTITION BY RANGE (id)
         (PARTITION p0 VALUES LESS THAN (3), PARTITION p1 VALUES LESS THAN MAXVALUE)`,
    ],
  },
  {
    name: "exchange partition",
    statements: [
      `CREATE TABLE exchanged LIKE ${T}`,
      "ALTER TABLE exchanged REMOVE PARTITIONING",
      `ALTER TABLE ${T} EXCHANGE PARTITION p0 WITH TABLE exchanged`,
      "DROP TABLE exchanged",
    ],
    isUntold: true,
  },
  { name: "drop partition", statements: [`ALTER TABLE ${T} DROP PARTITION p0`], isUntold: true },
  { name: "no partition", statements: [`ALTER TABLE ${T} REMOVE PARTITIONING`] },
  // Two columns of one type change places by name, and no binlog says so.
  {
    name: "without a log",
    statements: [
      "SET SESSION sql_log_bin = 0",
      `ALTER TABLE ${T} CHANGE a b INT, CHANGE b a INT`,
      "SET SESSION sql_log_bin = 1",
    ],
  },
  {
    name: "add without a log",
    statements: [
      "SET SESSION sql_log_bin = 0",
      `ALTER TABLE ${T} ADD COLUMN hidden INT FIRST`,
      "SET SESSION sql_log_bin = 1",
    ],
  },
];

const EMPTIED = shown({ op: "t", before: null, after: null, source: { table: TABLE } });

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
