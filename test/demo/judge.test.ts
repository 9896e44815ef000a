import { beforeEach, describe, expect, test } from "vitest";
import { Arrivals, type Delivery } from "../../tools/demo/arrivals.ts";
import { compareRows, judge, type Verdict } from "../../tools/demo/judge.ts";
import { Ledger, type Change } from "../../tools/demo/ledger.ts";
import { orderLines, orders, products } from "../../tools/demo/tables.ts";

const insert: Change = { table: orders, kind: "insert", key: [1], version: 1 };
const update: Change = { table: orders, kind: "update", key: [1], version: 2 };
const remove: Change = { table: orders, kind: "delete", key: [1], version: 2 };
const rename: Change = { table: products, kind: "rekey", key: ["a"], newKey: ["b"], version: 8 };

/** What Tidemark would send for them. */
const messages: readonly Delivery[] = [
  message("u:1:shop.orders:0", 1, { op: "c", after: { id: 1, version: 1 } }),
  message("u:2:shop.orders:0", 1, { op: "u", after: { id: 1, version: 2 } }),
  message("u:3:shop.orders:0", 1, { op: "d", before: { id: 1, version: 2 } }),
  message("u:3:shop.orders:0:t", 1, null),
  product("u:4:shop.products:0:d", "a", { op: "d", before: { sku: "a", version: 7 } }),
  product("u:4:shop.products:0:t", "a", null),
  product("u:4:shop.products:0:c", "b", { op: "c", after: { sku: "b", version: 8 } }),
];

function message(id: string, key: number, value: object | null): Delivery {
  const text = value === null ? null : JSON.stringify(value);
  return { id, topic: "shop.orders", key: JSON.stringify({ id: key }), value: text };
}

function product(id: string, sku: string, value: object | null): Delivery {
  return { ...message(id, 0, value), topic: "shop.products", key: JSON.stringify({ sku }) };
}

let ledger: Ledger;
let arrivals: Arrivals;

function verdictOn(deliveries: readonly Delivery[]): Omit<Verdict, "examples"> {
  for (const delivery of deliveries) arrivals.add(delivery);
  const { lost, duplicated, outOfOrder, phantom } = judge(ledger.expected, arrivals);
  return { lost, duplicated, outOfOrder, phantom };
}

beforeEach(() => {
  ledger = new Ledger();
  ledger.commit("u:1", [insert]);
  ledger.commit("u:2", [update]);
  ledger.commit("u:3", [remove]);
  ledger.commit("u:4", [rename]);
  arrivals = new Arrivals(table => `shop.${table.name}`);
});

const perfect = { lost: 0, duplicated: 0, outOfOrder: 0, phantom: 0 };

describe("judge", () => {
  test("finds nothing wrong with what arrived once and in order", () => {
    expect(verdictOn(messages)).toEqual(perfect);
    expect(arrivals.changes).toBe(ledger.changes);
    expect(ledger.changes).toBe(4);
  });

  test.each(messages.map((_, index) => index))("notices that message %i is lost", index => {
    expect(verdictOn(messages.toSpliced(index, 1)).lost).toBeGreaterThan(0);
  });

  test.each(messages.map((_, index) => index))("notices that message %i came twice", index => {
    const again = messages.slice(index, index + 1);
    expect(verdictOn([...messages, ...again])).toEqual({ ...perfect, duplicated: 1 });
  });

  test("notices the same change under another id", () => {
    const [first] = messages;
    const again = first ? [{ ...first, id: "u:9:shop.orders:0" }] : [];
    expect(verdictOn([...messages, ...again]).duplicated).toBe(1);
  });

  test("notices an older value that comes after a newer one", () => {
    const [first, second, ...rest] = messages;
    expect(verdictOn([second, first, ...rest].filter(item => item !== undefined))).toEqual({
      ...perfect,
      outOfOrder: 1,
    });
  });

  test("lets keys overtake each other", () => {
    expect(verdictOn([...messages.slice(4), ...messages.slice(0, 4)])).toEqual(perfect);
  });

  test("notices changes that were never committed", () => {
    const rolledBack = message("u:5:shop.orders:0", 7, { op: "c", after: { id: 7, version: 1 } });
    const another = message("u:6:shop.orders:0", 1, { op: "u", after: { id: 1, version: 9 } });
    expect(verdictOn([...messages, rolledBack, another]).phantom).toBe(2);
  });

  test.each([
    ["without an id", { id: "" }],
    ["of an unknown topic", { topic: "shop.other" }],
    ["without a key", { key: null }],
    ["with a key of other columns", { key: '{"number":1}' }],
  ])("takes a message %s for a phantom", (_what, fault) => {
    const [first] = messages;
    expect(verdictOn([...messages, ...(first ? [{ ...first, ...fault }] : [])]).phantom).toBe(1);
  });
});

describe("compareRows", () => {
  const row = (id: number, product_: string): Record<string, unknown> => {
    return { order_id: id, line: 1, version: 1, product: product_, quantity: 2, price: "1.50" };
  };
  const selected = [
    { order_id: "1", line: "1", version: "1", product: "rope", quantity: "2", price: "1.50" },
  ];

  test("finds equal rows equal", () => {
    const mirror = new Map([["[1,1]", row(1, "rope")]]);
    expect(compareRows(orderLines, selected, mirror)).toEqual({
      rows: 1,
      different: 0,
      examples: [],
    });
  });

  test("names what differs, what is missing and what is too much", () => {
    const different = compareRows(orderLines, selected, new Map([["[1,1]", row(1, "sail")]]));
    expect(different.examples).toEqual(["order_lines [1,1] differs in product"]);
    const other = compareRows(orderLines, selected, new Map([["[2,1]", row(2, "rope")]]));
    expect(other.different).toBe(2);
    expect(other.examples).toEqual([
      "order_lines [1,1] is missing from the messages",
      "order_lines [2,1] is in the messages only",
    ]);
  });
});

describe("Arrivals", () => {
  test("replays the messages into a mirror of the tables", () => {
    for (const delivery of messages.slice(0, 2)) arrivals.add(delivery);
    expect(arrivals.mirror.get("orders")).toEqual(new Map([["[1]", { id: 1, version: 2 }]]));
    for (const delivery of messages.slice(2)) arrivals.add(delivery);
    expect(arrivals.mirror.get("orders")?.size).toBe(0);
    expect([...(arrivals.mirror.get("products")?.keys() ?? [])]).toEqual(['["b"]']);
  });
});
