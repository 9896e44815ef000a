/** Where delivery is at-least-once, some repeats are no faults; the oracle has to tell which. */
import { describe, expect, test } from "vitest";
import type { Delivery } from "../verify/oracle.ts";
import { busyHistory, gtid, type History } from "./history.ts";

const whole = { tombstones: false, repeats: true } as const;

function deliveriesOf(history: History): readonly Delivery[] {
  return history.deliveries
    .filter(({ kind }) => kind !== "tombstone")
    .map(delivery => ({ ...delivery, content: `content of ${delivery.id ?? ""}` }));
}

describe("at-least-once", () => {
  test("allows repeats of what is not released, in their order", () => {
    const history = busyHistory(whole);
    const all = deliveriesOf(history);
    history.deliver(all.slice(0, 6));
    history.checkCommit({ gtid_set: gtid(1) });
    history.deliver(all.slice(3));
    expect(history.faults()).toEqual({ repeated: 3 });
  });

  test("sees a repeat of what was released before the kill", () => {
    const history = busyHistory(whole);
    const all = deliveriesOf(history);
    history.deliver(all.slice(0, 6));
    history.checkCommit({ gtid_set: gtid(1) });
    history.deliver(all.slice(2));
    expect(history.faults()).toEqual({ repeated: 3, duplicated: 1 });
  });

  test("sees a repeat of a row that is released within an open transaction", () => {
    const history = busyHistory(whole);
    const all = deliveriesOf(history);
    history.deliver(all.slice(0, 6));
    const transaction = { id: gtid(2), tables: { "shop.orders": { rows: 1 } } };
    history.checkCommit({ gtid_set: gtid(1), transaction });
    history.deliver(all.slice(3));
    expect(history.faults()).toMatchObject({ repeated: 2, duplicated: 1 });
  });

  test("sees a repeat with another content", () => {
    const history = busyHistory(whole);
    const all = deliveriesOf(history);
    history.deliver(all.slice(0, 6));
    history.deliver([{ ...(all[5] as Delivery), content: "another" }, ...all.slice(6)]);
    expect(history.faults()).toEqual({ duplicated: 1 });
  });

  test("sees a row that goes on before it has come back to where it was", () => {
    const history = busyHistory(whole);
    const all = deliveriesOf(history);
    history.deliver(all.slice(0, 4)); // Slot 0: versions 1 and 4.
    history.deliver(all.slice(0, 3));
    history.deliver(all.slice(4)); // Version 5, without 4 again.
    expect(history.faults()).toEqual({ repeated: 3, out_of_order: 1 });
  });

  test("does not judge the order where none is promised", () => {
    const history = busyHistory({ ...whole, ordered: false });
    history.deliver([...deliveriesOf(history)].reverse());
    expect(history.faults()).toEqual({});
  });
});
