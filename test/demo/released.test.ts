import { expect, test } from "vitest";
import { notReleased } from "../../tools/demo/released.ts";

const uuid = "6db3edf2-e588-11f1-8730-02fc00000001";
const rows = new Map([
  [`${uuid}:5`, 10],
  [`${uuid}:6`, 5_000],
  [`${uuid}:7`, 3],
]);

test("without a commit record nothing is released", () => {
  expect(notReleased(rows, undefined)).toBe(5_013);
});

test("transactions of the GTID set are released", () => {
  expect(notReleased(rows, { gtid_set: `${uuid}:1-5`, transaction: null })).toBe(5_003);
  expect(notReleased(rows, { gtid_set: `${uuid}:1-4:6-7`, transaction: null })).toBe(10);
  expect(notReleased(rows, { gtid_set: `${uuid}:1-7`, transaction: null })).toBe(0);
});

test("the released part of a transaction counts, as long as the transaction is not whole", () => {
  const transaction = {
    id: `${uuid}:6`,
    tables: { "shop.orders": { rows: 1_200 }, "shop.order_lines": { rows: 34 } },
  };
  expect(notReleased(rows, { gtid_set: `${uuid}:1-5`, transaction })).toBe(5_003 - 1_234);
  expect(notReleased(rows, { gtid_set: `${uuid}:1-6`, transaction })).toBe(3);
  const strange = { ...transaction, id: `${uuid}:9` };
  expect(notReleased(rows, { gtid_set: `${uuid}:1-5`, transaction: strange })).toBe(5_003);
});
