import { describe, expect, test, vi } from "vitest";
import {
  ColumnRules,
  type ColumnFilter,
  type ColumnRulesOptions,
} from "../../src/columns/column-rules.ts";
import { RowRules } from "../../src/columns/row-rules.ts";
import type { Change, Entry, Parcel } from "../../src/core/entry.ts";
import type { Operation, Rows, TableShape } from "../../src/core/rows.ts";
import type { SchemaChange } from "../../src/core/schema-change.ts";
import { RowEventsFormat } from "../../src/formats/row-events.ts";
import { DedupeWindow, type DedupeWindowOptions } from "../../src/queue/dedupe-window.ts";
import { Encoder } from "../../src/queue/encoder.ts";
import type { Message, Place } from "../../src/sinks/sink.ts";
import { column, entry, table } from "../support/builders.ts";
import { ManualClock, settle } from "../support/manual-clock.ts";
import { rowsOf, type RowChange, type RowImage } from "./dedupe-model.ts";

const never = new AbortController().signal;
const COLUMNS = [column("id", { nullable: false }), column("a"), column("c")];
const orders = table({ columns: COLUMNS });

const insert = (after: RowChange["after"]): RowChange => ({ operation: "insert", after });
const remove = (before: RowChange["before"]): RowChange => ({ operation: "delete", before });
const update = (before: RowChange["before"], after: RowChange["after"]): RowChange => ({
  ...{ operation: "update", before, after },
});
const row = (id: string, a: string, c = "0"): Readonly<Record<string, string>> => ({ id, a, c });

interface Options {
  readonly shape?: TableShape;
  readonly image?: RowImage;
}

function change(
  seq: number,
  changes: readonly RowChange[],
  { shape = orders, image = "full" }: Options = {},
): Change {
  return {
    transaction: { id: `t${seq}`, gtid: undefined, thread: undefined },
    origin: { file: "binlog.000001", position: seq, serverId: 1, timestampS: 0 },
    rows: rowsOf(shape, changes, image),
    ...{ first: 0, count: changes.length, firstNumber: 0, endsTransaction: true },
  };
}

/** A window behind a channel that gives what it is given. */
class Scene {
  readonly clock = new ManualClock();
  readonly acknowledged: number[] = [];
  readonly places: (readonly Place[])[] = [];
  readonly copied: number[] = [];
  readonly onMerged = vi.fn();
  readonly window: DedupeWindow;
  #give: ((entries: Entry[]) => void) | undefined;
  #given: Entry[][] = [];
  #seq = 0;

  constructor(options: Partial<DedupeWindowOptions> = {}) {
    const pending = {
      take: async (): Promise<Entry[]> =>
        this.#given.shift() ?? (await new Promise<Entry[]>(resolve => (this.#give = resolve))),
    };
    this.window = new DedupeWindow({
      ...{ pending, windowMs: 1_000, maxBytes: 1e6, maxEntries: 100, clock: this.clock },
      ...{ parcelRows: 100, parcelBytes: 1e6, wants: () => true, onMerged: this.onMerged },
      copied: seq => void this.copied.push(seq),
      acknowledge: (seq, places) => {
        this.acknowledged.push(seq);
        this.places.push(places);
      },
      ...options,
    });
  }

