/**
 * The copy of two tables, one or both at a time and asked for at any moment, beside the stream, under random interleavings of a writer, a server that shows commits late, the
 * stream, and our questions. Whoever applies what comes out in order has the table at the end, and never
 * sees an older version of a row after a newer one.
 */
import { describe, expect, test } from "vitest";
import type { Change, Entry } from "../../src/core/entry.ts";
import { silentLogger } from "../../src/core/logger.ts";
import type { Operation, TableShape } from "../../src/core/rows.ts";
import { NOTHING_COPIED } from "../../src/core/snapshot-state.ts";
import { ChunkSize } from "../../src/snapshot/chunk-size.ts";
import type {
  Chunk,
  ChunkRequest,
  ChunkSource,
  StreamEnd,
} from "../../src/snapshot/chunk-source.ts";
import { Copiers } from "../../src/snapshot/copiers.ts";
import { HandedOut } from "../../src/snapshot/handed-out.ts";
import { Interleaved, type EntrySource } from "../../src/snapshot/interleaved.ts";
import { Pace } from "../../src/snapshot/pace.ts";
import { mark, rows, SERVER, table } from "../support/builders.ts";
import { ManualClock, settle } from "../support/manual-clock.ts";
import { between, seededRandom } from "../support/random.ts";

/** Even keys are in one table, odd ones in the other. */
const SHAPES = [table(), table({ name: "items" })] as const;
const TABLES = ["shop.orders", "shop.items"];
const KEYS = 14;
const STEPS = 300;
const CHUNK_ROWS = 3;
const WAITED_MS = 300;

interface Row {
  readonly operation: Operation;
  readonly key: number;
  readonly version: number;
  /** Of an update that changes the key. */
  readonly from?: number;
}

interface Committed {
  readonly gtid: string;
  readonly rows: readonly Row[];
  readonly statement: boolean;
}

type State = Map<number, number>;

/** What is written comes to the stream; what is visible, to a SELECT; what is executed, to gtid_executed. */
class FakeServer implements ChunkSource, EntrySource {
  readonly #random: () => number;
  readonly #log: Committed[] = [];
  readonly #before: State;
  readonly #now: State;
  #visible = 0;
  #executed = 0;
  #version = 100;
  #gates: (() => void)[] = [];
  #entries: Entry[] = [];
  #sent = 0;
  ended = false;

  readonly #clock: ManualClock;
  questions = 0;
  chunks = 0;

  constructor(random: () => number, clock: ManualClock) {
    this.#random = random;
    this.#clock = clock;
    this.#before = new Map(Array.from({ length: KEYS - 2 }, (_, key) => [key, key + 1]));
    this.#now = new Map(this.#before);
  }

  get table(): State {
    return this.#now;
  }

  get isSettled(): boolean {
    const written = this.#log.length;
    return this.#visible === written && this.#executed === written;
  }

  get hasSent(): boolean {
    return this.#sent === this.#entries.length;
  }

