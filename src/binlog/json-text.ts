/**
 * MySQL's binary JSON as the text that SELECT gives, with every number unharmed.
 *
 * It never becomes a JavaScript value: that would lose 64-bit integers, decimals, `1.0`, and a key called
 * `__proto__`. The format stands in sql-common/json_binary.h of the server's source.
 */
import { EventFault } from "./event-fault.ts";
import { DecimalFormat } from "./numbers.ts";
import { fractionText, packedDateText, packedTimeText } from "./temporals.ts";

const LITERALS = ["null", "true", "false"] as const;
/** Type bytes of values whose 16 bits stand in the entry itself. */
const INLINE_16: ReadonlySet<number> = new Set([4, 5, 6]);
const INLINE_32: ReadonlySet<number> = new Set([4, 5, 6, 7, 8]);

const TIMESTAMP = 7;
const DATE = 10;
const TIME = 11;
const DATETIME = 12;
const DECIMAL = 246;

/** No server makes a document with more levels. */
export const JSON_DEPTH_MAX = 100;

export function jsonText(document: Buffer): string {
  // MySQL itself shows a document of no bytes, which INSERT IGNORE can leave behind, as null.
  if (document.length === 0) return "null";
  return new JsonText(document).value(document.readUInt8(0), 1, 1);
}

/** Offsets in a damaged document can lead anywhere, also back to where they stand. */
class JsonText {
  readonly #source: Buffer;
  /** Every byte belongs to one value; a document that takes more of them shows some again and again. */
  #bytesLeft: number;

  constructor(source: Buffer) {
    this.#source = source;
    this.#bytesLeft = source.length;
  }

  value(type: number, at: number, depth: number): string {
    const source = this.#source;
    switch (type) {
      case 0:
      case 1:
        return this.#container(at, { isObject: true, isLarge: type === 1, depth });
      case 2:
      case 3:
        return this.#container(at, { isObject: false, isLarge: type === 3, depth });
      case 4:
        return literalText(source.readUInt8(at));
      case 5:
        return String(source.readInt16LE(at));
      case 6:
        return String(source.readUInt16LE(at));
      case 7:
        return String(source.readInt32LE(at));
      case 8:
        return String(source.readUInt32LE(at));
      case 9:
        return String(source.readBigInt64LE(at));
      case 10:
        return String(source.readBigUInt64LE(at));
      case 11:
        return jsonDoubleText(source.readDoubleLE(at));
      case 12:
        return quoted(this.#variableBytes(at));
      case 15:
        return opaqueText(source.readUInt8(at), this.#variableBytes(at + 1));
      default:
        throw new EventFault(`it holds JSON of the unknown type ${type}`);
    }
  }

  #container(
    at: number,
    { isObject, isLarge, depth }: { isObject: boolean; isLarge: boolean; depth: number },
  ): string {
    if (depth > JSON_DEPTH_MAX) {
      throw new EventFault(`it holds JSON of more than ${JSON_DEPTH_MAX} levels`);
    }
    const source = this.#source;
    const width = isLarge ? 4 : 2;
    const uint = (offset: number): number =>
      isLarge ? source.readUInt32LE(offset) : source.readUInt16LE(offset);
    const inline = isLarge ? INLINE_32 : INLINE_16;
    const count = uint(at);
    const keys = at + 2 * width;
    const values = isObject ? keys + count * (width + 2) : keys;
    this.#spend(values + count * (width + 1) - at);
    let text = isObject ? "{" : "[";
    for (let i = 0; i < count; i += 1) {
      if (i > 0) text += ", ";
      if (isObject) {
        const key = keys + i * (width + 2);
        text += `${quoted(this.#slice(at + uint(key), source.readUInt16LE(key + width)))}: `;
      }
      const entry = values + i * (width + 1);
      const type = source.readUInt8(entry);
      text += this.value(type, inline.has(type) ? entry + 1 : at + uint(entry + 1), depth + 1);
    }
    return text + (isObject ? "}" : "]");
  }

  /** Bytes with their length in front: seven bits a byte, lowest first. */
  #variableBytes(at: number): Buffer {
    let length = 0;
    for (let i = 0; i < 5; i += 1) {
      const byte = this.#source.readUInt8(at + i);
      length += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) return this.#slice(at + i + 1, length);
    }
    throw new EventFault("it holds JSON with a length that does not end");
  }

  #slice(start: number, length: number): Buffer {
    if (start + length > this.#source.length) {
      throw new EventFault("it holds JSON that is cut short");
    }
    this.#spend(length);
    return this.#source.subarray(start, start + length);
  }

  #spend(bytes: number): void {
    this.#bytesLeft -= bytes;
    if (this.#bytesLeft < 0) throw new EventFault("it holds JSON whose parts overlap");
  }
}

interface KeptText {
  readonly bytes: Buffer;
  readonly text: string;
}

const KEPT_LENGTH = 16;
/** Short texts are mostly keys, and the same in every row: so many of the last ones are kept. */
const kept = new Array<KeptText | undefined>(256);

/** The text in these bytes as a JSON string. */
function quoted(bytes: Buffer): string {
  if (bytes.length > KEPT_LENGTH) return JSON.stringify(bytes.toString("utf8"));
  let hash = bytes.length;
  for (let i = 0; i < bytes.length; i += 1) hash = (hash * 31 + (bytes[i] as number)) & 0xff;
  const found = kept[hash];
  if (found !== undefined && isSame(found.bytes, bytes)) return found.text;
  const text = JSON.stringify(bytes.toString("utf8"));
  kept[hash] = { bytes: Buffer.from(bytes), text };
  return text;
}

/** For so few bytes a loop beats the call into Buffer.equals. */
function isSame(one: Buffer, other: Buffer): boolean {
  if (one.length !== other.length) return false;
  for (let i = 0; i < one.length; i += 1) if (one[i] !== other[i]) return false;
  return true;
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