  /** One entry for each list. */
  read(...entries: (readonly RowChange[])[]): void {
    this.pass(entries.map((changes, i) => changes.map(each => change(this.#seq + i, [each]))));
  }

  pass(entries: readonly (readonly Change[])[]): void {
    this.give(entries.map(changes => entry(this.#seq++, { changes })));
  }

  close(): void {
    this.give([]);
  }

  give(entries: Entry[]): void {
    const give = this.#give;
    this.#give = undefined;
    if (give === undefined) this.#given.push(entries);
    else give(entries);
  }

  /** Everything that comes until the window has ended, as text. */
  async rest(): Promise<string[]> {
    this.close();
    const all: string[] = [];
    for (;;) {
      const parcels = await this.window.take(never);
      if (parcels.length === 0) return all;
      all.push(...parcels.flatMap(shown));
    }
  }
}

function hiding(name: string): ColumnRulesOptions {
  const none = (): boolean => false;
  const excludes: ColumnFilter = (_, __, column) => column === name;
  return { excludes, masks: none, hashes: none, hashKey: "", lengthOf: () => undefined };
}

function shown({ changes }: Parcel): string[] {
  return changes.map(({ rows }) => shownRow(rows));
}

function shownRow(rows: Rows): string {
  const image = (which: "before" | "after"): string =>
    rows.table.columns
      .map((_, i) => (rows.state(0, which, i) === 0 ? "-" : rows.cell(0, which, i).toString()))
      .join("");
  const images: Readonly<Record<Operation, () => string>> = {
    insert: () => `+${image("after")}`,
    update: () => `${image("before")}>${image("after")}`,
    delete: () => `-${image("before")}`,
    read: () => `r${image("after")}`,
  };
  return images[rows.operation]();
}

test("statements come behind what was changed in front of them, and are waited for", async () => {
  const scene = new Scene();
  scene.read([insert(row("1", "a"))]);
  const told: SchemaChange = {
    ...{ transaction: { id: "t", gtid: undefined, thread: undefined }, database: "shop" },
    origin: { file: "binlog.000001", position: 4, serverId: 1, timestampS: 1 },
    ...{ statement: "TRUNCATE orders", tables: [] },
  };
  scene.give([
    entry(1, { schemaChanges: [told] }),
    entry(2, { changes: [change(2, [update(row("1", "a"), row("1", "b"))])] }),
  ]);
  const parcels = await scene.window.take(never);
  expect(parcels.map(({ changes, schemaChanges }) => [changes.length, schemaChanges])).toEqual([
    [1, undefined],
    [0, [told]],
  ]);
  scene.window.delivered(0, []);
  expect(scene.acknowledged).toEqual([0]);
  scene.window.delivered(1, []);
  expect(scene.acknowledged).toEqual([0, 1]);
  expect(await scene.rest()).toEqual(["1a0>1b0"]);
});

describe("changes of one row", () => {
  test.each([
    { of: [insert(row("1", "a")), update(row("1", "a"), row("1", "b"))], is: ["+1b0"] },
    {
      of: [update(row("1", "a"), row("1", "b")), update(row("1", "b"), row("1", "c"))],
      is: ["1a0>1c0"],
    },
    { of: [insert(row("1", "a")), remove(row("1", "a"))], is: ["-1a0"] },
    { of: [update(row("1", "a"), row("1", "b")), remove(row("1", "b"))], is: ["-1a0"] },
    { of: [remove(row("1", "a")), insert(row("1", "b"))], is: ["-1a0", "+1b0"] },
    {
      of: [remove(row("1", "a")), insert(row("1", "b")), remove(row("1", "b"))],
      is: ["-1a0", "-1b0"],
    },
    { of: [insert(row("1", "a")), insert(row("1", "b"))], is: ["+1a0", "+1b0"] },
    {
      of: [insert(row("1", "a")), insert(row("2", "a")), update(row("1", "a"), row("1", "b"))],
      is: ["+1b0", "+2a0"],
    },
  ])("$is come of several", async ({ of, is }) => {
    const scene = new Scene();
    scene.read(...of.map(each => [each]));
    expect(await scene.rest()).toEqual(is);
    expect(scene.onMerged).toHaveBeenCalledTimes(of.length - is.length);
  });

  test("are filled from the earlier image where rows are not logged whole", async () => {
    const minimal = { image: "minimal" } as const;
    const scene = new Scene();
    scene.pass([
      [change(0, [update(row("1", "a", "x"), row("1", "b", "x"))], minimal)],
      [change(1, [update(row("1", "b", "x"), row("1", "b", "y"))], minimal)],
      [change(2, [insert(row("2", "a", "x"))], minimal)],
      [change(3, [update(row("2", "a", "x"), row("2", "a", "y"))], minimal)],
      [change(4, [insert(row("3", "a", "x"))], minimal)],
      [change(5, [remove(row("3", "a", "x"))], minimal)],
    ]);
    expect(await scene.rest()).toEqual(["1-->-by", "+2ay", "-3ax"]);
  });

  test("tell which columns were changed, also those that were changed back", async () => {
    const scene = new Scene();
    scene.read([update(row("1", "a"), row("1", "b"))], [update(row("1", "b"), row("1", "a"))]);
    scene.close();
    const [parcel] = await scene.window.take(never);
    expect([...(parcel?.changes[0]?.rows.touched ?? [])]).toEqual([1]);
  });

  test("are told by the last of them: its id, its place and its number in the event", async () => {
    const scene = new Scene();
    scene.pass([
      [change(0, [insert(row("1", "a"))])],
      [change(1, [update(row("9", "a"), row("9", "b")), update(row("1", "a"), row("1", "b"))])],
    ]);
    scene.close();
    const [parcel] = await scene.window.take(never);
    expect(parcel?.changes[0]).toMatchObject({
      ...{ transaction: { id: "t1" }, origin: { position: 1 } },
      ...{ first: 1, count: 1, firstNumber: 1, endsTransaction: true },
    });
    expect(parcel?.changes[1]?.endsTransaction).toBe(false);
  });
});

test("a format of changes shows a column that was changed back, under its place among those shown", async () => {
  const scene = new Scene();
  scene.read(
    [update(row("1", "4"), row("1", "5", "7"))],
    [update(row("1", "5", "7"), row("1", "4", "8"))],
  );
  scene.close();
  const [parcel] = await scene.window.take(never);
  const encoder = new Encoder({
    format: new RowEventsFormat(scene.clock),
    router: () => "t",
    events: new Set(["update"]),
    rules: new RowRules({
      columns: new ColumnRules(hiding("c")),
      filter: undefined,
      onFiltered: vi.fn(),
    }),
    idMark: () => ":g7",
  });
  const messages: Message[] = [];
  encoder.encode(parcel as Parcel, messages);
  expect(messages.map(({ id }) => id)).toEqual(["t1:shop.orders:0:g7"]);
  expect(JSON.parse(messages[0]?.value?.toString() ?? "")).toMatchObject({
    ...{ before_values: { a: 4 }, after_values: { a: 4 } },
  });
});

describe("what is not merged", () => {
  test("a row that was read leaves in front of its changes, and behind those of before", async () => {
    const scene = new Scene();
    const read: RowChange = { operation: "read", after: row("1", "b") };
    scene.read([insert(row("1", "a"))], [read], [update(row("1", "b"), row("1", "c"))]);
    expect(await scene.rest()).toEqual(["+1a0", "r1b0", "1b0>1c0"]);
  });

  test("rows without a key pass at once", async () => {
    const loose = table({ columns: COLUMNS, primaryKey: [] });
    const scene = new Scene();
    const same = change(0, [insert(row("1", "a")), insert(row("1", "a"))], { shape: loose });
    scene.pass([[same]]);
    expect((await scene.window.take(never)).flatMap(shown)).toEqual(["+1a0", "+1a0"]);
  });

  test("a change of the key passes behind what is held of both rows", async () => {
    const scene = new Scene();
    scene.read([
      remove(row("2", "x")),
      insert(row("3", "y")),
      update(row("1", "a"), row("1", "b")),
      update(row("1", "b"), row("2", "b")),
      update(row("2", "b"), row("2", "c")),
    ]);
    const first = (await scene.window.take(never)).flatMap(shown);
    expect(first).toEqual(["1a0>1b0", "-2x0", "1b0>2b0"]);
    expect(await scene.rest()).toEqual(["+3y0", "2b0>2c0"]);
  });

  test("when a table has another shape, its held rows leave first", async () => {
    const altered = table({ columns: [...COLUMNS, column("d")] });
    const other = table({ name: "other", columns: COLUMNS });
    const scene = new Scene();
    scene.pass([
      [change(0, [insert(row("1", "a")), insert(row("2", "a"))])],
      [change(1, [insert(row("7", "a"))], { shape: other })],
      [
        change(2, [update({ ...row("2", "a"), d: "0" }, { ...row("2", "b"), d: "1" })], {
          shape: altered,
        }),
      ],
    ]);
    expect((await scene.window.take(never)).flatMap(shown)).toEqual(["+1a0", "+2a0"]);
    expect(await scene.rest()).toEqual(["+7a0", "2a00>2b01"]);
  });

  test("rows that give no message are passed over before anything is merged", async () => {
    const scene = new Scene({ wants: ({ rows }) => rows.operation !== "update" });
    scene.read([insert(row("1", "a"))], [update(row("1", "a"), row("1", "b"))]);
    expect(await scene.rest()).toEqual(["+1a0"]);
    expect(scene.onMerged).not.toHaveBeenCalled();
  });
});

describe("a row leaves", () => {
  test("when its time is over, counted from its first change", async () => {
    const scene = new Scene();
    let left: string[] = [];
    void scene.window.take(never).then(parcels => (left = parcels.flatMap(shown)));
    scene.read([insert(row("1", "a"))]);
    await settle();
    scene.clock.advance(900);
    scene.read([update(row("1", "a"), row("1", "b"))], [insert(row("2", "a"))]);
    await settle();
    expect(scene.copied).toEqual([0, 1, 2]);
    expect(left).toEqual([]);
    scene.clock.advance(100);
    await settle();
    expect(left).toEqual(["+1b0"]);
    expect([scene.window.rows, scene.clock.timers]).toEqual([1, 0]);
  });

  test("early, the oldest first, when too much is held", async () => {
    const scene = new Scene({ maxBytes: 3_000 });
    const wide = "x".repeat(1_000);
    scene.read(...["1", "2", "3"].map(id => [insert(row(id, wide))]));
    expect((await scene.window.take(never)).flatMap(shown)).toEqual([`+1${wide}0`, `+2${wide}0`]);
    expect(scene.window.bytes).toBeLessThan(3_000);
    expect(await scene.rest()).toHaveLength(1);
    expect([scene.window.rows, scene.window.bytes]).toEqual([0, 0]);
  });

  test("early, when so many entries wait for it", async () => {
    const scene = new Scene({ maxEntries: 2 });
    scene.read([insert(row("1", "a"))], [], [insert(row("2", "a"))]);
    expect((await scene.window.take(never)).flatMap(shown)).toEqual(["+1a0"]);
  });

  test("in parcels that are no larger than entries", async () => {
    const scene = new Scene({ parcelRows: 2 });
    scene.read(...["1", "2", "3"].map(id => [insert(row(id, "a"))]));
    scene.close();
    const parcels = await scene.window.take(never);
    expect(parcels.map(({ seq, changes }) => [seq, changes.length])).toEqual([
      [0, 2],
      [1, 1],
    ]);
  });
});

describe("entries are acknowledged", () => {
  test("in their order, when what was first changed in them is delivered", async () => {
    const scene = new Scene({ parcelRows: 1 });
    scene.read(
      [],
      [insert(row("1", "a"))],
      [insert(row("2", "a"))],
      [update(row("1", "a"), row("1", "b"))],
    );
    scene.close();
    await scene.window.take(never);
    expect(scene.acknowledged).toEqual([0]);
    scene.window.delivered(1, [{ destination: "t", partition: 0, nextOffset: 8 }]);
    expect(scene.acknowledged).toEqual([0]);
    scene.window.delivered(0, [{ destination: "t", partition: 0, nextOffset: 7 }]);
    expect(scene.acknowledged).toEqual([0, 1, 2, 3]);
    expect(scene.places[1]).toEqual([{ destination: "t", partition: 0, nextOffset: 8 }]);
  });
});

test("what arrives while nobody asks is not lost", async () => {
  const scene = new Scene({ windowMs: 10 });
  const first = scene.window.take(never);
  scene.read([insert(row("1", "a"))]);
  await settle();
  scene.clock.advance(10);
  expect((await first).flatMap(shown)).toEqual(["+1a0"]);
  scene.read([insert(row("2", "a"))]);
  scene.read([insert(row("3", "a"))]);
  await settle();
  const second = scene.window.take(never);
  await settle();
  scene.clock.advance(10);
  expect([...(await second).flatMap(shown), ...(await scene.rest())]).toEqual(["+2a0", "+3a0"]);
});

test("a cell that cannot be read: everything in front of it leaves first, and nothing behind it", async () => {
  const scene = new Scene({ parcelRows: 1 });
  const bad = change(1, [insert(row("2", "a")), insert(row("3", "a")), insert(row("4", "a"))]);
  const cell = bad.rows.cell.bind(bad.rows);
  bad.rows.cell = (at, image, index) => {
    if (at === 1 && index === 2) throw new Error("no value of its type");
    return cell(at, image, index);
  };
  scene.pass([[change(0, [insert(row("1", "a"))])], [bad], [change(2, [insert(row("5", "a"))])]]);
  expect((await scene.window.take(never)).flatMap(shown)).toEqual(["+1a0", "+2a0"]);
  await expect(scene.window.take(never)).rejects.toMatchObject({ code: "EVENT_UNREADABLE" });
  scene.window.delivered(0, []);
  scene.window.delivered(1, []);
  expect(scene.acknowledged).toEqual([0]);
});

test("stops with the signal, and leaves no timer", async () => {
  const scene = new Scene();
  const stop = new AbortController();
  scene.read([insert(row("1", "a"))]);
  const taken = scene.window.take(stop.signal);
  await settle();
  stop.abort(new Error("stopped"));
  await expect(taken).rejects.toThrow("stopped");
  expect(scene.clock.timers).toBe(0);
});
