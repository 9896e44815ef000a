import { describe, expect, test } from "vitest";
import type { Checkpoint } from "../../src/core/checkpoint.ts";
import type { GapPlace, SnapshotState, SnapshotTable } from "../../src/core/snapshot-state.ts";
import { compileTableFilter } from "../../src/config/table-pattern.ts";
import type { Wanted } from "../../src/core/snapshot-request.ts";
import {
  onlyRequested,
  planAfterGap,
  planRequested,
  planSnapshot,
  tablesLeft,
  withNothingSent,
  withTails,
  type PlanRequest,
} from "../../src/pipeline/snapshot-plan.ts";

const UNTOUCHED: SnapshotTable = { rows: 0, key: null, until: null, done: false };
const DONE: SnapshotTable = { rows: 3, key: { id: "3" }, until: null, done: true };
const HALF: SnapshotTable = { rows: 2, key: { id: "2" }, until: { id: "9" }, done: false };
const SHOP = [["shop.*"], ["*.*"]];

function tables(...names: readonly string[]): PlanRequest["tables"] {
  return names.map(name => ({ database: "shop", name }));
}

function state(of: SnapshotState["tables"], more: Partial<SnapshotState> = {}): SnapshotState {
  return { run: "1", patterns: SHOP, tables: of, tails: null, ...more };
}

function plan(request: Partial<PlanRequest>): SnapshotState {
  return planSnapshot({
    ...{ mode: "initial", patterns: SHOP, tables: tables("a", "b"), known: null, run: "2" },
    again: true,
    ...request,
  });
}

describe("a plan", () => {
  test("without a checkpoint holds every table that both lists take", () => {
    const patterns = [["shop.*"], ["*.*", "!shop.b"]];
    expect(plan({ patterns }).tables).toEqual({ "shop.a": UNTOUCHED });
  });

  test("goes on with what is unfinished, in either mode", () => {
    const known = state({ "shop.a": DONE, "shop.b": HALF });
    expect(plan({ known })).toEqual(known);
    expect(plan({ known, mode: "always" })).toEqual(known);
  });

  test("is done once, unless it is wanted at each start", () => {
    const known = state({ "shop.a": DONE, "shop.b": DONE });
    expect(plan({ known })).toMatchObject({ tables: known.tables });
    expect(plan({ known, mode: "always", again: false }).tables).toEqual(known.tables);
    const again = plan({ known, mode: "always" });
    expect(again).toMatchObject({ run: "2", tables: { "shop.a": UNTOUCHED, "shop.b": UNTOUCHED } });
  });

  test("leaves a table alone that was made later: its rows came as changes", () => {
    const known = state({ "shop.a": DONE });
    expect(plan({ known }).tables).toEqual({ "shop.a": DONE });
  });

  test("gives a table that joined the configuration a copy of its own", () => {
    const known = state({ "shop.a": DONE }, { patterns: [["shop.a"], ["*.*"]] });
    expect(plan({ known })).toEqual({
      ...{ run: "2", patterns: SHOP, tails: null },
      tables: { "shop.a": DONE, "shop.b": UNTOUCHED },
    });
  });
});

