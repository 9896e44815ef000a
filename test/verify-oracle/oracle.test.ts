/** An oracle that sees nothing passes everything: each kind of fault is shown to it in a made-up history. */
import { describe, expect, test } from "vitest";
import type { Delivery } from "../verify/oracle.ts";
import { busyHistory, gtid, History, KEYED, KEYLESS } from "./history.ts";

/** The index of a delivery in the busy history. */
function indexOf(history: History, kind: Delivery["kind"], version: number): number {
  return history.deliveries.findIndex(found => found.kind === kind && found.version === version);
}

function without(history: History, index: number): readonly Delivery[] {
  return history.deliveries.filter((_, i) => i !== index);
}

describe("a faultless history", () => {
  test("has no faults", () => {
    const history = busyHistory();
    history.deliver();
    expect(history.faults()).toEqual({});
    expect(history.oracle.missing).toBe(0);
  });

  test("counts every change and every tombstone", () => {
    const history = busyHistory();
    history.deliver();
    expect(history.journal.written).toBe(10);
    expect(history.oracle.deliveredChanges).toBe(10);
    expect(history.oracle.delivered).toBe(11);
  });

  test("may be delivered before the writer hears of its own COMMIT", () => {
    const history = new History();
    const steps = [{ kind: "create", slot: 0, version: 1 }] as const;
    const early = history.transaction(KEYED, steps, false);
    history.deliver(early);
    history.journal.commit(gtid(1), steps);
    history.rows[KEYED]?.set(0, 1);
    expect(history.faults()).toEqual({});
  });

  test("needs no tombstones where there are none", () => {
    const history = busyHistory({ tombstones: false });
    history.deliver(history.deliveries.filter(({ kind }) => kind !== "tombstone"));
    expect(history.faults()).toEqual({});
  });
});

describe("lost", () => {
  test.each([
    ["create", 3],
    ["update", 5],
    ["delete", 7],
    ["create", 8],
  ] as const)("sees a missing %s of version %i", (kind, version) => {
    const history = busyHistory();
    history.deliver(without(history, indexOf(history, kind, version)));
    expect(history.faults()).toEqual({ lost: 1 });
    expect(history.oracle.missing).toBe(1);
  });

  test("sees a missing change that a later one covers up", () => {
    const history = busyHistory();
    history.deliver(without(history, indexOf(history, "update", 4)));
    expect(history.faults()).toEqual({ lost: 1 });
  });

  test("sees a missing tombstone", () => {
    const history = busyHistory();
    history.deliver(without(history, indexOf(history, "tombstone", 0)));
    expect(history.faults()).toEqual({ lost: 1 });
  });

  test("sees the missing end of the history", () => {
    const history = busyHistory();
    history.deliver(history.deliveries.slice(0, -3));
    expect(history.faults()).toEqual({ lost: 3 });
  });

  test("sees that nothing arrived", () => {
    const history = busyHistory();
    expect(history.faults()).toEqual({ lost: 11 });
  });
});

describe("duplicated", () => {
  test.each(["create", "update", "delete", "tombstone"] as const)("sees a repeated %s", kind => {
    const history = busyHistory();
    const index = history.deliveries.findIndex(found => found.kind === kind);
    const repeated = history.deliveries[index];
    if (!repeated) throw new Error("The history has none.");
    history.deliver(history.deliveries.toSpliced(index, 0, repeated));
    expect(history.faults()).toEqual({ duplicated: 1 });
  });

  test("sees a change sent again under another id", () => {
    const history = busyHistory();
    const [first] = history.deliveries;
    if (!first) throw new Error("The history is empty.");
    history.deliver([first, { ...first, id: "another" }, ...history.deliveries.slice(1)]);
    expect(history.faults()).toEqual({ duplicated: 1 });
  });

  test("sees a repeated line, which has no id", () => {
    const history = busyHistory({ ids: false, tombstones: false });
    const lines = history.deliveries
      .filter(({ kind }) => kind !== "tombstone")
      .map(delivery => ({ ...delivery, id: undefined }));
    history.deliver([...lines.slice(0, 4), ...lines.slice(3)]);
    expect(history.faults()).toEqual({ duplicated: 1 });
  });

  test("takes a repeat of everything for repeats only", () => {
    const history = busyHistory();
    history.deliver();
    history.deliver();
    expect(history.faults()).toEqual({ duplicated: 11 });
  });

  test("sees that a repeat leaves an old value behind", () => {
    const history = busyHistory();
    history.deliver();
    history.deliver(history.deliveries.slice(0, 1));
    expect(history.faults()).toEqual({ duplicated: 1, stale: 1 });
  });
});

