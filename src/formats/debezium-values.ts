/**
 * How Debezium shows a value of each MySQL type, from its canonical bytes (docs/types.md).
 *
 * Each column gets a function once per table shape. None of them makes a Date or a double out of what
 * does not fit one: days are counted from the digits, and microseconds since 1970 are written in two
 * parts, as from the year 2255 on they exceed what a double holds.
 */
import { assert } from "../core/errors.ts";
import type { Column } from "../core/rows.ts";
import {
  epochDayOf,
  MICROS_PER_SECOND,
  POWERS_OF_TEN,
  SECONDS_PER_DAY,
  writeMicros,
} from "./epoch.ts";
import type { JsonWriter } from "./json-writer.ts";
import type { ValueWriter } from "./object-writer.ts";

const NULL = Buffer.from("null");
const TRUE = Buffer.from("true");
const FALSE = Buffer.from("false");

const QUOTE = 0x22;
const MINUS = 0x2d;
const ZERO = 0x30;
const COMMA = 0x2c;
const LETTER_T = 0x54;
const LETTER_Z = 0x5a;

/** Bytes of `YYYY-MM-DD HH:MM:SS`. */
const DATE_TIME_LENGTH = 19;

function digits(cell: Buffer, from: number, to: number): number {
  let value = 0;
  for (let i = from; i < to; i++) value = value * 10 + (cell[i] as number) - ZERO;
  return value;
}

/**
 * Days since 1970-01-01 of the `YYYY-MM-DD` that a cell begins with. NaN for what is no date: MySQL
 * also stores 0000-00-00, 2026-00-00 and, with ALLOW_INVALID_DATES, 2026-02-31.
 */
function epochDay(cell: Buffer): number {
  return epochDayOf(digits(cell, 0, 4), digits(cell, 5, 7), digits(cell, 8, 10));
}

/** Seconds of the `HH:MM:SS` that begins at `at`; the hours of a TIME may have three digits. */
function secondsOfDay(cell: Buffer, at: number, hourDigits = 2): number {
  const minutesAt = at + hourDigits + 1;
  return (
    digits(cell, at, at + hourDigits) * 3600 +
    digits(cell, minutesAt, minutesAt + 2) * 60 +
    digits(cell, minutesAt + 3, minutesAt + 5)
  );
}

/** The fraction that begins with the dot at `dotAt`, in units of 10^-`width` seconds; 0 if there is none. */
function fraction(cell: Buffer, dotAt: number, width: number): number {
  if (cell.length <= dotAt + 1) return 0;
  const to = Math.min(cell.length, dotAt + 1 + width);
  const missing = width - (to - dotAt - 1);
  return digits(cell, dotAt + 1, to) * (POWERS_OF_TEN[missing] as number);
}

const isDigit = (byte: number): boolean => byte >= ZERO && byte <= 0x39;
/** `.`, `+`, `-`, `e`, `E`. */
const isNumberSign = (byte: number): boolean =>
  byte === 0x2e || byte === 0x2b || byte === MINUS || byte === 0x65 || byte === 0x45;

/** Digits as they stand: an unsigned BIGINT would lose its last ones in a double. */
function writeNumber(json: JsonWriter, cell: Buffer): void {
  for (let i = 0; i < cell.length; i++) {
    const byte = cell[i] as number;
    assert(isDigit(byte) || isNumberSign(byte), "a number's canonical form is not a number");
  }
  assert(cell.length > 0, "a number's canonical form is empty");
  json.raw(cell);
}

/** `1.0`, never `1`: whoever learns the types from the values must not take it for an integer. */
export function realText(text: string): string {
  return text.includes(".") || text.includes("e") ? text : `${text}.0`;
}

const writeReal: ValueWriter = (json, cell) => {
  writeNumber(json, Buffer.from(realText(cell.toString("latin1"))));
};

const writeString: ValueWriter = (json, cell) => json.string(cell);
const writeBase64: ValueWriter = (json, cell) => json.base64(cell);
const writeBoolean: ValueWriter = (json, cell) => json.raw(cell.at(-1) === 1 ? TRUE : FALSE);

/** Debezium shows the bits as bytes with the lowest first. */
const writeBits: ValueWriter = (json, cell) => json.base64(Buffer.from(cell).reverse());

const writeYear: ValueWriter = (json, cell) => json.integer(digits(cell, 0, cell.length));

/** MySQL leaves the zero bytes at the end of a BINARY out of its binlog. */
function fixedBinary(length: number): ValueWriter {
  return (json, cell) => {
    if (cell.length >= length) {
      json.base64(cell);
      return;
    }
    const padded = Buffer.alloc(length);
    cell.copy(padded);
    json.base64(padded);
  };
}

/** Where there is no date: null, or the epoch in a column that cannot be null. */
export function writeNoDate(json: JsonWriter, column: Column): void {
  if (column.nullable) json.raw(NULL);
  else json.byte(ZERO);
}

function date(column: Column): ValueWriter {
  return (json, cell) => {
    const day = epochDay(cell);
    if (Number.isNaN(day)) writeNoDate(json, column);
    else json.integer(day);
  };
}

