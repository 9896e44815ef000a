/** What a plain consumer has seen: every step in its order, and the tables as the messages tell them. */
import { rowName } from "./ledger.ts";
import { tables, type Image, type Table } from "./tables.ts";

/** One message. */
export interface Delivery {
  readonly id: string;
  readonly topic: string;
  /** Both as JSON. */
  readonly key: string | null;
  readonly value: string | null;
}

interface Envelope {
  readonly op: string;
  readonly before: Image | null;
  readonly after: Image | null;
}

export class Arrivals {
  /** Row changes: a key change is one, and a tombstone is none. */
  changes = 0;
  messages = 0;
  /** Messages whose id came before. */
  repeated = 0;
  /** Messages that are not a change of a row that we know how to read. */
  strange: string[] = [];
  readonly steps = new Map<string, string[]>();
  /** Table → key → row. */
  readonly mirror = new Map<string, Map<string, Image>>();
  readonly #ids = new Set<string>();
  readonly #tablesByTopic: ReadonlyMap<string, Table>;

  constructor(topicOf: (table: Table) => string) {
    this.#tablesByTopic = new Map(tables.map(table => [topicOf(table), table]));
    for (const table of tables) this.mirror.set(table.name, new Map());
  }

  add(delivery: Delivery): void {
    const { id, topic } = delivery;
    this.messages += 1;
    const table = this.#tablesByTopic.get(topic);
    const key = table && delivery.key !== null ? messageKey(table, delivery.key) : undefined;
    if (!table || key === undefined || id === "") {
      this.strange.push(`${topic} ${id} ${delivery.key ?? "without a key"}`);
      return;
    }
    const isRepeated = this.#ids.has(id);
    this.#ids.add(id);
    if (isRepeated) this.repeated += 1;
    else if (!/:[td]$/.test(id)) this.changes += 1;
    this.#replay(table, key, { ...delivery, isRepeated });
  }

  /** A repeated message changes the mirror too, as it would a consumer's table, but is no step. */
  #replay(table: Table, key: string, delivery: Delivery & { readonly isRepeated: boolean }): void {
    const rows = this.mirror.get(table.name);
    const row = rowName(table.name, key);
    const steps = this.steps.get(row) ?? [];
    this.steps.set(row, steps);
    let step: string;
    if (delivery.value === null) {
      rows?.delete(key);
      step = `t${steps.at(-1)?.slice(1) ?? "?"}`;
    } else {
      const { op, before, after } = JSON.parse(delivery.value) as Envelope;
      const image = op === "d" ? before : after;
      if (op === "d") rows?.delete(key);
      else if (after) rows?.set(key, after);
      step = `${op}${String(image?.["version"])}`;
    }
    if (!delivery.isRepeated) steps.push(step);
  }
}

/** `{"id":1}` → `[1]`, in the order of the table's key. */
function messageKey(table: Table, text: string): string | undefined {
  const key = JSON.parse(text) as Image;
  const values = table.key.map(column => key[column]);
  if (values.includes(undefined) || Object.keys(key).length !== values.length) return undefined;
  return JSON.stringify(values);
}
