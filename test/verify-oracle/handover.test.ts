/** The oracle of the hand-over tells each fault from the others, and takes what is right. */
import { describe, expect, test } from "vitest";
import { DELETE, Ledger, UPSERT } from "../verify/handover/ledger.ts";
import { HandoverOracle, type Seen } from "../verify/handover/oracle.ts";

const ROWS = 2;
/** Row 0 was there with version 1, row 1 with 2; row 1 then got 3, and was deleted with that. */
const NONE = { lost: 0, duplicated: 0, stale: 0, out_of_order: 0, phantom: 0 };

function judge(kinds: readonly Omit<Seen, "table">[]) {
  const ledger = new Ledger(1, ROWS);
  const version = ledger.nextVersion();
  for (const bit of [UPSERT, DELETE] as const) {
    const step = { table: 0, slot: 1, bit, version };
    ledger.plan(step);
    ledger.commit(step);
  }
  const oracle = new HandoverOracle(ledger, 1);
  for (const seen of kinds) oracle.observe({ table: 0, ...seen });
  return oracle.faults([new Map([[0, 1]])]);
}

const readFirst = { id: "s0", slot: 0, version: 1, kind: "read" } as const;
const readSecond = { id: "s1", slot: 1, version: 2, kind: "read" } as const;
const changed = { id: "t:0", slot: 1, version: 3, kind: "upsert" } as const;
const deleted = { id: "t:1", slot: 1, version: 3, kind: "delete" } as const;

describe("the hand-over", () => {
  test.each([
    ["read, then changed", [readFirst, readSecond, changed, deleted]],
    ["changed before it could be read", [changed, deleted, readFirst]],
    ["read as it came with a change", [readFirst, changed, { ...readSecond, version: 3 }, deleted]],
  ])("%s is right", (_, seen) => {
    expect(judge(seen)).toEqual(NONE);
  });

  test.each<readonly [keyof typeof NONE, number, readonly Omit<Seen, "table">[]]>([
    ["lost", 1, [readFirst, changed]],
    ["lost", 1, [changed, deleted]],
    ["duplicated", 1, [readFirst, readFirst, changed, deleted]],
    ["duplicated", 1, [readFirst, changed, changed, deleted]],
    ["duplicated", 1, [readFirst, { ...readFirst, id: "s2" }, changed, deleted]],
    ["stale", 2, [readFirst, changed, deleted, readSecond]],
    ["stale", 1, [readFirst, changed, readSecond, deleted]],
    ["out_of_order", 1, [readFirst, deleted, changed]],
    ["phantom", 1, [readFirst, changed, deleted, { ...readFirst, id: "x", version: 7 }]],
    ["phantom", 1, [readFirst, changed, deleted, { ...readFirst, id: "x", slot: 5 }]],
  ])("%s: %d", (fault, count, seen) => {
    expect(judge(seen)[fault]).toBe(count);
  });
});