describe("out of order", () => {
  test("sees two changes of a row exchanged", () => {
    const history = busyHistory();
    const index = indexOf(history, "update", 4);
    const [first, second] = history.deliveries.slice(index, index + 2);
    if (!first || !second) throw new Error("The history is too short.");
    history.deliver(history.deliveries.toSpliced(index, 2, second, first));
    expect(history.faults()).toMatchObject({ out_of_order: 1 });
  });

  test("sees changes of different rows exchanged within a partition", () => {
    const history = busyHistory();
    const [first, second, ...rest] = history.deliveries;
    if (!first || !second) throw new Error("The history is too short.");
    history.deliver([second, first, ...rest]);
    expect(history.faults()).toEqual({ out_of_order: 1 });
  });

  test("lets partitions run ahead of each other", () => {
    const history = busyHistory();
    const [first, second, ...rest] = history.deliveries;
    if (!first || !second) throw new Error("The history is too short.");
    history.deliver([{ ...second, lane: "orders/1" }, first, ...rest]);
    expect(history.faults()).toEqual({});
  });

  test("sees a later binlog file before an earlier one, whatever the offsets are", () => {
    const history = busyHistory();
    const [first, second, ...rest] = history.deliveries;
    if (!first || !second) throw new Error("The history is too short.");
    history.deliver([{ ...first, position: [4, 1] }, second, ...rest]);
    expect(history.faults()).toMatchObject({ out_of_order: history.deliveries.length - 2 });
  });

  test("sees a tombstone that takes away a row made again", () => {
    const history = busyHistory();
    const index = indexOf(history, "tombstone", 0);
    const again = indexOf(history, "create", 6);
    const tombstone = history.deliveries[index];
    if (!tombstone) throw new Error("The history has none.");
    history.deliver(
      history.deliveries.toSpliced(again + 1, 0, { ...tombstone }).toSpliced(index, 1),
    );
    expect(history.faults()).toMatchObject({ out_of_order: 1 });
  });
});

describe("phantom", () => {
  test("sees rows of a transaction that was rolled back", () => {
    const history = busyHistory();
    const undone = history.transaction(KEYED, [{ kind: "create", slot: 9, version: 20 }], false);
    history.deliver([...history.deliveries, ...undone]);
    expect(history.faults()).toMatchObject({ phantom: 1 });
  });

  test("sees a delete that was rolled back", () => {
    const history = busyHistory();
    const undone = history.transaction(KEYLESS, [{ kind: "delete", slot: 4, version: 8 }], false);
    history.deliver([...history.deliveries, ...undone]);
    expect(history.faults()).toMatchObject({ phantom: 1 });
  });

  test.each([
    ["a version that was never written", { version: 999 }],
    ["a version in another row", { slot: 77 }],
    ["a version in another table", { table: 1 }],
    ["a table that the writer does not have", { table: -1 }],
    ["a row image that is not the one written", { sound: false }],
    ["an update that was a create", { kind: "update" as const }],
    ["a version that is no number", { version: Number.NaN }],
  ])("sees %s", (_, fault) => {
    const history = busyHistory();
    const [first] = history.deliveries;
    if (!first) throw new Error("The history is empty.");
    history.deliver([...history.deliveries, { ...first, id: "made up", ...fault }]);
    expect(history.faults()).toMatchObject({ phantom: 1 });
  });

  test("sees a tombstone of a row that never was", () => {
    const history = busyHistory();
    const [first] = history.deliveries;
    if (!first) throw new Error("The history is empty.");
    const ghost = { ...first, id: "made up", kind: "tombstone", version: 0, slot: 50 } as const;
    history.deliver([...history.deliveries, ghost]);
    expect(history.faults()).toEqual({ phantom: 1 });
  });
});

