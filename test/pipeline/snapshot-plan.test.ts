import { describe, expect, test } from "vitest";
import type { Checkpoint } from "../../src/core/checkpoint.ts";
import type { SnapshotState, SnapshotTable } from "../../src/core/snapshot-state.ts";
import {
  planSnapshot,
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
