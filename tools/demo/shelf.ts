/**
 * The rows that one writer owns, and the transaction it has open. No two writers own the same row, so
 * each knows the order of its rows' changes without asking the server.
 *
 * A draft is taken back step by step, as ROLLBACK and ROLLBACK TO SAVEPOINT do on the server.
 */
import type { Change } from "./ledger.ts";
import { between, type Random } from "./random.ts";
import { keyText, type Key, type Table } from "./tables.ts";

class Rows {
  readonly #keys: Key[] = [];
  readonly #places = new Map<string, number>();
  /** Also of deleted rows, so that a key that is used again goes on counting. */
  readonly #versions = new Map<string, number>();

  get count(): number {
    return this.#keys.length;
  }

  has(key: Key): boolean {
    return this.#places.has(keyText(key));
  }

  at(place: number): Key | undefined {
    return this.#keys[place];
  }

  version(key: Key): number {
    return this.#versions.get(keyText(key)) ?? 0;
  }

  setVersion(key: Key, version: number): void {
    this.#versions.set(keyText(key), version);
  }

  add(key: Key): void {
    const text = keyText(key);
    if (this.#places.has(text)) throw new Error(`${text} is there already`);
    this.#places.set(text, this.#keys.length);
    this.#keys.push(key);
  }

  remove(key: Key): void {
    const text = keyText(key);
    const place = this.#places.get(text);
    const last = this.#keys.pop();
    if (place === undefined || !last) throw new Error(`${text} is not there`);
    this.#places.delete(text);
    if (place === this.#keys.length) return;
    this.#keys[place] = last;
    this.#places.set(keyText(last), place);
  }
}

export class Shelf {
  readonly #tables = new Map<string, Rows>();
  #changes: Change[] = [];
  #undo: (() => void)[] = [];

  count(table: Table): number {
    return this.#rows(table).count;
  }

  has(table: Table, key: Key): boolean {
    return this.#rows(table).has(key);
  }

  version(table: Table, key: Key): number {
    return this.#rows(table).version(key);
  }

  random(table: Table, random: Random): Key | undefined {
    const rows = this.#rows(table);
    return rows.count === 0 ? undefined : rows.at(between(random, 0, rows.count - 1));
  }

  /** All of them, in no order. */
  keys(table: Table): Key[] {
    const rows = this.#rows(table);
    return Array.from({ length: rows.count }, (_, place) => rows.at(place) ?? []);
  }

  /** @param version where the row is not a new one, but copied from another table. */
  insert(table: Table, key: Key, version?: number): number {
    const rows = this.#rows(table);
    const before = rows.version(key);
    const after = version ?? before + 1;
    rows.add(key);
    rows.setVersion(key, after);
    this.#did({ table, kind: "insert", key, version: after }, () => {
      rows.remove(key);
      rows.setVersion(key, before);
    });
    return after;
  }

  update(table: Table, key: Key): number {
    const rows = this.#rows(table);
    const before = rows.version(key);
    rows.setVersion(key, before + 1);
    const undo = (): void => rows.setVersion(key, before);
    this.#did({ table, kind: "update", key, version: before + 1 }, undo);
    return before + 1;
  }

  delete(table: Table, key: Key): void {
    const rows = this.#rows(table);
    rows.remove(key);
    const undo = (): void => rows.add(key);
    this.#did({ table, kind: "delete", key, version: rows.version(key) }, undo);
  }

  /** The new key must never have been used. */
  rekey(table: Table, key: Key, newKey: Key): void {
    const rows = this.#rows(table);
    const version = rows.version(key) + 1;
    rows.remove(key);
    rows.add(newKey);
    rows.setVersion(newKey, version);
    this.#did({ table, kind: "rekey", key, newKey, version }, () => {
      rows.remove(newKey);
      rows.setVersion(newKey, 0);
      rows.add(key);
    });
  }

  /** How many changes the draft holds; a savepoint remembers it. */
  get drafted(): number {
    return this.#changes.length;
  }

  /** Takes back everything after the first `drafted` changes. */
  rollback(drafted = 0): void {
    while (this.#changes.length > drafted) {
      this.#changes.pop();
      this.#undo.pop()?.();
    }
  }

  /** Ends the draft. */
  commit(): readonly Change[] {
    const changes = this.#changes;
    this.#changes = [];
    this.#undo = [];
    return changes;
  }

  #did(change: Change, undo: () => void): void {
    this.#changes.push(change);
    this.#undo.push(undo);
  }

  #rows(table: Table): Rows {
    let rows = this.#tables.get(table.name);
    if (!rows) {
      rows = new Rows();
      this.#tables.set(table.name, rows);
    }
    return rows;
  }
}
