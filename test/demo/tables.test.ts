import { describe, expect, test } from "vitest";
import {
  differences,
  makeBestOrders,
  orders,
  products,
  selectAsText,
} from "../../tools/demo/tables.ts";

const selected = {
  id: "7",
  version: "3",
  customer: "李雷",
  status: "paid",
  amount: "10.50",
  note: null,
  tags: '{"b": 1, "a": [1, 2.5, null]}',
  placed_at: "1778742489733686",
  gift: null,
};
const delivered = {
  id: 7,
  version: 3,
  customer: "李雷",
  status: "paid",
  amount: "10.50",
  note: null,
  tags: '{"a":[1,2.5,null],"b":1}',
  placed_at: 1778742489733686,
};

describe("differences", () => {
  test("finds none between the two ways to write the same row", () => {
    expect(differences(orders, selected, { ...delivered, gift: null })).toEqual([]);
  });

  test("takes a column that was added later for null", () => {
    expect(differences(orders, selected, delivered)).toEqual([]);
    expect(differences(orders, { ...selected, gift: "card" }, delivered)).toEqual(["gift"]);
  });

  test.each([
    ["amount", "10.5"],
    ["note", ""],
    ["tags", '{"a":[1,2.5],"b":1}'],
    ["placed_at", 1778742489733685],
    ["id", 8],
    ["unheard_of", 1],
  ])("finds a different %s", (column, value) => {
    expect(differences(orders, selected, { ...delivered, [column]: value })).toEqual([column]);
  });

  test("compares bytes in their two spellings", () => {
    const row = {
      sku: "a",
      version: "1",
      name: "n",
      stock: "-5",
      weight: "6.375",
      barcode: "00FF",
    };
    const message = { sku: "a", version: 1, name: "n", stock: -5, weight: 6.375, barcode: "AP8=" };
    expect(differences(products, row, message)).toEqual([]);
    expect(differences(products, row, { ...message, barcode: "AP4=" })).toEqual(["barcode"]);
  });
});

test("every column is selected as text", () => {
  expect(selectAsText(products)).toBe(
    "SELECT CAST(sku AS CHAR) AS sku, CAST(version AS CHAR) AS version, CAST(name AS CHAR) AS name, " +
      "CAST(stock AS CHAR) AS stock, CAST(weight AS CHAR) AS weight, HEX(barcode) AS barcode FROM products",
  );
});

test("MySQL 8.0.15 is not asked for what it refuses with GTIDs", () => {
  expect(makeBestOrders("mysql-9", "id < 9")).toHaveLength(1);
  expect(makeBestOrders("mysql-8", "id < 9")).toHaveLength(2);
});
