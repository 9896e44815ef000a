/** The body of a rows event → packed rows. */
import type { Operation, PackedRows, PackedRowsWriter, TableShape } from "../core/rows.ts";
import { ByteCursor } from "./byte-cursor.ts";
import type { CellReader } from "./cells.ts";
import { EventFault } from "./event-fault.ts";
import type { EventParts } from "./event-parts.ts";
import { applyJsonDiffs } from "./json-diff.ts";
import { jsonText } from "./json-text.ts";
import type { MappedTable } from "./table-map.ts";

export interface RowsLayout {
  readonly operation: Operation;
  /** Version 2 (MySQL since 5.6) has a block of extra data after the flags. */
  readonly hasExtra: boolean;
  /** The after image may hold only what changed in JSON columns. */
  readonly isPartial?: boolean;
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

export interface RowsTask {
  readonly layout: RowsLayout;
  readonly mapped: MappedTable;
  readonly writer: PackedRowsWriter;
}

export function readRows(body: Buffer, task: RowsTask): PackedRows {
  const images = readHead(body, task);
  let offset = images.end;
  while (offset < body.length) offset = readRow(body, offset, task, images);
  return task.writer.finish(task.mapped.table, task.layout.operation);
}

export interface LargeRowsTask extends RowsTask {
  readonly rowBytesMax: number;
  /** Where the body of the event begins. */
  readonly start: number;
}

const WINDOW_BYTES = 4 * 2 ** 20;

/**
 * The rows of an event that is not in memory, as many at a time as a window holds. How long a row is
 * shows only when it is decoded: a window in which not even one ends is made larger, up to a bound.
 */
export function* readLargeRows(event: EventParts, task: LargeRowsTask): Generator<PackedRows> {
  const { layout, mapped, writer, rowBytesMax } = task;
  let windowBytes = WINDOW_BYTES;
  let window = event.read(task.start, windowBytes);
  const images = readHead(window, task);
  let from = task.start + images.end;
  while (from < event.size) {
    window = event.read(from, windowBytes);
    const isLast = from + window.length === event.size;
    const { rows, used } = readWindow(window, isLast, { ...task, images });
    if (used > 0) {
      from += used;
      windowBytes = WINDOW_BYTES;
      yield rows;
    } else if (windowBytes > 2 * rowBytesMax) {
      throw new EventFault(
        `a row of ${nameOf(mapped.table)} has more than ${windowBytes} bytes, which is more than ` +
          `queue.max_row allows (${rowBytesMax}): raise it, and queue.memory with it`,
        "ROW_TOO_LARGE",
      );
    } else windowBytes *= 2;
  }
  writer.finish(mapped.table, layout.operation);
}

/** What ends within the window; in the last one everything has to. */
function readWindow(
  window: Buffer,
  isLast: boolean,
  task: RowsTask & { images: Images },
): { rows: PackedRows; used: number } {
  const { layout, mapped, writer } = task;
  let used = 0;
  while (used < window.length) {
    const rowsBefore = writer.mark();
    try {
      used = readRow(window, used, task, task.images);
    } catch (thrown) {
      if (isLast) throw thrown;
      writer.reset(rowsBefore);
      break;
    }
  }
  return { rows: writer.finish(mapped.table, layout.operation), used };
}

/** What the images of the rows of one event hold. */
interface Images {
  /** The only one, or the one before an update. */
  readonly first: ImageShape;
  readonly second: ImageShape | undefined;
  /** Where the first row begins. */
  readonly end: number;
}

interface ImageShape extends MappedTable {
  /** The columns that were logged; undefined if all were (`binlog_row_image` FULL). */
  readonly present: ReadonlySet<number> | undefined;
  /** Bytes of the bits that tell which of these are NULL. */
  readonly nullBytes: number;
}

/** Reads up to the first row. */
function readHead(body: Buffer, { layout, mapped }: RowsTask): Images {
  const cursor = new ByteCursor(body, 8);
  if (layout.hasExtra) cursor.take(cursor.uint(2) - 2);
  const width = cursor.packedUint();
  if (width !== mapped.cells.length) {
    throw new EventFault(
      `rows of ${nameOf(mapped.table)} have ${width} columns, its table map has ${mapped.cells.length}`,
    );
  }
  const first = imageShape(mapped, cursor.take((width + 7) >> 3));
  const isUpdate = layout.operation === "update";
  const second = isUpdate ? imageShape(mapped, cursor.take((width + 7) >> 3)) : undefined;
  requireKey(first);
  return { first, second, end: cursor.offset };
}

function imageShape({ table, cells }: MappedTable, bits: Buffer): ImageShape {
  const nullBytes = (cells.length + 7) >> 3;
  if (isFull(bits, cells.length)) return { table, cells, present: undefined, nullBytes };
  const present = new Set<number>();
  for (let i = 0; i < cells.length; i += 1) if (isSet(bits, i)) present.add(i);
  return { table, cells, present, nullBytes: (present.size + 7) >> 3 };
}

function isFull(bits: Buffer, count: number): boolean {
  for (let i = 0; i < count; i += 1) if (!isSet(bits, i)) return false;
  return true;
}

function isSet(bits: Buffer, i: number): boolean {
  return ((bits[i >> 3] ?? 0) & (1 << (i & 7))) !== 0;
}

/** Which row it is must be told: by an update in the image before, for the other holds only what it sets. */
function requireKey({ table, present }: ImageShape): void {
  if (present === undefined) return;
  const missing = table.primaryKey.find(column => !present.has(column));
  if (missing === undefined && present.size > 0) return;
  const name = missing === undefined ? "any column" : `key column ${table.columns[missing]?.name}`;
  throw new EventFault(
    `rows of ${nameOf(table)} were logged without ${name}; run SET PERSIST binlog_row_image = FULL`,
  );
}

function readRow(
  body: Buffer,
  start: number,
  { layout, writer }: RowsTask,
  { first, second }: Images,
): number {
  if (second === undefined) return readImage(body, start, first, writer);
  if (layout.isPartial === true) return readPartialRow(body, start, { first, second }, writer);
  return readImage(body, readImage(body, start, first, writer), second, writer);
}

/** In front of an after image that may be partial stand options, and a bit for each JSON column. */
const PARTIAL_JSON = 1;

function readPartialRow(
  body: Buffer,
  start: number,
  { first, second }: { first: ImageShape; second: ImageShape },
  writer: PackedRowsWriter,
): number {
  const json = first.table.columns.flatMap(({ type }, i) => (type === "json" ? [i] : []));
  const before = new Map<number, number>();
  const seen = withCells(first, json, (cell, i) => (source, at, to) => {
    before.set(i, at);
    return cell(source, at, to);
  });
  const cursor = new ByteCursor(body, readImage(body, start, seen, writer));
  const isPartial = (cursor.packedUint() & PARTIAL_JSON) !== 0;
  if (!isPartial) return readImage(body, cursor.offset, second, writer);
  const bits = cursor.take((json.length + 7) >> 3);
  const partial = json.filter((_, bit) => isSet(bits, bit));
  const after = withCells(second, partial, (_, i) => {
    if (first.present?.has(i) === false) return refuseDiff;
    return diffCell(before.get(i));
  });
  return readImage(body, cursor.offset, after, writer);
}

/** Changes of a document say nothing without it. */
const refuseDiff: CellReader = () => {
  throw new EventFault(
    "only a part of it was logged, and not what it was before; " +
      "run SET PERSIST binlog_row_value_options = '', or SET PERSIST binlog_row_image = FULL",
  );
};

function withCells(
  shape: ImageShape,
  columns: readonly number[],
  replace: (cell: CellReader, column: number) => CellReader,
): ImageShape {
  const wanted = new Set(columns);
  const cells = shape.cells.map((cell, i) => (wanted.has(i) ? replace(cell, i) : cell));
  return { ...shape, cells };
}

/** Bytes of the length in front of a JSON column and of its differences. */
const JSON_PREFIX = 4;

/** @param at where the column's value before the update begins; undefined if it was NULL. */
function diffCell(at: number | undefined): CellReader {
  return (source, offset, writer) => {
    if (at === undefined) throw new EventFault("only a part of it changed, but it was NULL before");
    const old = new ByteCursor(source, at + JSON_PREFIX).take(source.readUInt32LE(at));
    const diffs = new ByteCursor(source, offset + JSON_PREFIX);
    const bytes = diffs.take(source.readUInt32LE(offset));
    writer.utf8(applyJsonDiffs(jsonText(old), bytes));
    return diffs.offset;
  };
}

function readImage(
  body: Buffer,
  start: number,
  { table, cells, present, nullBytes }: ImageShape,
  writer: PackedRowsWriter,
): number {
  let offset = start + nullBytes;
  let i = 0;
  let bit = 0;
  try {
    for (const cell of cells) {
      if (present?.has(i) === false) {
        writer.absent();
      } else {
        if ((body.readUInt8(start + (bit >> 3)) & (1 << (bit & 7))) !== 0) writer.null();
        else offset = cell(body, offset, writer);
        bit += 1;
      }
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
