/**
 * The shop's tables, and how a row that SELECT shows and a row that a message holds are compared.
 *
 * Every row has a `version`, which the shop raises by one at each change of the row. The number goes on
 * where a key is deleted and used again, so a key's changes are told apart by it.
 */
import type { MysqlVersion } from "../services/interfaces.ts";

export type Cell = string | number | null;
export type Key = readonly Cell[];
export type Image = Readonly<Record<string, unknown>>;

/** How a column's value in a message is put into words that SELECT can say too. */
type Kind = "number" | "text" | "json" | "micros" | "bytes";

export interface Table {
  readonly name: string;
  readonly key: readonly string[];
  readonly columns: Readonly<Record<string, Kind>>;
  /** How to make it; undefined if it comes into being later. */
  readonly definition?: string;
}

export const database = "shop";

export const orders: Table = {
  name: "orders",
  key: ["id"],
  columns: {
    id: "number",
    version: "number",
    customer: "text",
    status: "text",
    amount: "text",
    note: "text",
    tags: "json",
    placed_at: "micros",
    gift: "text",
  },
  definition: `CREATE TABLE orders (
    id BIGINT NOT NULL PRIMARY KEY, version INT NOT NULL, customer VARCHAR(40) NOT NULL,
    status ENUM('new','paid','shipped','returned') NOT NULL, amount DECIMAL(10,2) NOT NULL,
    note VARCHAR(200), tags JSON, placed_at DATETIME(6) NOT NULL)`,
};

/** Added while everything runs. Rows from before have it too, as NULL, and no message says so. */
export const addGift = "ALTER TABLE orders ADD COLUMN gift VARCHAR(40) NULL";

export const orderLines: Table = {
  name: "order_lines",
  key: ["order_id", "line"],
  columns: {
    order_id: "number",
    line: "number",
    version: "number",
    product: "text",
    quantity: "number",
    price: "text",
  },
  definition: `CREATE TABLE order_lines (
    order_id BIGINT NOT NULL, line SMALLINT UNSIGNED NOT NULL, version INT NOT NULL,
    product VARCHAR(40) NOT NULL, quantity INT UNSIGNED NOT NULL, price DECIMAL(8,2) NOT NULL,
    PRIMARY KEY (order_id, line))`,
};

export const products: Table = {
  name: "products",
  key: ["sku"],
  columns: {
    sku: "text",
    version: "number",
    name: "text",
    stock: "number",
    weight: "number",
    barcode: "bytes",
  },
  definition: `CREATE TABLE products (
    sku VARCHAR(40) NOT NULL PRIMARY KEY, version INT NOT NULL, name VARCHAR(80) NOT NULL,
    stock INT NOT NULL, weight DOUBLE, barcode VARBINARY(16))`,
};

/** Made by CREATE TABLE … SELECT while everything runs. */
export const bestOrders: Table = {
  name: "best_orders",
  key: ["id"],
  columns: { id: "number", version: "number", customer: "text", amount: "text" },
};

export const tables: readonly Table[] = [orders, orderLines, products, bestOrders];

/** The statements that make `best_orders`. MySQL 8.0.15 with GTIDs on refuses to do it in one. */
export function makeBestOrders(version: MysqlVersion, where: string): readonly string[] {
  const select = `SELECT id, version, customer, amount FROM orders WHERE ${where}`;
  if (version === "mysql-9") return [`CREATE TABLE best_orders (PRIMARY KEY (id)) ${select}`];
  return [
    `CREATE TABLE best_orders (id BIGINT NOT NULL PRIMARY KEY, version INT NOT NULL,
      customer VARCHAR(40) NOT NULL, amount DECIMAL(10,2) NOT NULL)`,
    `INSERT INTO best_orders ${select}`,
  ];
}

/** Names a row of a table; the same from a key of ours and from a message's. */
export function keyText(key: Key): string {
  return JSON.stringify(key);
}

export function keyOf(table: Table, image: Image): string {
  return JSON.stringify(table.key.map(column => image[column] ?? null));
}

/** A SELECT that shows every column as text, or NULL. */
export function selectAsText(table: Table): string {
  const expressions = Object.entries(table.columns).map(
    ([column, kind]) => `${expression(column, kind)} AS ${column}`,
  );
  return `SELECT ${expressions.join(", ")} FROM ${table.name}`;
}

function expression(column: string, kind: Kind): string {
  switch (kind) {
    case "micros":
      return `CAST(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', ${column}) AS CHAR)`;
    case "bytes":
      return `HEX(${column})`;
    case "number":
    case "text":
    case "json":
      return `CAST(${column} AS CHAR)`;
  }
}

/** Names of the columns in which the two differ. A column that the message lacks counts as null. */
export function differences(table: Table, selected: Image, delivered: Image): readonly string[] {
  const known = Object.entries(table.columns);
  const strange = Object.keys(delivered).filter(column => table.columns[column] === undefined);
  const different = known.filter(
    ([column, kind]) =>
      selectedText(selected[column], kind) !== deliveredText(delivered[column], kind),
  );
  return [...different.map(([column]) => column), ...strange];
}

function selectedText(value: unknown, kind: Kind): string | null {
  if (typeof value !== "string") return null;
  if (kind === "number") return String(Number(value));
  return kind === "json" ? sortedJson(JSON.parse(value)) : value;
}

function deliveredText(value: unknown, kind: Kind): string | null {
  if (value === null || value === undefined) return null;
  // Messages hold texts and numbers; anything else is shown as it is, and will differ.
  const text = typeof value === "string" ? value : JSON.stringify(value);
  if (kind === "bytes") return Buffer.from(text, "base64").toString("hex").toUpperCase();
  return kind === "json" ? sortedJson(JSON.parse(text)) : text;
}

function sortedJson(value: unknown): string {
  return JSON.stringify(value, (_name, item: unknown) => {
    if (typeof item !== "object" || item === null || Array.isArray(item)) return item;
    return Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
