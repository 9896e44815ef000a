/**
 * The same as debezium-values.ts for the types that most columns have, straight from what MySQL stored:
 * without a text in between. A column of another type is left to its canonical form.
 */
import type { Column, StoredForm } from "../core/rows.ts";
import { realText, writeNoDate, writeNoMoment } from "./debezium-values.ts";
import { epochDayOf, POWERS_OF_TEN, SECONDS_PER_DAY, writeMicros } from "./epoch.ts";
import type { JsonWriter } from "./json-writer.ts";
import type { StoredWriter } from "./object-writer.ts";

const QUOTE = 0x22;
const DOT = 0x2e;
const COLON = 0x3a;
const LETTER_Z = 0x5a;

type Text = NonNullable<StoredForm["text"]>;

/** The writer for a column; undefined for one that has none here. */
export function storedWriter(column: Column, form: StoredForm): StoredWriter | undefined {
  const { text } = form;
  switch (column.type) {
    case "tinyint":
    case "smallint":
    case "mediumint":
    case "int":
      return column.unsigned ? writeUnsigned : writeSigned;
    case "bigint":
      return column.unsigned ? writeUnsignedBigint : writeSignedBigint;
    case "float":
    case "double":
      return (
        text && ((json, data, start, length) => json.ascii(realText(text(data, start, length))))
      );
    case "decimal":
      return text === undefined ? writeUtf8 : decimal(column, form.size, text);
    case "char":
    case "varchar":
    case "text":
    case "enum":
    case "set":
      if (text === undefined) return writeUtf8;
      return (json, data, start, length) => json.text(text(data, start, length));
    case "json":
      return form.writeJson && jsonDocument(form.writeJson);
    case "date":
      return date(column);
    case "datetime":
      return datetime(column);
    case "timestamp":
      return text && timestamp(column, text);
    default:
      return undefined;
  }
}

const writeUnsigned: StoredWriter = (json, data, start, length) => {
  let value = 0;
  for (let i = start + length - 1; i >= start; i--) value = value * 256 + (data[i] as number);
  json.integer(value);
};

const writeSigned: StoredWriter = (json, data, start, length) => {
  let value = data[start + length - 1] as number;
  if (value >= 0x80) value -= 0x100;
  for (let i = start + length - 2; i >= start; i--) value = value * 256 + (data[i] as number);
  json.integer(value);
};

/** 2^53 / 2^32: below this in its upper half, a number is exact. */
const SAFE_HIGH = 0x20_0000;

const writeUnsignedBigint: StoredWriter = (json, data, start) => {
  const high = data.readUInt32LE(start + 4);
  if (high < SAFE_HIGH) json.integer(high * 2 ** 32 + data.readUInt32LE(start));
  else json.ascii(String(data.readBigUInt64LE(start)));
};

const writeSignedBigint: StoredWriter = (json, data, start) => {
  const high = data.readInt32LE(start + 4);
  // -2^53 itself is no safe integer.
  if (high > -SAFE_HIGH && high < SAFE_HIGH) {
    json.integer(high * 2 ** 32 + data.readUInt32LE(start));
  } else json.ascii(String(data.readBigInt64LE(start)));
};

const writeUtf8: StoredWriter = (json, data, start, length) =>
  json.string(data, start, start + length);

function jsonDocument(write: NonNullable<StoredForm["writeJson"]>): StoredWriter {
  return (json, data, start, length) => {
    json.byte(QUOTE);
    write(json.inString, data, start, length);
    json.byte(QUOTE);
  };
}

/** Text without anything that JSON escapes. */
function writeQuoted(json: JsonWriter, text: string): void {
  json.byte(QUOTE);
  json.ascii(text);
  json.byte(QUOTE);
}

const DIGITS_OF_GROUP = 9;
const GROUP_BYTES = 4;
const GROUP_MAX = 999_999_999;
/** Bytes of a group of so many digits. */
const BYTES_OF_DIGITS = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];

/** Groups of nine digits, the first and the last perhaps of fewer; of a negative number all bits are inverted. */
function decimal({ scale }: Column, size: number, text: Text): StoredWriter {
  const lastDigits = scale % DIGITS_OF_GROUP;
  const fractionBytes =
    Math.floor(scale / DIGITS_OF_GROUP) * GROUP_BYTES + (BYTES_OF_DIGITS[lastDigits] as number);
  const wholeBytes = size - fractionBytes;
  const groups: number[] = [];
  return (json, data, start, length) => {
    const isNegative = byte(data, start) < 0x80;
    if (isNegative || !readGroups(data, start, { size, wholeBytes, groups })) {
      writeQuoted(json, text(data, start, length));
      return;
    }
    const wholeGroups = Math.ceil(wholeBytes / GROUP_BYTES);
    json.byte(QUOTE);
    let i = 0;
    while (i < wholeGroups - 1 && groups[i] === 0) i++;
    json.integer(i < wholeGroups ? (groups[i++] as number) : 0);
    while (i < wholeGroups) json.padded(groups[i++] as number, DIGITS_OF_GROUP);
    if (scale > 0) json.byte(DOT);
    for (let rest = scale; rest > 0; rest -= DIGITS_OF_GROUP) {
      json.padded(groups[i++] as number, Math.min(rest, DIGITS_OF_GROUP));
    }
    json.byte(QUOTE);
  };
}

