/**
 * Rows of one table as bytes, read by formats through a cursor.
 *
 * The cells of all rows of one rows event stand in one buffer, with an array of their places beside it.
 * So a row costs no object, and the memory it takes is known exactly. A format asks for the canonical form
 * of a cell (docs/types.md), or, where it knows MySQL's own form, for the place of its bytes.
 */

/** `read`: the row was there when a snapshot looked. */
export type Operation = "insert" | "update" | "delete" | "read";

/** What can happen to a whole table: it was emptied, or changes of it are missing from here on. */
export type TableOperation = "truncate" | "gap";

/** True if the rows have nothing but after images. */
export function hasOnlyAfter(operation: Operation): boolean {
  return operation === "insert" || operation === "read";
}

/**
 * What a choice of events takes: who wants new rows wants those that are there already, and who wants to know that a
 * table was emptied has to know that changes of it are missing.
 */
export function operationsOf(
  events: readonly (Operation | TableOperation)[],
): ReadonlySet<Operation | TableOperation> {
  const operations = new Set(events);
  if (operations.has("insert")) operations.add("read");
  if (operations.has("truncate")) operations.add("gap");
  return operations;
}

/** MySQL's column types as Tidemark tells them apart; lengths and flags stand in `Column`. */
export type ColumnType =
  | "tinyint"
  | "smallint"
  | "mediumint"
  | "int"
  | "bigint"
  | "decimal"
  | "float"
  | "double"
  | "bit"
  | "year"
  | "date"
  | "time"
  | "datetime"
  | "timestamp"
  | "char"
  | "varchar"
  | "text"
  | "binary"
  | "varbinary"
  | "blob"
  | "enum"
  | "set"
  | "json"
  | "geometry"
  | "vector";

export interface Column {
  readonly name: string;
  readonly type: ColumnType;
  readonly unsigned: boolean;
  readonly nullable: boolean;
  /**
   * Bits of a BIT, display length of a TINYINT, bytes of a BINARY, fraction digits of a temporal, 1 for a
   * geometry column of type POINT; otherwise 0.
   */
  readonly length: number;
  /** Fraction digits of a temporal or a decimal; otherwise 0. */
  readonly scale: number;
}

export interface TableShape {
  readonly database: string;
  readonly name: string;
  readonly columns: readonly Column[];
  /** Indexes of the primary key's columns in key order; empty for a table without one. */
  readonly primaryKey: readonly number[];
}

const ids = new WeakMap<TableShape, string>();

/** `database.table`, the name under which checkpoints and message ids know a table. */
export function tableId(table: TableShape): string {
  let id = ids.get(table);
  if (id === undefined) {
    id = `${table.database}.${table.name}`;
    ids.set(table, id);
  }
  return id;
}

/** Database and table of such a name. That of a table may have dots of its own, that of a database rarely. */
export function partsOf(tableId: string): [database: string, table: string] {
  const dot = tableId.indexOf(".");
  return [tableId.slice(0, dot), tableId.slice(dot + 1)];
}

/** Which image of a row: what it was (`before`), or what it became (`after`). */
export type Image = "before" | "after";

export const CellState = { absent: 0, null: 1, present: 2 } as const;
export type CellState = (typeof CellState)[keyof typeof CellState];

/** The rows of one rows event. An insert and a read have only after images, a delete only before images. */
export interface Rows {
  readonly table: TableShape;
  readonly operation: Operation;
  readonly count: number;
  /** Bytes that keeping these rows costs, for the memory budget. */
  readonly bytes: number;
  /** Set if the cells stand as MySQL stores them. */
  readonly stored: StoredCells | undefined;
  /**
   * Of an update that stands for several: the columns that any of them changed, though the last may have set
   * the value of before again.
   */
  readonly touched?: ReadonlySet<number> | undefined;
  state(row: number, image: Image, column: number): CellState;
  /**
   * The canonical bytes of a present cell; valid as long as the rows are.
   *
   * @throws if what MySQL stored is no value of the column's type.
   */
  cell(row: number, image: Image, column: number): Buffer;
  /** All bytes of the row's images, for checksums. */
  rowBytes(row: number): Buffer;
  /** Memory that the row takes: its bytes, and what tells where its cells are. */
  rowSize(row: number): number;
}

/** How the values of one column stand in a row as MySQL logs it. */
export interface StoredForm {
  /** Bytes of each value; 0 if its length stands in front of it. */
  readonly size: number;
  /** Bytes of that length. */
  readonly prefix: number;
  /** Zero bytes at the end are left out of values that have this many bytes. */
  readonly paddedTo: number;
  /**
   * The canonical form of the value in these bytes, as text. Undefined where the bytes are canonical.
   *
   * @throws if they are no value of the column's type.
   */
  readonly text: ((data: Buffer, start: number, length: number) => string) | undefined;
  /** Writes a JSON document without making a text of it first; what it throws is the same. */
  readonly writeJson?:
    ((out: JsonTextTarget, data: Buffer, start: number, length: number) => void) | undefined;
}

/** Takes the text of a JSON document piece by piece. */
export interface JsonTextTarget {
  /** ASCII without quotes, backslashes and control characters. */
  plain(text: string): void;
  integer(value: number): void;
  /** A string of the document: its content in UTF-8, from `start` to before `end`. */
  string(bytes: Buffer, start: number, end: number): void;
  /** Anything else, as it stands in the text. */
  any(text: string): void;
  /** The same in UTF-8, from `start` to before `end`. */
  utf8(bytes: Buffer, start: number, end: number): void;
}

/** Cells where MySQL put them. Of each cell `index` holds two numbers: start, and length or a mark. */
export interface StoredCells {
  readonly data: Buffer;
  readonly index: Uint32Array;
  readonly forms: readonly StoredForm[];
  /** Where the cells of an image begin in `index`. */
  first(row: number, image: Image): number;
  /** As of `Rows`. */
  cell(row: number, image: Image, column: number): Buffer;
}

/** Marks in the place of a length. */
export const ABSENT = 0xffff_ffff;
export const NULL = 0xffff_fffe;
