/**
 * A row as MySQL answers a prepared SELECT → where its cells stand, as they would in the binlog.
 *
 *   byte 0 │ one bit a column: is it NULL? (the first two bits belong to nothing) │ value │ value │ …
 *
 * Numbers stand in both alike, and so do text and bytes. Only moments do not: they are packed anew, and
 * stand behind the row. So an existing row is shown by the very code that shows a changed one, and no digit
 * is lost on the way, as it would be in a FLOAT written as text.
 */
import type { ColumnType } from "../core/rows.ts";

/** Type codes of the protocol, as far as an answer holds them. */
const Wire = {
  tiny: 1,
  short: 2,
  long: 3,
  float: 4,
  double: 5,
  timestamp: 7,
  longlong: 8,
  int24: 9,
  date: 10,
  time: 11,
  datetime: 12,
  year: 13,
} as const;

const WIRE_TYPES: Readonly<Partial<Record<ColumnType, number>>> = {
  tinyint: Wire.tiny,
  smallint: Wire.short,
  mediumint: Wire.int24,
  int: Wire.long,
  bigint: Wire.longlong,
  float: Wire.float,
  double: Wire.double,
  year: Wire.year,
  date: Wire.date,
  time: Wire.time,
  datetime: Wire.datetime,
  timestamp: Wire.timestamp,
};

const NOT_BYTES: ReadonlySet<number> = new Set(Object.values(Wire));

/** Whether values of such a column come under this code; undefined stands for anything with a length. */
export function comesAs(type: ColumnType | undefined, code: number): boolean {
  const expected = type === undefined ? undefined : WIRE_TYPES[type];
  return expected === undefined ? !NOT_BYTES.has(code) : expected === code;
}

/** A row being read: its bytes, with room behind them for what is packed anew. */
export interface WireRow {
  readonly data: Buffer;
  /** Where the next value begins. */
  at: number;
  /** What was packed anew ends here. */
  end: number;
  /** The cell that was read last. */
  start: number;
  length: number;
}

/** Reads the value at hand, and tells where the cell stands. */
export type WireCell = (row: WireRow) => void;

/** Bytes that a cell may take behind the row. */
export const PACKED_MAX = 8;

/** A number of so many bytes, of which the binlog keeps the first ones. */
export function numberCell(bytes: number, kept = bytes): WireCell {
  return row => {
    row.start = row.at;
    row.length = kept;
    row.at += bytes;
  };
}

/** The binlog counts the years from 1900, in one byte. */
export const yearCell: WireCell = row => {
  const year = row.data.readUInt16LE(row.at);
  row.data[row.at] = year === 0 ? 0 : year - 1900;
  row.start = row.at;
  row.length = 1;
  row.at += 2;
};

export const bytesCell: WireCell = row => {
  const length = lengthOf(row);
  row.start = row.at;
  row.length = length;
  row.at += length;
};

/** Digits as they are wanted, but for the zeros that ZEROFILL puts in front. */
export const decimalCell: WireCell = row => {
  bytesCell(row);
  const { data } = row;
  while (row.length > 1 && data[row.start] === ZERO && isDigit(data[row.start + 1])) {
    row.start += 1;
    row.length -= 1;
  }
};

const ZERO = 0x30;

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= ZERO && byte <= 0x39;
}

/** Puts this byte in front of the value, in the place of the last one of its length. */
export function markedCell(mark: number): WireCell {
  return row => {
    bytesCell(row);
    row.start -= 1;
    row.length += 1;
    row.data[row.start] = mark;
  };
}

/** Up to 250 in one byte, or in the two, three or eight behind it. */
function lengthOf(row: WireRow): number {
  const { data } = row;
  const first = data[row.at] as number;
  row.at += 1;
  if (first < 251) return first;
  const bytes = first === 252 ? 2 : first === 253 ? 3 : 8;
  // No value has so many bytes that the upper ones would count.
  const length = data.readUIntLE(row.at, Math.min(bytes, 6));
  row.at += bytes;
  return length;
}