/** Milliseconds since 1970, as if the value were in UTC. */
function dateTimeMillis(column: Column): ValueWriter {
  return (json, cell) => {
    const day = epochDay(cell);
    if (Number.isNaN(day)) {
      writeNoDate(json, column);
      return;
    }
    const seconds = day * SECONDS_PER_DAY + secondsOfDay(cell, 11);
    json.integer(seconds * 1000 + fraction(cell, DATE_TIME_LENGTH, 3));
  };
}

/** Microseconds since 1970, as if the value were in UTC. */
function dateTimeMicros(column: Column): ValueWriter {
  return (json, cell) => {
    const day = epochDay(cell);
    if (Number.isNaN(day)) {
      writeNoDate(json, column);
      return;
    }
    const seconds = day * SECONDS_PER_DAY + secondsOfDay(cell, 11);
    writeMicros(json, seconds, fraction(cell, DATE_TIME_LENGTH, 6));
  };
}

/** Microseconds: of a day, or of a span of up to 838 hours on either side of zero. */
const writeTime: ValueWriter = (json, cell) => {
  const isNegative = cell[0] === MINUS;
  const at = isNegative ? 1 : 0;
  let hourDigits = 1;
  while (hourDigits < 3 && isDigit(cell[at + hourDigits] ?? 0)) hourDigits++;
  const seconds = secondsOfDay(cell, at, hourDigits);
  const micros = seconds * MICROS_PER_SECOND + fraction(cell, at + hourDigits + 6, 6);
  json.integer(isNegative && micros > 0 ? -micros : micros);
};

const EPOCH = Buffer.from('"1970-01-01T00:00:00Z"');

/** The zero date: null, or the epoch in a column that cannot be null. */
export function writeNoMoment(json: JsonWriter, { nullable }: Column): void {
  json.raw(nullable ? NULL : EPOCH);
}

/** ISO text in UTC with as many digits as the column has, except for the zero date. */
function timestamp(column: Column): ValueWriter {
  return (json, cell) => {
    if (Number.isNaN(epochDay(cell))) {
      writeNoMoment(json, column);
      return;
    }
    json.byte(QUOTE);
    json.raw(cell.subarray(0, 10));
    json.byte(LETTER_T);
    json.raw(cell.subarray(11));
    json.byte(LETTER_Z);
    json.byte(QUOTE);
  };
}

const SRID_BYTES = 4;
const POINT_WKB_BYTES = 21;

function real(value: number): string {
  if (!Number.isFinite(value)) return "null";
  return realText(Object.is(value, -0) ? "-0" : String(value));
}

function writeGeometry(json: JsonWriter, cell: Buffer, isPoint: boolean): void {
  assert(cell.length >= SRID_BYTES, "a geometry's canonical form has no SRID");
  const srid = cell.readUInt32LE(0);
  const wkb = cell.subarray(SRID_BYTES);
  if (isPoint && wkb.length === POINT_WKB_BYTES) {
    const isLittleEndian = wkb[0] !== 0;
    const x = isLittleEndian ? wkb.readDoubleLE(5) : wkb.readDoubleBE(5);
    const y = isLittleEndian ? wkb.readDoubleLE(13) : wkb.readDoubleBE(13);
    json.ascii(`{"x":${real(x)},"y":${real(y)},"wkb":`);
  } else {
    json.ascii('{"wkb":');
  }
  json.base64(wkb);
  json.ascii(`,"srid":${srid === 0 ? "null" : srid}}`);
}

/** The shortest text that is read back as the same single-precision number. */
function single(value: number): string {
  for (let precision = 6; precision < 9; precision++) {
    const shorter = Number(value.toPrecision(precision));
    if (Math.fround(shorter) === value) return real(shorter);
  }
  return real(Number(value.toPrecision(9)));
}

/** An array of single-precision numbers, lowest byte first. */
const writeVector: ValueWriter = (json, cell) => {
  json.byte(0x5b);
  for (let at = 0; at + 4 <= cell.length; at += 4) {
    if (at > 0) json.byte(COMMA);
    json.ascii(single(cell.readFloatLE(at)));
  }
  json.byte(0x5d);
};

/** The function that shows this column's values. */
export function valueWriter(column: Column): ValueWriter {
  switch (column.type) {
    case "tinyint":
    case "smallint":
    case "mediumint":
    case "int":
    case "bigint":
      return writeNumber;
    case "float":
    case "double":
      return writeReal;
    case "bit":
      return column.length === 1 ? writeBoolean : writeBits;
    case "year":
      return writeYear;
    case "date":
      return date(column);
    case "time":
      return writeTime;
    case "datetime":
      return column.scale <= 3 ? dateTimeMillis(column) : dateTimeMicros(column);
    case "timestamp":
      return timestamp(column);
    case "binary":
      return fixedBinary(column.length);
    case "varbinary":
    case "blob":
      return writeBase64;
    case "geometry":
      return (json, cell) => writeGeometry(json, cell, column.length === 1);
    case "vector":
      return writeVector;
    case "decimal":
    case "char":
    case "varchar":
    case "text":
    case "enum":
    case "set":
    case "json":
      return writeString;
  }
}
