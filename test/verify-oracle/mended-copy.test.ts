import { describe, expect, test } from "vitest";
import type { RawRecord } from "../verify/kafka-wire.ts";
import { MendedCopy } from "../verify/mended-copy.ts";

const TOPIC = "p.shop.orders";

function copyOf(...records: readonly (readonly [op: string, id: string, version?: number])[]) {
  const copy = new MendedCopy([TOPIC]);
  for (const [op, id, version = 0] of records) {
    const row = { slot: 1, version };
    const value = { op, before: op === "d" ? row : null, after: "cur".includes(op) ? row : null };
    const record = { headers: { id }, value: Buffer.from(JSON.stringify(value)) };
    copy.take(record as unknown as RawRecord, { topic: TOPIC, partition: 0, leader: 1 });
  }
  return copy;
}

const GAP = [
  ["m", "gap/2/shop.orders/0"],
  ["t", "gap/2:shop.orders:ddl:0"],
] as const;
const READ = ["r", "snapshot/2/shop.orders/1", 3] as const;
const NONE = { duplicated: 0, stale: 0, untold: 0 };

describe("a copy that is mended", () => {
  test("is what was read behind the gap", () => {
    const copy = copyOf(["c", "a", 2], ...GAP, READ);
    expect(copy.faults(1)).toEqual(NONE);
    expect(copy.differences([new Map([[1, 3]])])).toBe(0);
    expect(copy.differences([new Map([[2, 3]])])).toBe(2);
  });

  test("keeps what nobody took away", () => {
    expect(copyOf(["c", "a", 2]).rowsBeside([new Map()])).toBe(1);
    expect(copyOf(["c", "a", 2], ...GAP).rowsBeside([new Map()])).toBe(0);
  });

  test.each([
    ["a repeat", [["c", "a", 2], ["c", "a", 2], ...GAP], { duplicated: 1 }],
    ["an older row", [["u", "a", 4], ...GAP, READ], { stale: 1 }],
    ["a row behind its deletion", [["d", "a", 3], ...GAP, READ], { stale: 1 }],
    ["rows in front of what empties the table", [GAP[0], READ, GAP[1]], { untold: 1 }],
    ["a marker alone", [GAP[0]], { untold: 1 }],
  ] as const)("shows %s", (_, records, faults) => {
    expect(copyOf(...records).faults(1)).toEqual({ ...NONE, ...faults });
  });
});
