/**
 * A binlog of a few rows that change all the time, as entries, and what a consumer of `row-events` makes of the
 * messages: for the tests of the de-duplication window.
 */
import type { Change, Entry } from "../../src/core/entry.ts";
import type { Operation, Rows, TableShape } from "../../src/core/rows.ts";
import { column, entry, mark, table } from "../support/builders.ts";
import { PackedRowsWriter } from "../support/packed-rows.ts";
import { between } from "../support/random.ts";

/** What the binlog shows of a row: `binlog_row_image`. */
export type RowImage = "full" | "minimal" | "noblob";
type Row = Readonly<Record<string, string>>;

const COLUMNS = ["id", "a", "b", "c"];
/** Stands for a BLOB: NOBLOB shows it only where it was set. */
const BLOB = "c";
const KEYS = 4;

const shapeOf = (name: string, primaryKey: readonly number[]): TableShape =>
  table({ name, columns: COLUMNS.map(each => column(each)), primaryKey });

export interface RowChange {
  readonly operation: Operation;
  readonly before?: Row | undefined;
  readonly after?: Row | undefined;
}

/** One change of a row, by its place in the history. */
interface Past {
  readonly entry: number;
  readonly table: string;
  readonly keys: readonly string[];
}

export class History {
  readonly entries: Entry[] = [];
  /** By message id, without what the window adds to it. */
  readonly changes = new Map<
    string,
    { readonly index: number; readonly keys: readonly string[] }
  >();
  readonly past: Past[] = [];
  readonly rows = new Map<string, Row>();
  readonly loose: string[] = [];
  readonly #random: () => number;
  readonly #image: RowImage;
  #keyed = shapeOf("keyed", [0]);
  readonly #loose = shapeOf("loose", []);

  constructor(random: () => number, image: RowImage, entries: number) {
    this.#random = random;
    this.#image = image;
    for (let number = 0; number < entries; number += 1) this.entries.push(this.#entry(number));
  }

  #entry(number: number): Entry {
    if (this.#random() < 0.05) this.#keyed = shapeOf("keyed", [0]);
    const changes: Change[] = [];
    const numbers = { keyed: 0, loose: 0 };
    for (let left = between(this.#random, 0, 3); left > 0; left -= 1) {
      const isLoose = this.#random() < 0.1;
      const shape = isLoose ? this.#loose : this.#keyed;
      const change = isLoose ? this.#looseChange() : this.#keyedChange();
      const name = isLoose ? "loose" : "keyed";
      const transaction = { id: `t${number}`, gtid: undefined, thread: undefined };
      const firstNumber = numbers[name]++;
      const keys = [change.before?.["id"], change.after?.["id"]].filter(key => key !== undefined);
      this.changes.set(`t${number}:shop.${name}:${firstNumber}`, { index: this.past.length, keys });
      this.past.push({ entry: number, table: name, keys });
      changes.push({
        transaction,
        origin: { file: "binlog.000001", position: number, serverId: 1, timestampS: 0 },
        rows: rowsOf(shape, [change], this.#image),
        ...{ first: 0, count: 1, firstNumber, endsTransaction: left === 1 },
      });
    }
    return entry(number, { changes, bytes: 10 * changes.length, mark: mark(number + 1) });
  }

  #looseChange(): RowChange {
    const after = this.#values(String(this.loose.length));
    this.loose.push(JSON.stringify(after));
    return { operation: "insert", after };
  }

  #keyedChange(): RowChange {
    const key = String(between(this.#random, 1, KEYS));
    const before = this.rows.get(key);
    if (before === undefined) {
      const after = this.#values(key);
      this.rows.set(key, after);
      return { operation: "insert", after };
    }
    const chance = this.#random();
    if (chance < 0.1) {
      this.rows.delete(key);
      return { operation: "delete", before };
    }
    const other = String(between(this.#random, 1, KEYS));
    const moves = chance < 0.2 && this.#image === "full" && !this.rows.has(other);
    const after = { ...this.#some(before), id: moves ? other : key };
    this.rows.delete(key);
    this.rows.set(after.id, after);
    return { operation: "update", before, after };
  }

  #values(id: string): Row {
    const value = (): string => String(between(this.#random, 0, 1));
    return { id, a: value(), b: value(), c: value() };
  }

  /** With some of the columns changed, perhaps to what they were. */
  #some(before: Row): Row {
    const values = this.#values("");
    const changed = Object.entries(values).filter(() => this.#random() < 0.4);
    return { ...before, ...Object.fromEntries(changed) };
  }

  /** By key: the last change of it in the entries before this one. */
  lastChanges(entryNumber: number): ReadonlyMap<string, number> {
    const last = new Map<string, number>();
    for (const [index, { entry: at, table: name, keys }] of this.past.entries()) {
      if (at >= entryNumber || name !== "keyed") continue;
      for (const key of keys) last.set(key, index);
    }
    return last;
  }
}

/** Cells that the image does not show are absent. */
export function rowsOf(shape: TableShape, changes: readonly RowChange[], image: RowImage): Rows {
  const writer = new PackedRowsWriter();
  const write = (row: Row, shows: (name: string) => boolean): void => {
    for (const { name } of shape.columns) {
      if (shows(name)) writer.utf8(row[name] ?? "");
      else writer.absent();
    }
  };
  const operation = changes[0]?.operation ?? "insert";
  for (const { before, after } of changes) {
    const isKey = (name: string): boolean =>
      shape.primaryKey.some(i => shape.columns[i]?.name === name);
    const isSet = (name: string): boolean => before?.[name] !== after?.[name];
    if (before !== undefined) {
      write(
        before,
        name => image === "full" || isKey(name) || (image === "noblob" && name !== BLOB),
      );
    }
    if (after === undefined) continue;
    const isWhole = image === "full" || before === undefined;
    write(after, name => isWhole || isSet(name) || (image === "noblob" && name !== BLOB));
  }
  return writer.finish(shape, operation);
}

interface RowEvent {
  readonly type: string;
  readonly table_name: string;
  readonly keys: { readonly id: number };
  readonly values?: Readonly<Record<string, number>>;
  readonly after_values?: Readonly<Record<string, number>>;
}

/** Applies what arrives, and knows nothing else. */
export class Consumer {
  readonly rows = new Map<string, Record<string, string>>();
  readonly loose: string[] = [];

  apply(value: Buffer): void {
    const event = JSON.parse(value.toString()) as RowEvent;
    const texts = (cells: Readonly<Record<string, number>> = {}): Record<string, string> =>
      Object.fromEntries(Object.entries(cells).map(([name, cell]) => [name, String(cell)]));
    if (event.table_name === "loose") {
      const row = JSON.stringify(texts(event.values));
      if (!this.loose.includes(row)) this.loose.push(row);
      return;
    }
    const key = String(event.keys.id);
    if (event.type === "row_delete") this.rows.delete(key);
    else if (event.type === "row_insert") this.rows.set(key, texts(event.values));
    else this.rows.set(key, { ...this.rows.get(key), ...texts(event.after_values) });
  }
}
