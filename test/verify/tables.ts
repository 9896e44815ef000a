/**
 * The tables that the writer fills: a simple key, a key of two columns, a text key, and none at all.
 *
 * A row stands in a numbered slot of its table. The key is made from the slot and read back from it, so
 * that neither journal nor oracle has to keep millions of keys. `payload` begins with the version.
 */
export type RowImage = Readonly<Record<string, unknown>>;

export interface Table {
  readonly name: string;
  /** True if it has a primary key: its deletes are followed by tombstones. */
  readonly keyed: boolean;
  /** True if the slot can be computed with in SQL: then one statement can change a range of rows. */
  readonly numericKey: boolean;
  readonly definition: string;
  /** Columns of an INSERT, those that find the row first. */
  readonly columns: readonly string[];
  /** How many of `columns` find the row. */
  readonly keyColumns: number;
  /** The values for `columns`, as SQL. */
  values(slot: number, version: number): readonly string[];
  /** The condition that finds the row. */
  where(slot: number): string;
  /** The slot that a row image or a message key belongs to; NaN if it is none of ours. */
  slot(image: RowImage): number;
}

const LETTERS = 'abcdefghijklmnopqrstuvwxyz0123456789 äöüß€ ’\\\\\\" '.repeat(12);

/** The text that must come back with a version: the oracle looks at its beginning and its length. */
export function payload(version: number): string {
  return `${version}:${LETTERS.slice(0, (version * 7) % 251)}`;
}

export function isPayload(value: unknown, version: number): boolean {
  return value === payload(version);
}

const quoted = (text: string): string => `'${text.replace(/[\\']/g, "\\$&")}'`;
const tail = (version: number): string[] => [String(version), quoted(payload(version))];
const two = (value: number): string => String(value % 100).padStart(2, "0");

const orders: Table = {
  name: "orders",
  keyed: true,
  numericKey: true,
  definition: `id BIGINT NOT NULL, customer INT UNSIGNED NOT NULL, amount DECIMAL(12,2) NOT NULL,
    ratio DOUBLE NULL, placed_at DATETIME(3) NOT NULL, state ENUM('new','paid','sent','void') NOT NULL,
    extras SET('gift','fast','cold') NOT NULL, document JSON NULL, version BIGINT NOT NULL,
    payload VARCHAR(600) CHARACTER SET utf8mb4 NOT NULL, PRIMARY KEY (id)`,
  columns: [
    "id",
    "customer",
    "amount",
    "ratio",
    "placed_at",
    "state",
    "extras",
    "document",
    "version",
    "payload",
  ],
  keyColumns: 1,
  values: (slot, version) => [
    String(slot + 1),
    String(version % 4_000_000_000),
    `${version % 90_000}.${two(version)}`,
    version % 3 === 0 ? "NULL" : String(version / 8),
    `'2026-0${1 + (version % 9)}-1${version % 10} 10:${two(version % 60)}:00.${100 + (version % 900)}'`,
    String(1 + (version % 4)),
    String(version % 8),
    version % 5 === 0 ? `'{"v": ${version}, "a": [1, 2.5, null]}'` : "NULL",
    ...tail(version),
  ],
  where: slot => `id = ${slot + 1}`,
  slot: image => Number(image["id"]) - 1,
};

const LINES_PER_ORDER = 8;
const lines: Table = {
  name: "lines",
  keyed: true,
  numericKey: false,
  definition: `order_id BIGINT NOT NULL, line_no INT NOT NULL, quantity SMALLINT NOT NULL,
    price DECIMAL(20,6) NOT NULL, sku CHAR(12) NOT NULL, version BIGINT NOT NULL,
    payload VARCHAR(600) CHARACTER SET utf8mb4 NOT NULL, PRIMARY KEY (order_id, line_no)`,
  columns: ["order_id", "line_no", "quantity", "price", "sku", "version", "payload"],
  keyColumns: 2,
  values: (slot, version) => [
    String(Math.floor(slot / LINES_PER_ORDER) + 1),
    String((slot % LINES_PER_ORDER) + 1),
    String((version % 60_000) - 30_000),
    `${version}.${two(version)}5`,
    `'sku-${version % 10_000}'`,
    ...tail(version),
  ],
  where: slot =>
    `(order_id = ${Math.floor(slot / LINES_PER_ORDER) + 1} AND line_no = ${(slot % LINES_PER_ORDER) + 1})`,
  slot: image => (Number(image["order_id"]) - 1) * LINES_PER_ORDER + Number(image["line_no"]) - 1,
};

const slug = (slot: number): string => `über-${slot.toString(36)}`;
const notes: Table = {
  name: "notes",
  keyed: true,
  numericKey: false,
  definition: `slug VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL, body MEDIUMTEXT NULL,
    seen_at TIMESTAMP(6) NULL, raw VARBINARY(64) NULL, version BIGINT NOT NULL,
    payload VARCHAR(600) CHARACTER SET utf8mb4 NOT NULL, PRIMARY KEY (slug)`,
  columns: ["slug", "body", "seen_at", "raw", "version", "payload"],
  keyColumns: 1,
  values: (slot, version) => [
    quoted(slug(slot)),
    version % 40 === 0 ? `REPEAT('text ', ${version % 900})` : "NULL",
    `'2026-03-0${1 + (version % 9)} 12:00:${two(version % 60)}.${100_000 + (version % 900_000)}'`,
    `X'00FF${(version % 256).toString(16).padStart(2, "0")}'`,
    ...tail(version),
  ],
  where: slot => `slug = ${quoted(slug(slot))}`,
  slot: image => {
    const text = String(image["slug"]);
    return text.startsWith("über-") ? parseInt(text.slice("über-".length), 36) : Number.NaN;
  },
};

const events: Table = {
  name: "events",
  keyed: false,
  numericKey: true,
  definition: `uid BIGINT NOT NULL, kind TINYINT NOT NULL, lasted TIME(3) NULL, blob_ BLOB NULL,
    version BIGINT NOT NULL, payload VARCHAR(600) CHARACTER SET utf8mb4 NOT NULL, KEY (uid)`,
  columns: ["uid", "kind", "lasted", "blob_", "version", "payload"],
  keyColumns: 1,
  values: (slot, version) => [
    String(slot + 1),
    String((version % 256) - 128),
    `'${version % 2 === 0 ? "-" : ""}${version % 800}:${two(version % 60)}:01.5'`,
    version % 7 === 0 ? "X'DEADBEEF00'" : "NULL",
    ...tail(version),
  ],
  where: slot => `uid = ${slot + 1}`,
  slot: image => Number(image["uid"]) - 1,
};

/** A table that CREATE … SELECT makes, with its rows. */
export function copyTable(number: number, keyed: boolean): Table {
  return {
    name: `copy_${number}`,
    keyed,
    numericKey: true,
    definition: keyed ? "id BIGINT NOT NULL PRIMARY KEY" : "id BIGINT NOT NULL",
    columns: ["id", "version", "payload"],
    keyColumns: 1,
    values: (slot, version) => [String(slot + 1), ...tail(version)],
    where: slot => `id = ${slot + 1}`,
    slot: image => Number(image["id"]) - 1,
  };
}

export const tables: readonly Table[] = [orders, lines, notes, events];
export const keyedTables: readonly Table[] = [orders, lines, notes];
