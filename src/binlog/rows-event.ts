/** The body of a rows event → rows: one pass finds where each cell stands. */
import type { Operation, StoredForm, TableShape } from "../core/rows.ts";
import type { StoredRows, StoredRowsBuilder } from "../core/stored-rows.ts";
import { ByteCursor } from "./byte-cursor.ts";
import { jsonAsText } from "./cells.ts";
import { EventFault, setGlobal } from "./event-fault.ts";
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
  /** The rows are packed (compressed-rows.ts). */
  readonly isCompressed?: boolean;
}

/** The number by which rows refer to the table map before them: six bytes at the start of both bodies. */
export function tableIdOf(bytes: Buffer, start: number): number {
  const high = bytes.readUInt16LE(start + 4);
  const low = bytes.readUInt32LE(start);
  return high === 0 ? low : low + high * 2 ** 32;
}

/** An empty rows event only says that the statement ends; MySQL writes one for the table id 0xffffff. */
const DUMMY_TABLE_ID = 0xff_ffff;

export function isDummyRows(tableId: number): boolean {
  return tableId === DUMMY_TABLE_ID;
}

export interface RowsTask {
  readonly layout: RowsLayout;
  readonly mapped: MappedTable;
  readonly builder: StoredRowsBuilder;
}

/** The rows of the event whose body stands in `bytes` from `start` to before `end`. */
export function readRows(bytes: Buffer, start: number, end: number, task: RowsTask): StoredRows {
  const { layout, mapped, builder } = task;
  const body = { bytes, end };
  const images = readHead(body, start, task);
  builder.begin(bytes, images.end, end, layout.isPartial);
  let offset = images.end;
  while (offset < end) offset = readRow(body, offset, task, images);
  const { table, forms } = mapped;
  return builder.finish({ table, forms, operation: layout.operation }, end);
}

/** Bytes in which the body of an event, or a part of it, ends. What stands behind it belongs to another. */
interface Body {
  readonly bytes: Buffer;
  readonly end: number;
}

export interface LargeRowsTask extends RowsTask {
  readonly rowBytesMax: number;
  /** Where the body of the event begins. */
  readonly start: number;
}

const WINDOW_BYTES = 4 * 2 ** 20;

/**
 * The rows of an event that is not in memory, as many at a time as a window holds. How long a row is
 * shows only when it is read: a window in which not even one ends is made larger, up to a bound.
 */
export function* readLargeRows(event: EventParts, task: LargeRowsTask): Generator<StoredRows> {
  const { mapped, rowBytesMax } = task;
  let windowBytes = WINDOW_BYTES;
  let window = event.read(task.start, windowBytes);
  const images = readHead({ bytes: window, end: window.length }, 0, task);
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
}

/** What ends within the window; in the last one everything has to. */
function readWindow(
  window: Buffer,
  isLast: boolean,
  task: RowsTask & { images: Images },
): { rows: StoredRows; used: number } {
  const { layout, mapped, builder } = task;
  const body = { bytes: window, end: window.length };
  builder.begin(window, 0, window.length, layout.isPartial);
  let used = 0;
  while (used < window.length) {
    const rowsBefore = builder.mark();
    try {
      used = readRow(body, used, task, task.images);
    } catch (thrown) {
      if (isLast) throw thrown;
      builder.reset(rowsBefore);
      break;
    }
  }
  const { table, forms } = mapped;
  return { rows: builder.finish({ table, forms, operation: layout.operation }, used), used };
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
function readHead({ bytes, end }: Body, start: number, task: RowsTask): Images {
  const { layout, mapped } = task;
  const { table, forms } = mapped;
  const cursor = new ByteCursor(bytes, start + 8, end);
  if (layout.hasExtra) cursor.skip(cursor.uint(2) - 2);
  const width = cursor.packedUint();
  if (width !== forms.length) {
    throw new EventFault(
      `rows of ${nameOf(table)} have ${width} columns, its table map has ${forms.length}`,
    );
  }
  const first = readShape(cursor, mapped);
  const second = layout.operation === "update" ? readShape(cursor, mapped) : undefined;
  requireKey(first);
  return { first, second, end: cursor.offset };
}

/** Shapes without anything missing, which nearly all rows have. */
const wholeShapes = new WeakMap<MappedTable, ImageShape>();

function readShape(cursor: ByteCursor, mapped: MappedTable): ImageShape {
  const { table, forms } = mapped;
  const from = cursor.offset;
  cursor.skip((forms.length + 7) >> 3);
  if (!isFull(cursor.bytes, from, forms.length)) {
    return imageShape(mapped, cursor.bytes.subarray(from, cursor.offset));
  }
  let whole = wholeShapes.get(mapped);
  if (whole === undefined) {
    whole = { table, forms, present: undefined, nullBytes: (forms.length + 7) >> 3 };
    wholeShapes.set(mapped, whole);
  }
  return whole;
}

function imageShape({ table, forms }: MappedTable, bits: Buffer): ImageShape {
  const present = new Set<number>();
  for (let i = 0; i < forms.length; i += 1) if (isSet(bits, i)) present.add(i);
  return { table, forms, present, nullBytes: (present.size + 7) >> 3 };
}

/** Whether the first `count` bits from the byte `from` on are all set. */
function isFull(bits: Buffer, from: number, count: number): boolean {
  const wholeBytes = count >> 3;
  for (let i = from; i < from + wholeBytes; i += 1) if (bits[i] !== 0xff) return false;
  const rest = (1 << (count & 7)) - 1;
  return rest === 0 || ((bits[from + wholeBytes] ?? 0) & rest) === rest;
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
    `rows of ${nameOf(table)} were logged without ${name}; ${setGlobal("binlog_row_image", "FULL")}`,
  );
}

