/**
 * MySQL's binary JSON as the text that SELECT gives, with every number unharmed.
 *
 * It never becomes a JavaScript value: that would lose 64-bit integers, decimals, `1.0`, and a key called
 * `__proto__`. The format stands in sql-common/json_binary.h of the server's source.
 */
import type { JsonTextTarget } from "../core/rows.ts";
import { EventFault } from "./event-fault.ts";
import { DecimalFormat } from "./numbers.ts";
import { fractionText, packedDateText, packedTimeText } from "./temporals.ts";

const LITERALS = ["null", "true", "false"] as const;
/** Type bytes of values that stand in the entry itself: of 16 bits, and in large containers also of 32. */
const INLINE_MIN = 4;
const INLINE_16_MAX = 6;
const INLINE_32_MAX = 8;

const TIMESTAMP = 7;
const DATE = 10;
const TIME = 11;
const DATETIME = 12;
const DECIMAL = 246;

/** No server makes a document with more levels. */
export const JSON_DEPTH_MAX = 100;

export function jsonText(document: Buffer): string {
  return collectText(out => writeJsonText(out, document));
}

/** What is written, as one text. */
export function collectText(write: (out: JsonTextTarget) => void): string {
  const plain = new PlainText();
  write(plain);
  return plain.content;
}

/** The same, piece by piece, of the document in `source` from `start` to before `end`. */
export function writeJsonText(
  out: JsonTextTarget,
  source: Buffer,
  start = 0,
  end = source.length,
): void {
  // MySQL itself shows a document of no bytes, which INSERT IGNORE can leave behind, as null.
  if (start === end) out.plain("null");
  else new JsonText(out, source, start, end).value(source.readUInt8(start), start + 1, 1);
}

class PlainText implements JsonTextTarget {
  content = "";

  plain(text: string): void {
    this.content += text;
  }

  integer(value: number): void {
    this.content += String(value);
  }

  string(bytes: Buffer, start: number, end: number): void {
    this.content += quoted(bytes, start, end);
  }

  any(text: string): void {
    this.content += text;
  }

  utf8(bytes: Buffer, start: number, end: number): void {
    this.content += bytes.toString("utf8", start, end);
  }
}

/**
 * Offsets in a damaged document can lead anywhere: back to where they stand, or behind the document, where
 * other rows are. So whatever is read is asked for first.
 */
class JsonText {
  readonly #out: JsonTextTarget;
  readonly #source: Buffer;
  readonly #end: number;
  /** Every byte belongs to one value; a document that takes more of them shows some again and again. */
  #bytesLeft: number;
  /** Where the bytes end that `#variableBytes` has found. */
  #variableEnd = 0;

  constructor(out: JsonTextTarget, source: Buffer, start: number, end: number) {
    this.#out = out;
    this.#source = source;
    this.#end = end;
    this.#bytesLeft = end - start;
  }

