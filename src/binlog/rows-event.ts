/** The body of a rows event → packed rows. */
import type { Operation, PackedRows, PackedRowsWriter, TableShape } from "../core/rows.ts";
import { ByteCursor } from "./byte-cursor.ts";
import { EventFault } from "./event-fault.ts";
import type { MappedTable } from "./table-map.ts";

export interface RowsLayout {
  readonly operation: Operation;
  /** Version 2 (MySQL since 5.6) has a block of extra data after the flags. */
  readonly hasExtra: boolean;
}

/** The number by which rows refer to the table map before them: six bytes at the start of both bodies. */
export function tableIdOf(body: Buffer): number {
  return body.readUIntLE(0, 6);
}

/** An empty rows event only says that the statement ends; MySQL writes one for the table id 0xffffff. */
const DUMMY_TABLE_ID = 0xff_ffff;

export function isDummyRows(body: Buffer): boolean {
  return tableIdOf(body) === DUMMY_TABLE_ID;
}

export function readRows(
  body: Buffer,
  layout: RowsLayout,
  mapped: MappedTable,
  writer: PackedRowsWriter,
): PackedRows {
  const { table, cells } = mapped;
  const cursor = new ByteCursor(body, 8);
  if (layout.hasExtra) cursor.take(cursor.uint(2) - 2);
  const width = cursor.packedUint();
  if (width !== cells.length) {
    throw new EventFault(
      `rows of ${nameOf(table)} have ${width} columns, its table map has ${cells.length}`,
    );
  }
  const images = layout.operation === "update" ? 2 : 1;
  for (let i = 0; i < images; i += 1) requireAll(cursor.take((width + 7) >> 3), table);
  let { offset } = cursor;
  while (offset < body.length) {
    for (let i = 0; i < images; i += 1) offset = readImage(body, offset, mapped, writer);
  }
  return writer.finish(table, layout.operation);
}

/** A column that is left out cannot be told from one that is NULL later on, so none may be. */
function requireAll(present: Buffer, table: TableShape): void {
  for (let i = 0; i < table.columns.length; i += 1) {
    if (((present[i >> 3] ?? 0) & (1 << (i & 7))) !== 0) continue;
    throw new EventFault(
      `rows of ${nameOf(table)} were logged without column ${table.columns[i]?.name ?? i}; ` +
        "run SET PERSIST binlog_row_image = FULL",
    );
  }
}

function readImage(
  body: Buffer,
  start: number,
  { table, cells }: MappedTable,
  writer: PackedRowsWriter,
): number {
  let offset = start + ((cells.length + 7) >> 3);
  let i = 0;
  try {
    for (const cell of cells) {
      if ((body.readUInt8(start + (i >> 3)) & (1 << (i & 7))) !== 0) writer.null();
      else offset = cell(body, offset, writer);
      i += 1;
    }
  } catch (thrown) {
    const column = table.columns[i]?.name ?? i;
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new EventFault(`column ${nameOf(table)}.${column} cannot be decoded: ${reason}`);
  }
  return offset;
}

function nameOf(table: TableShape): string {
  return `${table.database}.${table.name}`;
}