describe("a request", () => {
  const ask = (wanted: Record<string, Wanted>, known: SnapshotState | null, number = 1) =>
    planRequested({
      request: { version: 1, pipeline: "p", number, tables: wanted },
      ...{ known, mode: "never", run: "9", captures: compileTableFilter(["shop.*"]) },
    });

  test("makes a run of its own of what the pipeline captures, and leaves all else for later", () => {
    const planned = ask({ "shop.a": "missing", "other.b": "missing" }, null);
    expect(planned?.state).toEqual({
      ...{ run: "9", patterns: [[]], tails: null, requested: 1 },
      tables: { "shop.a": { ...UNTOUCHED, run: "9" } },
    });
    expect(planned?.added.map(({ id, run }) => `${id} ${run}`)).toEqual(["shop.a 9"]);
    const finished = { ...state({ "shop.a": { ...DONE, run: "9" } }), patterns: [[]] };
    expect(plan({ known: finished }).tables).toMatchObject({ "shop.b": UNTOUCHED });
  });

  test("is taken once", () => {
    const known = state({}, { requested: 4 });
    expect(ask({ "shop.a": "again" }, known, 4)).toBeUndefined();
    expect(ask({ "shop.a": "again" }, known, 5)?.added).toHaveLength(1);
  });

  test("repeats what was sent only if it says so, and nothing that is under way", () => {
    const known = state({ "shop.a": DONE, "shop.b": { ...HALF, run: "7" } });
    const wanted = (each: Wanted) => ({ "shop.a": each, "shop.b": each, "shop.late": each });
    expect(ask(wanted("missing"), known)?.added).toEqual([]);
    const again = ask(wanted("again"), known);
    expect(again?.added.map(({ id }) => id)).toEqual(["shop.a", "shop.late"]);
    expect(again?.state.tables["shop.b"]).toEqual({ ...HALF, run: "7" });
  });

  test("is gone on with where nothing else is copied", () => {
    const tails = { t: { "0": 1 } };
    const known = state({ "shop.a": HALF, "shop.b": { ...HALF, run: "7" } }, { tails });
    expect(tablesLeft(onlyRequested(known), "never").map(({ run }) => run)).toEqual(["7"]);
    expect(onlyRequested(known)).toMatchObject({ tails, tables: { "shop.a": { until: null } } });
    expect(onlyRequested(state({ "shop.a": HALF }, { tails })).tails).toBeNull();
  });
});

describe("a plan for what is lost", () => {
  const place = (position: number): GapPlace => ({
    ...{ server_uuid: "u", file: "binlog.000001", position, gtid_set: "" },
  });
  const gap = { from: place(4), to: place(9) };
  const patterns = [["shop.*"], ["*.*", "!shop.b", "!shop.c"]];

  test("reads all rows anew in any mode, and tells also those whose rows are left out", () => {
    const known = state({ "shop.a": DONE, "shop.c": { ...HALF, run: "1" } }, { requested: 4 });
    const mending = planAfterGap({
      ...{ patterns, tables: tables("c", "b", "a"), known, run: "2", gap },
    });
    const anew = { ...UNTOUCHED, run: "2" };
    expect(mending).toEqual({
      ...{ run: "2", patterns, tails: null, requested: 4 },
      tables: { "shop.a": anew, "shop.c": anew },
      gap: {
        ...{ ...gap, untold: ["shop.a", "shop.b", "shop.c"] },
        unemptied: ["shop.a", "shop.c"],
      },
    });
    expect(tablesLeft(onlyRequested(mending), "never")).toHaveLength(2);
    expect(plan({ known: mending }).gap).toEqual(mending.gap);
    expect(onlyRequested(mending).gap).toEqual(mending.gap);
  });
});

describe("rows that may have been sent", () => {
  const next = { "t.a": { "0": 7 } };
  const checkpoint = (snapshot: SnapshotState | null): Checkpoint =>
    ({ snapshot, next_offsets: next }) as unknown as Checkpoint;

  test("begin where the checkpoint ends, or where they did at the start before", () => {
    expect(withTails(checkpoint(state({ "shop.a": HALF })))?.tails).toEqual(next);
    const tails = { "t.a": { "0": 2 } };
    expect(withTails(checkpoint(state({ "shop.a": HALF }, { tails })))?.tails).toEqual(tails);
  });

  test("are none if nothing was announced, and after position set", () => {
    expect(withTails(checkpoint(state({ "shop.a": DONE })))?.tails).toBeNull();
    expect(withTails(checkpoint(null))).toBeNull();
    const set = withNothingSent(state({ "shop.a": HALF }, { tails: next }));
    expect(withTails(checkpoint(set))?.tails).toBeNull();
    expect(set.tables["shop.a"]).toEqual({ ...HALF, until: null });
  });
});