describe("commit ahead", () => {
  test("passes a record that claims what is there", () => {
    const history = busyHistory();
    history.deliver();
    const offsets = { orders: { "0": 11 } };
    const inFlight = history.checkCommit(
      { gtid_set: `${gtid(1)}-4`, next_offsets: offsets },
      { "orders/0": 11 },
    );
    expect(inFlight).toBe(0);
    expect(history.faults()).toEqual({});
  });

  test("counts what the record does not cover as in flight", () => {
    const history = busyHistory();
    history.deliver();
    expect(history.checkCommit({ gtid_set: `${gtid(1)}-2` })).toBe(4);
  });

  test("counts everything as in flight while there is no record", () => {
    const history = busyHistory();
    expect(history.oracle.checkCommit([undefined], () => 0, 4)).toBe(10);
  });

  test("sees a transaction in the set of which one row is missing", () => {
    const history = busyHistory();
    history.deliver(history.deliveries.slice(0, 2));
    history.checkCommit({ gtid_set: gtid(1) });
    expect(history.faults()).toMatchObject({ commit_ahead: 1 });
  });

  test("sees it in a later record where the first one was right", () => {
    const history = busyHistory();
    history.deliver(history.deliveries.slice(0, 3));
    history.checkCommit({ gtid_set: gtid(1) });
    expect(history.faults()).not.toHaveProperty("commit_ahead");
    history.checkCommit({ gtid_set: `${gtid(1)}-3` });
    expect(history.faults()).toMatchObject({ commit_ahead: 4 });
  });

  test("sees rows of the open transaction that are missing, though later ones are there", () => {
    const history = busyHistory();
    history.deliver([...history.deliveries.slice(0, 1), ...history.deliveries.slice(2, 3)]);
    const transaction = { id: gtid(1), tables: { "shop.orders": { rows: 2 } } };
    history.checkCommit({ transaction });
    expect(history.faults()).toMatchObject({ commit_ahead: 1 });
  });

  test("passes rows of the open transaction that are there", () => {
    const history = busyHistory();
    history.deliver(history.deliveries.slice(0, 2));
    const transaction = { id: gtid(1), tables: { "shop.orders": { rows: 2 } } };
    history.checkCommit({ transaction });
    expect(history.faults()).not.toHaveProperty("commit_ahead");
  });

  test("counts lines of the open transaction where they have no ids", () => {
    const history = busyHistory({ ids: false, tombstones: false });
    history.deliver(history.deliveries.slice(0, 2).map(found => ({ ...found, id: undefined })));
    const part = (rows: number) => ({ id: gtid(1), tables: { "shop.orders": { rows } } });
    history.checkCommit({ transaction: part(2) });
    expect(history.faults()).not.toHaveProperty("commit_ahead");
    history.checkCommit({ transaction: part(3) });
    expect(history.faults()).toMatchObject({ commit_ahead: 1 });
  });

  test("sees a next offset beyond the end of its partition", () => {
    const history = busyHistory();
    history.deliver();
    history.checkCommit({ next_offsets: { orders: { "0": 12 } } }, { "orders/0": 11 });
    expect(history.faults()).toEqual({ commit_ahead: 1 });
  });
});

describe("a compacted topic", () => {
  test("needs the last value of each row only", () => {
    const history = busyHistory({ compacted: true });
    const superseded = new Set([1, 2, 4]);
    history.deliver(history.deliveries.filter(({ version }) => !superseded.has(version)));
    expect(history.faults()).toEqual({});
  });

  test("may hold a tombstone without its delete, or neither", () => {
    const history = busyHistory({ compacted: true });
    history.transaction(KEYED, [{ kind: "delete", slot: 2, version: 3 }]);
    history.deliver(history.deliveries.filter(({ version }) => version !== 3));
    expect(history.faults()).toEqual({});
    history.oracle.forgetRows();
    history.deliver(history.deliveries.filter(({ slot }) => slot !== 2));
    expect(history.faults()).not.toHaveProperty("lost");
  });

  test("is seen to hold a wrong last value", () => {
    const history = busyHistory({ compacted: true });
    history.deliver(history.deliveries.filter(({ version }) => version !== 5));
    expect(history.faults()).toEqual({ lost: 1 });
  });

  test("is seen to hold a value repeated behind a later one", () => {
    const history = busyHistory({ compacted: true });
    const [first] = history.deliveries;
    if (!first) throw new Error("The history is empty.");
    history.deliver([...history.deliveries, first]);
    expect(history.faults()).toMatchObject({ lost: 1 });
  });

  test("is seen to hold a row that is deleted", () => {
    const history = busyHistory({ compacted: true });
    history.deliver(without(history, indexOf(history, "delete", 7)));
    expect(history.faults()).toEqual({ lost: 1 });
  });

  test("is seen to take away a row that is there", () => {
    const history = busyHistory({ compacted: true });
    const tombstone = history.deliveries.find(({ kind }) => kind === "tombstone");
    if (!tombstone) throw new Error("The history has none.");
    history.deliver([...history.deliveries, tombstone]);
    expect(history.faults()).toMatchObject({ lost: 1 });
  });
});

describe("the journal", () => {
  test("is believed of a row that was changed and then deleted", () => {
    const history = busyHistory();
    history.transaction(KEYED, [
      { kind: "update", slot: 2, version: 30 },
      { kind: "delete", slot: 2, version: 30 },
    ]);
    history.deliver();
    expect(history.faults()).toEqual({});
  });

  test("is not believed where SELECT contradicts it", () => {
    const history = busyHistory();
    history.deliver();
    history.rows[KEYED]?.set(0, 4);
    expect(() => history.faults()).toThrow(/differ/);
  });

  test("is not believed where SELECT shows more rows", () => {
    const history = busyHistory();
    history.deliver();
    history.rows[KEYED]?.set(70, 400);
    expect(() => history.faults()).toThrow(/differ/);
  });
});