function readRow(body: Body, start: number, task: RowsTask, { first, second }: Images): number {
  const { layout, builder } = task;
  if (second === undefined) {
    builder.row(start, first.forms.length);
    return readImage(body, start, first, task);
  }
  builder.row(start, 2 * first.forms.length);
  const next = readImage(body, start, first, task);
  if (layout.isPartial === true) return readPartialImage(body, next, { first, second }, builder);
  return readImage(body, next, second, task);
}

/** In front of an after image that may be partial stand options, and a bit for each JSON column. */
const PARTIAL_JSON = 1;

function readPartialImage(
  body: Body,
  start: number,
  { first, second }: { first: ImageShape; second: ImageShape },
  builder: StoredRowsBuilder,
): number {
  const cursor = new ByteCursor(body.bytes, start, body.end);
  const isPartial = (cursor.packedUint() & PARTIAL_JSON) !== 0;
  if (!isPartial) return readImage(body, cursor.offset, second, { builder });
  const json = first.table.columns.flatMap(({ type }, i) => (type === "json" ? [i] : []));
  const bits = cursor.take((json.length + 7) >> 3);
  const partial = new Set(json.filter((_, bit) => isSet(bits, bit)));
  const replace: Replace = (column, diffs) => {
    if (!partial.has(column)) return undefined;
    if (first.present?.has(column) === false) {
      if (diffs.length === 0) return "absent"; // It was set to what it was.
      throw new EventFault(
        "only a part of it was logged, and not what it was before; " +
          "run SET PERSIST binlog_row_value_options = '', or SET PERSIST binlog_row_image = FULL",
      );
    }
    const before = builder.earlier(first.forms.length);
    if (before === undefined) {
      throw new EventFault("only a part of it changed, but it was NULL before");
    }
    return jsonAsText(applyJsonDiffs(jsonText(before), diffs));
  };
  return readImage(body, cursor.offset, second, { builder, replace });
}

/** What a cell of the event stands for; undefined if for itself. */
type Replace = (column: number, cell: Buffer) => Buffer | "absent" | undefined;

function readImage(
  { bytes, end }: Body,
  start: number,
  { table, forms, present, nullBytes }: ImageShape,
  { builder, replace }: { readonly builder: StoredRowsBuilder; readonly replace?: Replace },
): number {
  let offset = start + nullBytes;
  let bit = 0;
  for (let i = 0; i < forms.length; i += 1) {
    if (present !== undefined && !present.has(i)) {
      builder.absent();
      continue;
    }
    const isNull = ((bytes[start + (bit >> 3)] ?? 0) & (1 << (bit & 7))) !== 0;
    bit += 1;
    if (isNull) {
      builder.null();
      continue;
    }
    const { size, prefix } = forms[i] as StoredForm;
    let length = size;
    if (length === 0) {
      length = lengthAt(bytes, offset, prefix);
      offset += prefix;
    }
    if (offset + length > end) throw cellFault(table, i, REACHES_PAST);
    if (replace === undefined) builder.value(offset, length);
    else readCell(bytes.subarray(offset, offset + length), offset, i, { table, builder, replace });
    offset += length;
  }
  if (offset > end) throw new EventFault(`a row of ${nameOf(table)} ${REACHES_PAST}`);
  return offset;
}

const REACHES_PAST = "its bytes reach past the end of the event";

/** Of 1 to 4 bytes, lowest first. What lies past the end of the event is past it already without a length. */
function lengthAt(body: Buffer, at: number, prefix: number): number {
  let length = 0;
  for (let i = prefix - 1; i >= 0; i -= 1) length = length * 256 + (body[at + i] ?? 0xff);
  return length;
}

function readCell(
  cell: Buffer,
  offset: number,
  column: number,
  { table, builder, replace }: { table: TableShape; builder: StoredRowsBuilder; replace: Replace },
): void {
  let other: ReturnType<Replace>;
  try {
    other = replace(column, cell);
  } catch (thrown) {
    throw cellFault(table, column, thrown instanceof Error ? thrown.message : String(thrown));
  }
  if (other === undefined) builder.value(offset, cell.length);
  else if (other === "absent") builder.absent();
  else builder.addition(other);
}

function cellFault(table: TableShape, column: number, reason: string): EventFault {
  const name = table.columns[column]?.name ?? column;
  return new EventFault(`column ${nameOf(table)}.${name} cannot be decoded: ${reason}`);
}

function nameOf(table: TableShape): string {
  return `${table.database}.${table.name}`;
}