  write(): void {
    const number = this.#log.length + 1;
    const statement = this.#random() < 0.03;
    const changes = statement
      ? this.#truncate()
      : Array.from({ length: between(this.#random, 1, 3) }, () => this.#change());
    const gtid = `${SERVER}:${number}`;
    const committed = { gtid, statement, rows: statement ? [] : changes };
    this.#log.push(committed);
    this.#entries.push(...this.#entriesOf(committed, number));
  }

  #truncate(): readonly Row[] {
    this.#now.clear();
    return [];
  }

  #change(): Row {
    const key = between(this.#random, 0, KEYS - 1);
    this.#version += 1;
    const version = this.#version;
    if (!this.#now.has(key)) {
      this.#now.set(key, version);
      return { operation: "insert", key, version };
    }
    const draw = this.#random();
    const to = (key % 2) + 2 * between(this.#random, 0, KEYS / 2 - 1);
    if (draw < 0.3) {
      this.#now.delete(key);
      return { operation: "delete", key, version };
    }
    if (draw < 0.5 && !this.#now.has(to)) {
      this.#now.delete(key);
      this.#now.set(to, version);
      return { operation: "update", key: to, from: key, version };
    }
    this.#now.set(key, version);
    return { operation: "update", key, from: key, version };
  }

  #entriesOf({ gtid, rows: changed, statement }: Committed, number: number): Entry[] {
    const parts = changed.length === 0 ? [[]] : changed.map(row => [row]);
    return parts.map((part, index) => {
      const isEnd = index === parts.length - 1;
      const boundary = {
        file: "binlog.000001",
        fileCreated: 1,
        position: isEnd ? number : number - 1,
      };
      const transaction = isEnd ? undefined : { id: gtid, tables: {} };
      return {
        seq: 0,
        bytes: 1,
        changes: part.map(row => changeOf(gtid, row)),
        mark: mark(0, { boundary, transaction, gtids: isEnd ? [gtid] : [], statement }),
      };
    });
  }

  show(): void {
    if (this.#visible < this.#log.length) this.#visible += 1;
  }

  execute(): void {
    if (this.#executed < this.#visible) this.#executed += 1;
  }

  /** Lets one question be answered, or some entries come. */
  answer(): void {
    const [gate] = this.#gates.splice(between(this.#random, 0, this.#gates.length - 1), 1);
    gate?.();
  }

  #gate(): Promise<void> {
    return new Promise(resolve => this.#gates.push(resolve));
  }

  async *entries(signal: AbortSignal): AsyncGenerator<readonly Entry[], void, undefined> {
    while (!signal.aborted) {
      await this.#gate();
      if (this.ended && this.hasSent) return;
      const count = between(this.#random, 1, 4);
      const batch = this.#entries.slice(this.#sent, this.#sent + count);
      const first = this.#sent;
      this.#sent += batch.length;
      if (batch.length > 0) yield batch.map((entry, index) => ({ ...entry, seq: first + index }));
    }
  }

  async end(): Promise<StreamEnd> {
    await this.#gate();
    const gtids = this.#setOf(this.#executed);
    return { file: "binlog.000001", position: this.#log.length, gtids };
  }

  async caughtUp(gtids: string): Promise<void> {
    const needed = numbersOf(gtids);
    this.questions += 1;
    // Where it takes long, more chunks are read in the same window.
    this.#clock.advance(between(this.#random, 0, 1) * WAITED_MS);
    do await this.#gate();
    while (needed.some(number => number > this.#executed));
  }

  async read({ table, after, until, limit }: ChunkRequest): Promise<Chunk> {
    this.chunks += 1;
    await this.#gate();
    const parity = TABLES.indexOf(table);
    const low = after === null ? -1 : Number(after["id"]);
    const high = until === null ? Infinity : Number(until["id"]);
    const all = [...this.#stateAt(this.#visible)]
      .filter(([key]) => key % 2 === parity && key > low && key <= high)
      .sort(([a], [b]) => a - b);
    const cells = all.slice(0, limit).map(([key, version]) => [String(key), String(version)]);
    const shape = shapeOf(parity);
    const batches =
      cells.length === 0
        ? []
        : [{ rows: rows(shape, cells, "read"), key: { id: cells.at(-1)?.[0] ?? "" } }];
    return { shape, batches, isLast: all.length <= limit };
  }

  async seenBeside(gtids: string): Promise<string> {
    const known = new Set(numbersOf(gtids));
    await this.#gate();
    const owned = this.#log.length;
    await this.#gate();
    const seen = Math.max(owned, this.#executed);
    const missing = Array.from({ length: seen }, (_, i) => i + 1).filter(each => !known.has(each));
    return missing.map(number => `${SERVER}:${number}`).join(",");
  }

  stillThere(gtids: string): Promise<string> {
    return Promise.resolve(gtids);
  }

  close(): void {
    // It has no connection.
  }

  #setOf(count: number): string {
    return count === 0 ? "" : `${SERVER}:1-${count}`;
  }

  #stateAt(count: number): State {
    const state = new Map(this.#before);
    for (const { rows: changed, statement } of this.#log.slice(0, count)) {
      if (statement) state.clear();
      for (const row of changed) apply(state, row);
    }
    return state;
  }
}

function shapeOf(key: number): TableShape {
  return SHAPES[key % 2 === 0 ? 0 : 1];
}

function changeOf(gtid: string, { operation, key, version, from }: Row): Change {
  const image = [String(key), String(version)];
  const before = [String(from ?? key), "0"];
  const shown = operation === "update" ? [[...before, ...image]] : [image];
  return {
    transaction: { id: gtid, gtid, thread: undefined },
    origin: { file: "binlog.000001", position: 4, serverId: 1, timestampS: 0 },
    rows: rows(shapeOf(key), shown, operation),
    first: 0,
    count: 1,
    firstNumber: 0,
    endsTransaction: false,
  };
}

function apply(state: State, { operation, key, version, from }: Row): void {
  if (from !== undefined) state.delete(from);
  if (operation === "delete") state.delete(key);
  else state.set(key, version);
}

function numbersOf(gtids: string): number[] {
  return [...gtids.matchAll(/:(\d+)(?:-(\d+))?/g)].flatMap(([, first = "", last = first]) =>
    Array.from({ length: Number(last) - Number(first) + 1 }, (_, i) => Number(first) + i),
  );
}

/** A plain consumer. */
class Consumer {
  readonly state: State = new Map();
  readonly faults: string[] = [];
  readonly #newest = new Map<number, number>();
  readonly #read = new Set<number>();
  readonly #readAs = new Map<number, number>();
  reads = 0;
  #seq = 0;
  #isOpen = false;

  take(entry: Entry): void {
    if (entry.seq !== this.#seq) this.faults.push(`entry ${entry.seq} follows ${this.#seq - 1}`);
    this.#seq += 1;
    if (entry.mark.snapshot !== undefined && this.#isOpen) this.faults.push("inside a transaction");
    this.#isOpen = entry.mark.transaction !== undefined;
    if (entry.mark.statement === true) this.state.clear();
    for (const change of entry.changes) this.#change(change);
  }

  #change({ rows: changed, first, count }: Change): void {
    for (let row = first; row < first + count; row += 1) {
      const image = changed.operation === "delete" ? "before" : "after";
      const key = Number(changed.cell(row, image, 0).toString());
      const version = Number(changed.cell(row, image, 1).toString());
      if (changed.operation === "read") {
        this.reads += 1;
        if (this.#read.has(key)) this.faults.push(`row ${key} was read twice`);
        this.#read.add(key);
        this.#readAs.set(key, version);
        if ((this.#newest.get(key) ?? 0) > version) {
          this.faults.push(`row ${key} was read as ${version} after ${this.#newest.get(key)}`);
        }
      } else if ((this.#readAs.get(key) ?? 0) >= version) {
        this.faults.push(`row ${key} was changed to ${version} after it was read as newer`);
      }
      const from =
        changed.operation === "update"
          ? Number(changed.cell(row, "before", 0).toString())
          : undefined;
      if (from !== undefined) this.#newest.set(from, version);
      this.#newest.set(key, version);
      apply(this.state, {
        operation: changed.operation,
        key,
        version,
        ...(from !== undefined && { from }),
      });
    }
  }
}

async function run(seed: number): Promise<Consumer & { readonly server: FakeServer }> {
  const random = seededRandom(seed);
  const clock = new ManualClock();
  const server = new FakeServer(random, clock);
  for (let i = between(random, 0, 5); i > 0; i -= 1) server.write();
  const handedOut = new HandedOut(
    mark(0, { boundary: { file: "binlog.000001", fileCreated: 1, position: 0 } }),
  );
  const announced: string[] = [];
  const copiers = new Copiers({
    handedOut,
    copiers: Array.from({ length: between(random, 1, 2) }, () => ({
      ...{ source: server, size: new ChunkSize(CHUNK_ROWS, 1e6) },
    })),
    pace: new Pace(Infinity, new ManualClock()),
    generation: 1,
    windowed: true,
    announce: (table, until) => {
      announced.push(`${table} ${until["id"] ?? ""}`);
      return Promise.resolve();
    },
    clock,
    logger: silentLogger,
  });
  const interleaved = new Interleaved({
    ...{ stream: server, copiers, handedOut, serverId: 1, clock },
  });
  const consumer = new Consumer();
  const stop = new AbortController();
  const consuming = (async () => {
    for await (const entries of interleaved.entries(stop.signal)) {
      for (const entry of entries) {
        const { table = "", key } = entry.mark.snapshot ?? {};
        const until = Number(key?.["id"] ?? -1);
        const isAnnounced = (each: string): boolean =>
          each.startsWith(`${table} `) && Number(each.split(" ")[1]) >= until;
        if (until >= 0 && entry.changes.length > 0 && !announced.some(isAnnounced)) {
          consumer.faults.push(`row ${until} was sent before it was announced`);
        }
        consumer.take(entry);
      }
    }
  })();
  const askedAt = TABLES.map(() => between(random, 0, STEPS - 1));
  for (let step = 0; step < STEPS; step += 1) {
    for (const [index, id] of TABLES.entries()) {
      if (askedAt[index] === step) copiers.add([{ id, run: "1", known: NOTHING_COPIED }]);
    }
    const draw = random();
    if (draw < 0.15) server.write();
    else if (draw < 0.35) server.show();
    else if (draw < 0.55) server.execute();
    else server.answer();
    await settle();
  }
  while (!server.isSettled) {
    server.show();
    server.execute();
  }
  for (let turns = 0; !copiers.isFinished || !server.hasSent; turns += 1) {
    if (turns > 2_000) throw new Error("the copy does not end");
    server.answer();
    await settle();
  }
  server.ended = true;
  server.answer();
  await consuming;
  return Object.assign(consumer, { server });
}

describe("a copy beside the stream", () => {
  test("gives the table, whatever comes between", { timeout: 60_000 }, async () => {
    let reads = 0;
    let chunks = 0;
    let questions = 0;
    for (let seed = 1; seed <= 100; seed += 1) {
      const consumer = await run(seed);
      const about = `seed ${seed}`;
      expect(consumer.faults, about).toEqual([]);
      expect(sorted(consumer.state), about).toEqual(sorted(consumer.server.table));
      reads += consumer.reads;
      chunks += consumer.server.chunks;
      questions += consumer.server.questions;
    }
    expect(reads).toBeGreaterThan(300);
    expect(chunks).toBeGreaterThan(1.2 * questions);
  });
});

function sorted(state: State): readonly (readonly [number, number])[] {
  return [...state].sort(([a], [b]) => a - b);
}
