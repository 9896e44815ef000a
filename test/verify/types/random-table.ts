/**
 * A random table and what happens in it. After each statement SELECT says how the rows look now, so
 * that every image of the binlog has an answer to be compared with.
 */
import type { TypesSource } from "./source.ts";
import { questions, type Shape } from "./canonical.ts";
import { randomType, type RandomType, type Surroundings } from "./random-columns.ts";

/** The answers of a row: to each column's questions, in their order. */
export type Answers = readonly (string | null)[];

export interface RowChange {
  readonly before: Answers | null;
  readonly after: Answers | null;
}

export interface TableColumn {
  readonly name: string;
  readonly shape: Shape;
  /** Where the column's answers stand among those of the row. */
  readonly answersAt: number;
}

/** A statement changes its rows in an order of the server's own: they are found by `row_no`. */
export interface Statement {
  readonly op: "insert" | "update" | "delete";
  readonly changes: ReadonlyMap<string, RowChange>;
}

interface Column extends TableColumn {
  readonly type: RandomType;
  readonly nullable: boolean;
  readonly sql: string;
}

const ROW_NO = "row_no";
const ROW_VERSION = "row_version";
const COLUMNS_MAX = 40;
/** A bitmap of so many columns fills its bytes, or needs one more. */
const BITMAP_EDGES = [7, 8, 9, 15, 16, 17, 24, 25, 32, 33];
/** Fewer columns than this have no room for a number and a version of the row. */
const NUMBERED_MIN = 3;
const ROWS_MAX = 40;
/** The server refuses the table: rows or keys too long, or a partitioned table with such a column. */
const REFUSED: ReadonlySet<number> = new Set([1071, 1118, 1178, 1235, 1502, 1506, 1845]);
const ODD_NAMES = ["naïve", "a b", "日本", 'x"y', "__proto__", "it's", "constructor", "10"];

export class RandomTable {
  readonly name: string;
  readonly columns: readonly Column[];
  readonly isNumbered: boolean;
  readonly statements: Statement[] = [];
  readonly #source: TypesSource;
  readonly #around: Surroundings;
  readonly #rows = new Map<string, Answers>();
  #lastRow = 0;

  private constructor(
    name: string,
    source: TypesSource,
    around: Surroundings,
    columns: readonly Column[],
  ) {
    this.name = name;
    this.columns = columns;
    this.isNumbered = columns.length >= NUMBERED_MIN;
    this.#source = source;
    this.#around = around;
  }

  /** Undefined if the server takes no such table. */
  static async create(
    name: string,
    source: TypesSource,
    around: Surroundings,
  ): Promise<RandomTable | undefined> {
    const columns = randomColumns(around);
    const table = new RandomTable(name, source, around, columns);
    try {
      await source.run(table.#definition());
    } catch (error) {
      if (REFUSED.has((error as { errno?: number }).errno ?? 0)) return undefined;
      throw error;
    }
    return table;
  }

  /** Statements that change at least so many rows. */
  async change(rows: number): Promise<number> {
    const { random } = this.#around;
    let changed = 0;
    for (let idle = 0; changed < rows && idle < 10; idle += 1) {
      const before = changed;
      const isTransaction = random.chance(0.3);
      if (isTransaction) await this.#source.run("BEGIN");
      const count = isTransaction ? random.int(2, 4) : 1;
      for (let i = 0; i < count; i += 1) changed += await this.#statement();
      if (isTransaction) await this.#source.run("COMMIT");
      if (changed > before) idle = 0;
    }
    return changed;
  }

  async #statement(): Promise<number> {
    const { random } = this.#around;
    const present = [...this.#rows.keys()];
    if (!this.isNumbered) return present.length > 0 ? this.#delete(present) : this.#insert(1);
    if (present.length === 0 || (present.length < ROWS_MAX && random.chance(0.45))) {
      return this.#insert(random.pick([1, 1, 2, 5, 12]));
    }
    const some = present.filter(() => random.chance(0.3));
    if (some.length === 0) some.push(random.pick(present));
    return random.chance(0.3) ? this.#delete(some) : this.#update(some);
  }

  async #insert(count: number): Promise<number> {
    const filled = this.columns.filter(({ type }) => type.value !== undefined);
    const numbers: string[] = [];
    const rows = Array.from({ length: count }, () => {
      const number = String((this.#lastRow += 1));
      numbers.push(number);
      return `(${filled.map(column => this.#value(column, number)).join(", ")})`;
    });
    const names = filled.map(({ name }) => identifier(name)).join(", ");
    await this.#source.run(`INSERT IGNORE INTO ${this.name} (${names}) VALUES ${rows.join(", ")}`);
    return this.#record("insert", numbers);
  }

  async #update(numbers: readonly string[]): Promise<number> {
    const { random } = this.#around;
    const changeable = this.columns.filter(
      ({ name, type }) => type.value !== undefined && name !== ROW_NO && name !== ROW_VERSION,
    );
    const share = random.pick([0.1, 0.5, 1]);
    const sets = changeable
      .filter(() => random.chance(share))
      .map(column => `${identifier(column.name)} = ${this.#value(column, "")}`);
    sets.push(`${ROW_VERSION} = ${ROW_VERSION} + 1`);
    await this.#source.run(
      `UPDATE IGNORE ${this.name} SET ${sets.join(", ")} WHERE ${this.#among(numbers)}`,
    );
    return this.#record("update", numbers);
  }

