/**
 * One session that changes rows one by one, and its own settings in between. Of each change it notes what
 * SELECT said before and after, and how much of that the setting of the moment lets the server log.
 */
import type { MysqlVersion } from "../../../tools/services/services.ts";
import type { Random } from "../random.ts";
import { question, type Form } from "./forms.ts";
import type { TypesSource } from "./source.ts";

export type Image = "FULL" | "NOBLOB" | "MINIMAL";
export type Answers = ReadonlyMap<string, string | null>;

export interface Change {
  readonly sql: string;
  readonly image: Image;
  /** What the row was and became; undefined where there was none. */
  readonly before: Answers | undefined;
  readonly after: Answers | undefined;
  /** Columns that the statement set: these are logged in any case. */
  readonly set: ReadonlySet<string>;
}

export interface SessionColumn {
  readonly name: string;
  readonly form: Form;
  /** Left out with NOBLOB where the change does not set it. */
  readonly isBlob: boolean;
}

type Setting = readonly [name: string, values: readonly string[]];

const IDS = 12;
const CHANGES_OF_TRANSACTION_MAX = 6;

export class SessionChanges {
  readonly changes: Change[] = [];
  switches = 0;
  readonly #source: TypesSource;
  readonly #random: Random;
  readonly #version: MysqlVersion;
  readonly #table: string;
  readonly #settings: readonly Setting[];
  #image: Image = "FULL";
  #isPartial = false;
  #number = 0;

  constructor(
    source: TypesSource,
    { random, version, table }: { random: Random; version: MysqlVersion; table: string },
  ) {
    this.#source = source;
    this.#random = random;
    this.#version = version;
    this.#table = table;
    this.#settings = settingsOf(version);
  }

  get columns(): readonly SessionColumn[] {
    const isText = this.#version === "mariadb"; // There JSON is a LONGTEXT.
    return [
      { name: "id", form: "integer", isBlob: false },
      { name: "n", form: "integer", isBlob: false },
      { name: "v", form: "text", isBlob: false },
      { name: "t", form: "text", isBlob: true },
      { name: "b", form: "bytes", isBlob: true },
      { name: "j", form: isText ? "text" : "json", isBlob: isText },
      { name: "big", form: "integer", isBlob: false },
    ];
  }

  async create(): Promise<void> {
    await this.#source.run(
      `CREATE TABLE ${this.#table} (id INT PRIMARY KEY, n INT, v VARCHAR(200), t TEXT, b BLOB, j JSON,
         big BIGINT UNSIGNED DEFAULT 18446744073709551615)`,
    );
  }

  /** Every setting as it has to be; the order is random like the rest. */
  async reset(): Promise<void> {
    await this.#source.run("SET SESSION binlog_format = ROW");
    for (const [name, [first = ""]] of this.#settings) await this.#set(name, first);
  }

  async transaction(): Promise<void> {
    while (this.#random.chance(0.4)) await this.#switch();
    const count = this.#random.int(1, CHANGES_OF_TRANSACTION_MAX);
    await this.#source.run("BEGIN");
    for (let i = 0; i < count; i += 1) await this.#change();
    await this.#source.run("COMMIT");
  }

  async #switch(): Promise<void> {
    const [name, values] = this.#random.pick(this.#settings);
    await this.#set(name, this.#random.pick(values));
    this.switches += 1;
  }

  async #set(name: string, value: string): Promise<void> {
    await this.#source.run(`SET ${name} = ${value}`);
    if (name.endsWith("row_image")) this.#image = value as Image;
    if (name.endsWith("value_options")) this.#isPartial = value !== "''";
  }

  async #change(): Promise<void> {
    const id = String(this.#random.int(1, IDS));
    const before = await this.#row(id);
    if (before === undefined) return this.#insert(id);
    const draw = this.#random.next();
    if (draw < 0.2) return this.#apply(id, `DELETE FROM ${this.#table} WHERE id = ${id}`, [], id);
    const to = String(this.#random.int(1, IDS));
    if (draw < 0.35 && (await this.#row(to)) === undefined) {
      const sql = `UPDATE ${this.#table} SET id = ${to}, n = ${this.#next()} WHERE id = ${id}`;
      return this.#apply(id, sql, ["id", "n"], to);
    }
    const assignments = this.#assignments(before);
    const list = assignments.map(([name, value]) => `${name} = ${value}`).join(", ");
    const sql = `UPDATE ${this.#table} SET ${list} WHERE id = ${id}`;
    return this.#apply(id, sql, assignments.map(([name]) => name), id); // prettier-ignore
  }

  async #insert(id: string): Promise<void> {
    const assignments = [["id", id] as const, ...this.#assignments(undefined)];
    const names = assignments.map(([name]) => name);
    const values = assignments.map(([, value]) => value).join(", ");
    const sql = `INSERT INTO ${this.#table} (${names.join(", ")}) VALUES (${values})`;
    return this.#apply(id, sql, names, id);
  }

  async #apply(id: string, sql: string, set: readonly string[], newId: string): Promise<void> {
    const before = await this.#row(id);
    await this.#source.run(sql);
    const after = await this.#row(newId);
    this.changes.push({ sql, image: this.#image, before, after, set: new Set(set) });
  }

  #next(): string {
    this.#number += 1;
    return String(this.#number);
  }

  /** `n` always has a new value, so that every statement changes its row. */
  #assignments(before: Answers | undefined): (readonly [name: string, value: string])[] {
    const random = this.#random;
    const text = (bytes: number): string =>
      random.chance(0.2) ? "NULL" : `'${String.fromCharCode(97 + random.int(0, 25)).repeat(random.int(0, bytes))}ü'`; // prettier-ignore
    const canBePartial = this.#image !== "MINIMAL" || !this.#isPartial;
    const document = `'{"a": ${random.int(0, 99)}, "list": [1, 2.50, null], "pad": "${"p".repeat(100)}"}'`;
    const json =
      before?.get("j") && canBePartial && random.chance(0.8)
        ? `JSON_SET(j, '$.a', ${random.int(0, 999)}, '$.z', 'new')`
        : random.pick([document, "NULL", "'[]'"]);
    const all: (readonly [string, string])[] = [
      ["v", text(150)],
      ["t", text(3_000)],
      ["b", random.chance(0.2) ? "NULL" : `X'${"00ff10".repeat(random.int(0, 300))}'`],
      ["j", json],
      ["big", String(random.int(0, 2 ** 40))],
    ];
    return [["n", this.#next()], ...all.filter(() => random.chance(0.4))];
  }

  async #row(id: string): Promise<Answers | undefined> {
    const asked = this.columns.map(({ name, form }) => `${question(form, name)} AS ${name}`);
    const sql = `SELECT ${asked.join(", ")} FROM ${this.#table} WHERE id = ${id}`;
    const [row] = await this.#source.select(sql);
    return row && new Map(Object.entries(row));
  }
}

/** The first value of each is the one to begin and to end with. */
function settingsOf(version: MysqlVersion): readonly Setting[] {
  const common: readonly Setting[] = [
    ["SESSION binlog_row_image", ["FULL", "NOBLOB", "MINIMAL"]],
    ["GLOBAL binlog_checksum", ["CRC32", "NONE"]],
  ];
  if (version === "mariadb") return [...common, ["GLOBAL log_bin_compress", ["OFF", "ON"]]];
  const partial: Setting = ["SESSION binlog_row_value_options", ["''", "PARTIAL_JSON"]];
  if (version === "mysql-8") return [...common, partial];
  return [...common, partial, ["SESSION binlog_transaction_compression", ["OFF", "ON"]]];
}