/** The parts of a moment; what is zero at its end is left out of the answer. */
function part(row: WireRow, length: number, offset: number): number {
  return offset < length ? (row.data[row.at + offset] as number) : 0;
}

function micros(row: WireRow, length: number, offset: number): number {
  return offset < length ? row.data.readUInt32LE(row.at + offset) : 0;
}

function year(row: WireRow, length: number): number {
  return length > 0 ? row.data.readUInt16LE(row.at) : 0;
}

/** Writes a number of so many bytes, highest first, behind the row. */
function pack(row: WireRow, value: number, bytes: number): void {
  row.data.writeUIntBE(value, row.end, bytes);
  row.end += bytes;
}

/** Hundredths, ten-thousandths or millionths, by the bytes that so many digits take. */
function fractionBytes(scale: number): number {
  return (scale + 1) >> 1;
}

const MICROS_A_UNIT = [1_000_000, 10_000, 100, 1];

function fraction(value: number, bytes: number): number {
  return Math.floor(value / (MICROS_A_UNIT[bytes] as number));
}

function begin(row: WireRow): number {
  const length = row.data[row.at] as number;
  row.at += 1;
  row.start = row.end;
  return length;
}

function finish(row: WireRow, length: number): void {
  row.at += length;
  row.length = row.end - row.start;
}

/** Day, month and year in five, four and fifteen bits, lowest first. */
export const dateCell: WireCell = row => {
  const length = begin(row);
  const packed = (year(row, length) << 9) | (part(row, length, 2) << 5) | part(row, length, 3);
  row.data.writeUIntLE(packed, row.end, 3);
  row.end += 3;
  finish(row, length);
};

const DATETIME_ZERO = 0x80_0000_0000;
const TIME_OF_DAY = 0x2_0000; // The date stands above 17 bits of time.

export function datetimeCell(scale: number): WireCell {
  const bytes = fractionBytes(scale);
  return row => {
    const length = begin(row);
    const month = year(row, length) * 13 + part(row, length, 2);
    const date = (month << 5) | part(row, length, 3);
    const time = (part(row, length, 4) << 12) | (part(row, length, 5) << 6) | part(row, length, 6);
    pack(row, DATETIME_ZERO + date * TIME_OF_DAY + time, 5);
    if (bytes > 0) pack(row, fraction(micros(row, length, 7), bytes), bytes);
    finish(row, length);
  };
}

/** Seconds since 1970, as the session's time zone is UTC; none of them is the zero date. */
export function timestampCell(scale: number): WireCell {
  const bytes = fractionBytes(scale);
  return row => {
    const length = begin(row);
    const seconds =
      length === 0
        ? 0
        : Date.UTC(
            year(row, length),
            part(row, length, 2) - 1,
            part(row, length, 3),
            part(row, length, 4),
            part(row, length, 5),
            part(row, length, 6),
          ) / 1000;
    pack(row, seconds, 4);
    if (bytes > 0) pack(row, fraction(micros(row, length, 7), bytes), bytes);
    finish(row, length);
  };
}

/** Sign, days, hours, minutes, seconds: in the binlog one number around a zero in the middle. */
export function timeCell(scale: number): WireCell {
  const bytes = fractionBytes(scale);
  const unit = 2 ** (8 * bytes);
  const zero = 0x80_0000 * unit;
  return row => {
    const length = begin(row);
    const hours = (length > 0 ? row.data.readUInt32LE(row.at + 1) * 24 : 0) + part(row, length, 5);
    const time = (hours << 12) | (part(row, length, 6) << 6) | part(row, length, 7);
    const magnitude = time * unit + fraction(micros(row, length, 8), bytes);
    pack(row, part(row, length, 0) === 0 ? zero + magnitude : zero - magnitude, 3 + bytes);
    finish(row, length);
  };
}