  value(type: number, at: number, depth: number): void {
    const source = this.#source;
    const out = this.#out;
    switch (type) {
      case 0:
      case 1:
        this.#container(at, true, type === 1, depth);
        return;
      case 2:
      case 3:
        this.#container(at, false, type === 3, depth);
        return;
      case 4:
        out.plain(literalText(source.readUInt8(this.#within(at, 1))));
        return;
      case 5:
        out.integer(source.readInt16LE(this.#within(at, 2)));
        return;
      case 6:
        out.integer(source.readUInt16LE(this.#within(at, 2)));
        return;
      case 7:
        out.integer(source.readInt32LE(this.#within(at, 4)));
        return;
      case 8:
        out.integer(source.readUInt32LE(this.#within(at, 4)));
        return;
      case 9:
        out.plain(String(source.readBigInt64LE(this.#within(at, 8))));
        return;
      case 10:
        out.plain(String(source.readBigUInt64LE(this.#within(at, 8))));
        return;
      case 11:
        out.plain(jsonDoubleText(source.readDoubleLE(this.#within(at, 8))));
        return;
      case 12: {
        const start = this.#variableBytes(at);
        out.string(source, start, this.#variableEnd);
        return;
      }
      case 15: {
        const opaque = source.readUInt8(this.#within(at, 1));
        const start = this.#variableBytes(at + 1);
        out.any(opaqueText(opaque, source.subarray(start, this.#variableEnd)));
        return;
      }
      default:
        throw new EventFault(`it holds JSON of the unknown type ${type}`);
    }
  }

  #container(at: number, isObject: boolean, isLarge: boolean, depth: number): void {
    if (depth > JSON_DEPTH_MAX) {
      throw new EventFault(`it holds JSON of more than ${JSON_DEPTH_MAX} levels`);
    }
    const source = this.#source;
    const out = this.#out;
    const width = isLarge ? 4 : 2;
    const inlineMax = isLarge ? INLINE_32_MAX : INLINE_16_MAX;
    const count = this.#uint(at, isLarge);
    const keys = at + 2 * width;
    const values = isObject ? keys + count * (width + 2) : keys;
    this.#spend(values + count * (width + 1) - at);
    out.plain(isObject ? "{" : "[");
    for (let i = 0; i < count; i += 1) {
      if (i > 0) out.plain(", ");
      if (isObject) {
        const key = keys + i * (width + 2);
        const start = at + this.#uint(key, isLarge);
        const end = start + source.readUInt16LE(this.#within(key + width, 2));
        this.#require(start, end);
        out.string(source, start, end);
        out.plain(": ");
      }
      const entry = values + i * (width + 1);
      const type = source.readUInt8(this.#within(entry, 1));
      const isInline = type >= INLINE_MIN && type <= inlineMax;
      this.value(type, isInline ? entry + 1 : at + this.#uint(entry + 1, isLarge), depth + 1);
    }
    out.plain(isObject ? "}" : "]");
  }

  #uint(at: number, isLarge: boolean): number {
    const source = this.#source;
    return isLarge
      ? source.readUInt32LE(this.#within(at, 4))
      : source.readUInt16LE(this.#within(at, 2));
  }

  /** The place of so many bytes, if the document holds them. */
  #within(at: number, bytes: number): number {
    if (at + bytes > this.#end) throw new EventFault("it holds JSON that is cut short");
    return at;
  }

  /** Where bytes with their length in front begin: seven bits a byte, lowest first. */
  #variableBytes(at: number): number {
    let length = 0;
    for (let i = 0; i < 5; i += 1) {
      const byte = this.#source.readUInt8(this.#within(at + i, 1));
      length += (byte & 0x7f) * 2 ** (7 * i);
      if (byte >= 0x80) continue;
      const start = at + i + 1;
      this.#variableEnd = start + length;
      this.#require(start, this.#variableEnd);
      return start;
    }
    throw new EventFault("it holds JSON with a length that does not end");
  }

  /** That these bytes are there, and were not shown before. */
  #require(start: number, end: number): void {
    if (end > this.#end) throw new EventFault("it holds JSON that is cut short");
    this.#spend(end - start);
  }

  #spend(bytes: number): void {
    this.#bytesLeft -= bytes;
    if (this.#bytesLeft < 0) throw new EventFault("it holds JSON whose parts overlap");
  }
}

/** The text in these bytes as a JSON string. */
function quoted(bytes: Buffer, start: number, end: number): string {
  return JSON.stringify(bytes.toString("utf8", start, end));
}

function literalText(code: number): string {
  const text = LITERALS[code];
  if (text === undefined) throw new EventFault(`it holds the unknown JSON literal ${code}`);
  return text;
}

/**
 * A double as MySQL prints it in JSON: with the fewest digits that read back the same, and so that it
 * stays a double (`1.0`); with an exponent (`1e15`, without a plus sign) below 10^-15, and from 10^15
 * unless it has a fraction (`1000000000000000.5`).
 */
export function jsonDoubleText(value: number): string {
  if (value === 0) return Object.is(value, -0) ? "-0.0" : "0.0";
  const [mantissa = "", exponent = ""] = Math.abs(value).toExponential().split("e");
  const sign = value < 0 ? "-" : "";
  const power = Number(exponent);
  const digits = mantissa.replace(".", "");
  const hasFraction = digits.length > power + 1;
  if (power < -15 || (power >= 15 && !hasFraction)) return `${sign}${mantissa}e${power}`;
  if (power < 0) return `${sign}0.${"0".repeat(-power - 1)}${digits}`;
  const whole = digits.slice(0, power + 1).padEnd(power + 1, "0");
  return `${sign}${whole}.${digits.slice(power + 1) || "0"}`;
}

/** A value of a type that JSON does not have. */
function opaqueText(type: number, data: Buffer): string {
  switch (type) {
    case DECIMAL:
      return new DecimalFormat(data.readUInt8(0), data.readUInt8(1)).text(data, 2);
    case DATE:
      return `"${packedDateText(Math.floor(temporal(data).whole / TIME_OF_DAY))}"`;
    case TIME: {
      const { sign, whole, fraction } = temporal(data);
      return `"${sign}${packedTimeText(whole)}${fraction}"`;
    }
    case DATETIME:
    case TIMESTAMP: {
      const { whole, fraction } = temporal(data);
      const date = packedDateText(Math.floor(whole / TIME_OF_DAY));
      return `"${date} ${packedTimeText(whole % TIME_OF_DAY)}${fraction}"`;
    }
    default:
      return JSON.stringify(`base64:type${type}:${mysqlBase64(data)}`);
  }
}

const TIME_OF_DAY = 0x2_0000; // A date stands above 17 bits of time.

/** In JSON all temporals are one 64-bit number: date and time of day, or hours up to 838, then microseconds. */
function temporal(data: Buffer): { sign: string; whole: number; fraction: string } {
  const packed = data.readBigInt64LE(0);
  const magnitude = packed < 0n ? -packed : packed;
  return {
    sign: packed < 0n ? "-" : "",
    whole: Number(magnitude >> 24n),
    fraction: fractionText(Number(magnitude & 0xff_ffffn), 6),
  };
}

/** MySQL's encoder breaks its lines after 76 characters. */
function mysqlBase64(data: Buffer): string {
  return data.toString("base64").replace(/.{76}(?=.)/g, "$&\n");
}
