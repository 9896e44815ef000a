import { expect, test } from "vitest";
import { compileColumnFilter } from "../../src/config/column-pattern.ts";
import { parse } from "./support.ts";

const text = (pipeline: string): string => `
source: { host: 127.0.0.1, user: cdc }
pipelines:
  - name: shop
    tables: ["shop.*"]
    sink: { type: stdout }
${pipeline}`;

test("takes columns and filters, with values as text", () => {
  const { config } = parse(
    text(`
    columns: { exclude: ["*.*.password"], hash: ["shop.users.email"], hash_key: 0123456789abcdef0,
               truncate: [{ column: "shop.users.note", length: 5 }] }
    filter:
      - { table: "shop.orders", where: { status: paid, n: [1, null], ok: true, amount: { not: 0, gt: 1.5 } } }
`),
  );
  expect(config.pipelines[0]?.columns).toEqual({
    exclude: ["*.*.password"],
    mask: [],
    hash: ["shop.users.email"],
    truncate: [{ column: "shop.users.note", length: 5 }],
    hashKey: "0123456789abcdef0",
  });
  expect(config.pipelines[0]?.filter).toEqual([
    {
      table: "shop.orders",
      where: {
        status: { in: ["paid"] },
        n: { in: ["1", null] },
        ok: { in: ["1"] },
        amount: { notIn: ["0"], gt: "1.5" },
      },
    },
  ]);
});

test.each([
  ['columns: { mask: ["shop.users"] }', "columns.mask[0]: expected database.table.column"],
  ['columns: { hash: ["a.b.c"] }', "columns.hash_key: is required, or hash_key_file"],
  [
    'columns: { hash: ["a.b.c"], hash_key: short }',
    "columns.hash_key: expected at least 16 characters",
  ],
  ['filter: [{ table: "a.b", where: {} }]', "filter[0].where: expected a condition"],
  ['filter: [{ table: "a.b", where: { x: {} } }]', "filter[0].where.x: expected"],
  [
    'filter: [{ table: "!a.b", where: { x: 1 } }]',
    'filter[0].table: expected a pattern without "!"',
  ],
  [
    'format: activity\n    filter: [{ table: "a.b", where: { x: 1 } }]',
    "filter: the format activity tells of events",
  ],
])("refuses %s", (pipeline, fault) => {
  expect(() => parse(text(`    ${pipeline}`))).toThrow(fault);
});

test("splits a pattern at its first and last dot", () => {
  const is = compileColumnFilter(["shop.a.b.phone", "x?.*.c*"]);
  expect(is("shop", "a.b", "phone")).toBe(true);
  expect(is("shop", "a", "phone")).toBe(false);
  expect(is("x1", "any.thing", "col")).toBe(true);
  expect(is("x12", "any", "col")).toBe(false);
});
