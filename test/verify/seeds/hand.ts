/**
 * Writes to tables as the users of the seeds do, and keeps what was committed: inserts, updates, deletes,
 * changes of keys, NULLs, a few rows over and over, and work that is rolled back.
 */
import type { Connection } from "mysql2/promise";
import type { Random } from "../random.ts";

export type Value = string | number | null;
export type Row = Readonly<Record<string, Value>>;

export type Change = { readonly table: string } & (
  | { readonly kind: "insert"; readonly after: Row }
  | { readonly kind: "update"; readonly before: Row; readonly after: Row }
  | { readonly kind: "delete"; readonly before: Row }
);

/** Its key is the column `id`. */
export interface Table {
  readonly name: string;
  readonly columns: readonly string[];
  /** Of a column other than `id`. */
  readonly value: (column: string, random: Random) => Value;
}

export interface HandOptions {
  readonly connection: Connection;
  readonly tables: readonly Table[];
  readonly random: Random;
  /** Rows of this hand alone have such numbers. */
  readonly firstId: number;
}

/** So few rows of a table that most changes meet one that was changed just before. */
const ALIVE_MAX = 60;
const CHANGES_MAX = 8;
const ROLLED_BACK = 0.05;

export class Hand {
  /** What was committed, in this order. */
  readonly changes: Change[] = [];
  rolledBack = 0;
  readonly #options: HandOptions;
  /** By name of the table, then by id. */
  #alive: ReadonlyMap<string, ReadonlyMap<Value, Row>>;
  #nextId: number;

  constructor(options: HandOptions) {
    this.#options = options;
    this.#nextId = options.firstId;
    this.#alive = new Map(options.tables.map(({ name }) => [name, new Map()]));
  }

  /** Transactions, until so many changes were committed. */
  async write(changes: number): Promise<void> {
    const end = this.changes.length + changes;
    while (this.changes.length < end) await this.#transaction();
  }

  async #transaction(): Promise<void> {
    const { connection, random, tables } = this.#options;
    const alive = new Map(Array.from(this.#alive, ([name, rows]) => [name, new Map(rows)]));
    const changes: Change[] = [];
    await connection.query("BEGIN");
    for (let left = random.int(1, CHANGES_MAX); left > 0; left -= 1) {
      const table = random.pick(tables);
      const change = this.#choose(table, alive.get(table.name) ?? new Map<Value, Row>());
      if (change === undefined) continue;
      await this.#apply(change);
      const rows = alive.get(table.name);
      if (change.kind !== "insert") rows?.delete(change.before["id"] ?? null);
      if (change.kind !== "delete") rows?.set(change.after["id"] ?? null, change.after);
      changes.push(change);
    }
    if (random.chance(ROLLED_BACK)) {
      await connection.query("ROLLBACK");
      this.rolledBack += changes.length;
      return;
    }
    await connection.query("COMMIT");
    this.#alive = alive;
    this.changes.push(...changes);
  }

  #choose(table: Table, alive: ReadonlyMap<Value, Row>): Change | undefined {
    const { random } = this.#options;
    const { name } = table;
    const draw = alive.size >= ALIVE_MAX ? random.int(25, 99) : random.int(0, 99);
    if (alive.size === 0 || draw < 25) {
      return { table: name, kind: "insert", after: this.#row(table) };
    }
    const before = random.pick([...alive.values()]);
    if (draw < 40) return { table: name, kind: "delete", before };
    if (draw < 45) {
      return { table: name, kind: "update", before, after: { ...before, id: this.#id() } };
    }
    const column = random.pick(table.columns.filter(candidate => candidate !== "id"));
    const value = table.value(column, random);
    // MySQL logs no row that stays as it is.
    if (value === before[column]) return undefined;
    return { table: name, kind: "update", before, after: { ...before, [column]: value } };
  }

  #row({ columns, value }: Table): Row {
    const cell = (column: string): Value =>
      column === "id" ? this.#id() : value(column, this.#options.random);
    return Object.fromEntries(columns.map(column => [column, cell(column)]));
  }

  #id(): number {
    this.#nextId += 1;
    return this.#nextId;
  }

  async #apply(change: Change): Promise<void> {
    const { connection } = this.#options;
    const { table, kind } = change;
    if (kind === "insert") {
      await connection.query("INSERT INTO ?? SET ?", [table, change.after]);
    } else if (kind === "update") {
      const { before, after } = change;
      await connection.query("UPDATE ?? SET ? WHERE id = ?", [table, after, before["id"]]);
    } else {
      await connection.query("DELETE FROM ?? WHERE id = ?", [table, change.before["id"]]);
    }
  }
}

/** Text with what JSON and character sets stumble over, or NULL. */
export function anyText(random: Random): Value {
  if (random.chance(0.2)) return null;
  return `${random.pick(["Ann", "Zoë", "小林", "O'Neil", 'q"\\uote', "🌊", "", "tab\t"])}${random.int(0, 999)}`;
}

/** An update that changes the key is a delete of one row and an insert of another. */
export function byKey(change: Change): readonly Change[] {
  if (change.kind !== "update" || change.before["id"] === change.after["id"]) return [change];
  const { table, before, after } = change;
  return [
    { table, kind: "delete", before },
    { table, kind: "insert", after },
  ];
}

/** `2,014 changes: insert 512, update 1,201, delete 301`. */
export function counted(what: string, kinds: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const kind of kinds) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  const parts = Array.from(counts, ([kind, count]) => `${kind} ${count}`);
  return `${kinds.length} ${what}: ${parts.sort().join(", ")}`;
}