/** False for a group that no server stores. */
function readGroups(
  data: Buffer,
  start: number,
  { size, wholeBytes, groups }: { size: number; wholeBytes: number; groups: number[] },
): boolean {
  let at = start;
  let count = 0;
  let left = wholeBytes % GROUP_BYTES || GROUP_BYTES;
  let value = 0;
  for (let i = 0; i < size; i++, at++) {
    value = value * 256 + (i === 0 ? byte(data, at) - 0x80 : byte(data, at));
    left -= 1;
    if (left > 0 && i < size - 1) continue;
    if (value > GROUP_MAX) return false;
    groups[count++] = value;
    value = 0;
    left = GROUP_BYTES;
  }
  return true;
}

/** Seconds since 1970, then the fraction in as many bytes as its digits need: as ISO writes it. */
function timestamp(column: Column, text: Text): StoredWriter {
  const { scale } = column;
  const fractionBytes = (scale + 1) >> 1;
  // What is stored has an even number of digits.
  const unwanted = POWERS_OF_TEN[2 * fractionBytes - scale] as number;
  let lastDay = -1;
  let date = Buffer.alloc(0);
  return (json, data, start, length) => {
    const seconds = data.readUInt32BE(start);
    if (seconds === 0) {
      writeNoMoment(json, column);
      return;
    }
    const day = Math.floor(seconds / SECONDS_PER_DAY);
    if (day !== lastDay) {
      date = Buffer.from(`"${text(data, start, length).slice(0, DATE_LENGTH)}T`);
      lastDay = day;
    }
    const second = seconds - day * SECONDS_PER_DAY;
    const minute = Math.floor(second / 60);
    const hour = Math.floor(minute / 60);
    json.raw(date);
    json.padded(hour, 2);
    json.byte(COLON);
    json.padded(minute - hour * 60, 2);
    json.byte(COLON);
    json.padded(second - minute * 60, 2);
    if (scale > 0) {
      let fraction = 0;
      for (let i = 0; i < fractionBytes; i++) fraction = fraction * 256 + byte(data, start + 4 + i);
      json.byte(DOT);
      json.padded(Math.floor(fraction / unwanted), scale);
    }
    json.byte(LETTER_Z);
    json.byte(QUOTE);
  };
}

const DATE_LENGTH = 10;

/** Day, month and year in five, four and fifteen bits, lowest first. */
function date(column: Column): StoredWriter {
  return (json, data, start) => {
    const packed = byte(data, start) | (byte(data, start + 1) << 8) | (byte(data, start + 2) << 16);
    const day = epochDayOf(packed >> 9, (packed >> 5) & 15, packed & 31);
    if (Number.isNaN(day)) writeNoDate(json, column);
    else json.integer(day);
  };
}

/**
 * A bit that is always set, year * 13 + month in 17 bits, day and hour in five, minute and second in six,
 * highest first; then the fraction in as many bytes as its digits need.
 */
function datetime(column: Column): StoredWriter {
  const { scale } = column;
  const fractionBytes = (scale + 1) >> 1;
  const hasMillis = scale <= 3;
  // What is stored counts hundredths, ten-thousandths or millionths.
  const toMicros = POWERS_OF_TEN[6 - 2 * fractionBytes] as number;
  return (json, data, start) => {
    const upper = (byte(data, start) << 16) | (byte(data, start + 1) << 8) | byte(data, start + 2);
    const yearMonth = (upper >> 6) & 0x1_ffff;
    const year = Math.floor(yearMonth / 13);
    const day = epochDayOf(year, yearMonth - year * 13, (upper >> 1) & 31);
    if (Number.isNaN(day)) {
      writeNoDate(json, column);
      return;
    }
    const lower = (byte(data, start + 3) << 8) | byte(data, start + 4);
    const hour = ((upper & 1) << 4) | (lower >> 12);
    const minute = (lower >> 6) & 63;
    const seconds = day * SECONDS_PER_DAY + hour * 3600 + minute * 60 + (lower & 63);
    let fraction = 0;
    for (let i = 0; i < fractionBytes; i++) fraction = fraction * 256 + byte(data, start + 5 + i);
    const micros = fraction * toMicros;
    if (hasMillis) json.integer(seconds * 1000 + Math.floor(micros / 1000));
    else writeMicros(json, seconds, micros);
  };
}

function byte(data: Buffer, at: number): number {
  return data[at] as number;
}