  async #delete(numbers: readonly string[]): Promise<number> {
    await this.#source.run(`DELETE FROM ${this.name} WHERE ${this.#among(numbers)}`);
    return this.#record("delete", numbers);
  }

  #value({ name, type, nullable }: Column, number: string): string {
    const { random } = this.#around;
    if (name === ROW_NO) return number;
    if (name === ROW_VERSION) return "0";
    if (nullable && random.chance(0.15)) return "NULL";
    return type.value?.() ?? "DEFAULT";
  }

  #among(numbers: readonly string[]): string {
    return this.isNumbered ? `${ROW_NO} IN (${numbers.join(", ")})` : "TRUE";
  }

  /** What of the rows is different now. A duplicate of a key leaves a row out, or as it was. */
  async #record(op: Statement["op"], numbers: readonly string[]): Promise<number> {
    const asked = this.columns.flatMap(({ name, shape }) => questions(shape, identifier(name)));
    const list = asked.map((one, i) => `${one} AS a${i}`).join(", ");
    const rows = await this.#source.select(
      `SELECT ${list} FROM ${this.name} WHERE ${this.#among(numbers)}`,
    );
    const now = new Map<string, Answers>();
    for (const row of rows) {
      const answers = asked.map((_, i) => row[`a${i}`] ?? null);
      now.set(this.#numberOf(answers) ?? numbers[0] ?? "", answers);
    }
    const changes = new Map<string, RowChange>();
    for (const number of numbers) {
      const [before, after] = [this.#rows.get(number) ?? null, now.get(number) ?? null];
      if (after === null) this.#rows.delete(number);
      else this.#rows.set(number, after);
      if (this.#isSame(before, after)) continue;
      changes.set(this.isNumbered ? number : "", { before, after });
    }
    if (changes.size > 0) this.statements.push({ op, changes });
    return changes.size;
  }

  #isSame(before: Answers | null, after: Answers | null): boolean {
    if (before === null || after === null) return before === after;
    const version = this.columns.find(({ name }) => name === ROW_VERSION)?.answersAt ?? 0;
    return before[version] === after[version];
  }

  #numberOf(answers: Answers): string | undefined {
    const at = this.columns.find(({ name }) => name === ROW_NO)?.answersAt;
    return at === undefined ? undefined : (answers[at] ?? undefined);
  }

  #definition(): string {
    const { random, charsets } = this.#around;
    const lines = this.columns.map(({ sql }) => sql);
    const key = this.#key();
    if (key !== undefined) lines.push(`PRIMARY KEY (${key.join(", ")})`);
    const isPartitioned =
      this.isNumbered &&
      random.chance(0.1) &&
      (key === undefined || key.includes(ROW_NO)) &&
      !this.columns.some(({ sql }) => /GEOM|POINT|LINE|POLYGON|VECTOR/.test(sql));
    return (
      `CREATE TABLE ${this.name} (${lines.join(", ")}) ` +
      `DEFAULT CHARACTER SET ${random.pick(charsets).name}` +
      (isPartitioned ? ` PARTITION BY HASH(${ROW_NO}) PARTITIONS 3` : "")
    );
  }

  #key(): string[] | undefined {
    const { random } = this.#around;
    const candidates = this.columns.filter(
      ({ type, nullable, name }) => type.key !== "none" && !nullable && name !== ROW_VERSION,
    );
    const other = candidates.length > 0 ? keyPart(random.pick(candidates)) : undefined;
    const number = this.isNumbered ? [ROW_NO] : [];
    const others = other === undefined || other === ROW_NO ? [] : [other];
    const key = random.pick([[], number, [...number, ...others], [...others, ...number], others]);
    return key.length === 0 ? undefined : key;
  }
}

function keyPart({ name, type }: Column): string {
  return `${identifier(name)}${type.key === "prefix" ? "(5)" : ""}`;
}

function identifier(name: string): string {
  return name === ROW_NO ? name : `\`${name.replaceAll("`", "``")}\``;
}

const NUMBER: RandomType = {
  sql: "INT",
  shape: { kind: "integer", bits: 32, unsigned: false },
  key: "whole",
  value: () => "0",
};

function randomColumns(around: Surroundings): Column[] {
  const { random } = around;
  const count = random.chance(0.5) ? random.pick(BITMAP_EDGES) : random.int(1, COLUMNS_MAX);
  const isNumbered = count >= NUMBERED_MIN;
  const drafts = Array.from({ length: isNumbered ? count - 2 : count }, (_, i) => {
    const type = randomType(around, { mayGenerate: isNumbered });
    const name = random.chance(0.1) ? `${random.pick(ODD_NAMES)}${i}` : `c${i}`;
    return { name, type };
  });
  if (isNumbered) {
    for (const name of [ROW_NO, ROW_VERSION]) {
      drafts.splice(random.int(0, drafts.length), 0, { name, type: NUMBER });
    }
  }
  const mayHide = around.version !== "mysql-8";
  let answersAt = 0;
  return drafts.map(({ name, type }, i) => {
    const isOwn = type === NUMBER;
    const isGenerated = type.value === undefined;
    const nullable = isGenerated || (!isOwn && random.chance(0.7));
    const isHidden = mayHide && i > 0 && !isOwn && !isGenerated && nullable && random.chance(0.1);
    const sql = [
      identifier(name),
      type.sql,
      ...(isGenerated ? [] : [nullable ? "NULL" : "NOT NULL"]),
      ...(isHidden ? ["INVISIBLE"] : []),
    ].join(" ");
    const column = { name, type, shape: type.shape, nullable, sql, answersAt };
    answersAt += questions(type.shape, "").length;
    return column;
  });
}
