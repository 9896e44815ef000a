/**
 * A consumer's copy of tables, kept by a partition's records in their order: r, c and u put a row, d takes it away,
 * t takes all rows away that came through that partition. Imports nothing of the program under test.
 *
 *   duplicated   the same id twice
 *   stale        a row behind a newer version of it, or behind its deletion
 *   untold       a partition without marker and `t` of the last gap, or with rows read for it in front of them
 */
import type { PartitionPlace, RawRecord } from "./kafka-wire.ts";

interface Row {
  readonly slot: number;
  readonly version: number;
}

interface Envelope {
  readonly op: "r" | "c" | "u" | "d" | "t" | "m";
  readonly before: Row | null;
  readonly after: Row | null;
}

interface Table {
  /** Slot → version, and the partition that it came through. */
  readonly rows: Map<number, { readonly version: number; readonly partition: number }>;
  /** Slot → twice the newest version, and one more if it was deleted. */
  readonly newest: Map<number, number>;
}

const EXAMPLES_MAX = 10;

export class MendedCopy {
  readonly #tables: ReadonlyMap<string, Table>;
  readonly #ids = new Set<string>();
  /** `run/topic/partition` that were told of the gap, and to forget their rows. */
  readonly #marked = new Set<string>();
  readonly #emptied = new Set<string>();
  /** Names of the gaps that were told of, in their order. */
  readonly runs = new Set<string>();
  readonly examples: string[] = [];
  #duplicated = 0;
  #stale = 0;
  #early = 0;
  changes = 0;
  reads = 0;
  readsOfLastRun = 0;

  constructor(topics: readonly string[]) {
    this.#tables = new Map(topics.map(topic => [topic, { rows: new Map(), newest: new Map() }]));
  }

  get markers(): number {
    return this.#marked.size + this.#emptied.size;
  }

  take({ value, headers }: RawRecord, { topic, partition }: PartitionPlace): void {
    const table = this.#tables.get(topic);
    const id = headers["id"] ?? "";
    if (this.#ids.has(id)) this.#fault("duplicated", id);
    this.#ids.add(id);
    if (table === undefined || value === null) return;
    const { op, before, after } = JSON.parse(value.toString()) as Envelope;
    if (op === "m" || op === "t") {
      const [, run = ""] = id.split(/[/:]/);
      const place = `${run}/${topic}/${partition}`;
      if (op === "m" && !this.runs.has(run)) {
        this.runs.add(run);
        this.readsOfLastRun = 0;
      }
      if (op === "m") this.#marked.add(place);
      else this.#empty(table, partition, place);
      return;
    }
    if (op === "r") this.#countRead(id, topic, partition);
    else this.changes += 1;
    const row = op === "d" ? before : after;
    if (row === null) return;
    const stamp = row.version * 2 + (op === "d" ? 1 : 0);
    const newest = table.newest.get(row.slot) ?? 0;
    if (stamp < newest) this.#fault("stale", `${op} ${id}, slot ${row.slot}, behind ${newest}`);
    table.newest.set(row.slot, Math.max(stamp, newest));
    if (op === "d") table.rows.delete(row.slot);
    else table.rows.set(row.slot, { version: row.version, partition });
  }

  #empty({ rows }: Table, partition: number, place: string): void {
    if (!this.#marked.has(place)) this.#fault("early", `t in front of the marker in ${place}`);
    this.#emptied.add(place);
    for (const [slot, row] of rows) if (row.partition === partition) rows.delete(slot);
  }

  #countRead(id: string, topic: string, partition: number): void {
    this.reads += 1;
    const [, run = ""] = id.split("/");
    if (run === [...this.runs].at(-1)) this.readsOfLastRun += 1;
    const isTold = this.#emptied.has(`${run}/${topic}/${partition}`);
    if (!isTold) this.#fault("early", `${id} in front of t in partition ${partition}`);
  }

  /** Rows that the copy has and the tables do not. */
  rowsBeside(selected: readonly ReadonlyMap<number, number>[]): number {
    let beside = 0;
    for (const [index, { rows }] of [...this.#tables.values()].entries()) {
      for (const slot of rows.keys()) if (selected[index]?.has(slot) !== true) beside += 1;
    }
    return beside;
  }

  /** Rows in which the copy differs from the tables. */
  differences(selected: readonly ReadonlyMap<number, number>[]): number {
    let differences = this.rowsBeside(selected);
    for (const [index, { rows }] of [...this.#tables.values()].entries()) {
      for (const [slot, version] of selected[index] ?? []) {
        if (rows.get(slot)?.version !== version) differences += 1;
      }
    }
    return differences;
  }

  faults(partitions: number) {
    const last = [...this.runs].at(-1) ?? "";
    let untold = this.#early;
    for (const topic of this.#tables.keys()) {
      for (let partition = 0; partition < partitions; partition += 1) {
        const place = `${last}/${topic}/${partition}`;
        if (!this.#marked.has(place) || !this.#emptied.has(place)) untold += 1;
      }
    }
    return { duplicated: this.#duplicated, stale: this.#stale, untold };
  }

  #fault(kind: "duplicated" | "stale" | "early", what: string): void {
    if (kind === "duplicated") this.#duplicated += 1;
    else if (kind === "stale") this.#stale += 1;
    else this.#early += 1;
    if (this.examples.length < EXAMPLES_MAX) this.examples.push(`${kind}: ${what}`);
  }
}
