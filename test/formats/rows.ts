/** Builds changes from columns and values, for the tests of formats. */
import type { Change } from "../../src/core/entry.ts";
import {
  type Column,
  type ColumnType,
  type Operation,
  type TableShape,
} from "../../src/core/rows.ts";
import { PackedRowsWriter } from "../support/packed-rows.ts";

/** `undefined` is an absent cell. */
export type Cell = string | Uint8Array | null | undefined;
export type Image = readonly Cell[];

export function column(
  name: string,
  type: ColumnType,
  more: Partial<Omit<Column, "name" | "type">> = {},
): Column {
  return { name, type, unsigned: false, nullable: true, length: 0, scale: 0, ...more };
}

export function tableOf(
  columns: readonly Column[],
  primaryKey: readonly number[] = [],
  name = "orders",
): TableShape {
  return { database: "shop", name, columns, primaryKey };
}

/** One image a row for an insert or a delete, before and after in turn for an update. */
export function changeOf(
  table: TableShape,
  operation: Operation,
  images: readonly Image[],
  more: Partial<Change> = {},
): Change {
  const writer = new PackedRowsWriter();
  for (const image of images) {
    for (const cell of image) {
      if (cell === undefined) writer.absent();
      else if (cell === null) writer.null();
      else writer.bytes(typeof cell === "string" ? Buffer.from(cell) : cell);
    }
  }
  const rows = writer.finish(table, operation);
  return {
    transaction: {
      id: "6db3edf2-e588-11f1-8730-02fc00000001:7",
      gtid: undefined,
      thread: undefined,
    },
    origin: { file: "binlog.000003", position: 4711, serverId: 1, timestampS: 1_795_251_083 },
    rows,
    first: 0,
    count: rows.count,
    firstNumber: 0,
    endsTransaction: false,
    ...more,
  };
}
