/**
 * How a value that SELECT shows has to look in a message of the format `debezium`: docs/types.md and
 * docs/formats.md, written a second time from the side of SQL.
 */
import { Digits, type ExactValue } from "./exact-json.ts";

export type Form =
  | "integer"
  | "decimal"
  | "float"
  | "double"
  | "boolean"
  | "bits"
  | "year"
  | "date"
  | "time"
  | "datetime-ms"
  | "datetime-us"
  | "timestamp"
  | "text"
  | "json"
  /** As MySQL 5.7 prints it: 1 for 1.0, and line breaks within strings. */
  | "json-5"
  | "bytes"
  | "geometry"
  | "point"
  | "vector";

/** What has to be asked of the column, so that the answer tells all of the value. */
export function question(form: Form, column: string): string {
  switch (form) {
    case "float":
    case "double":
      return `${column} * 1e0`; // Added to zero, a negative zero would lose its sign.
    case "boolean":
      return `${column} + 0`;
    case "bits":
      return `HEX(CAST(${column} AS BINARY))`;
    case "bytes":
    case "geometry":
    case "point":
    case "vector":
      return `HEX(${column})`;
    default:
      return `CAST(${column} AS CHAR)`;
  }
}

/** True if the message shows what SELECT answered. */
export function isShown(form: Form, answer: string | null, shown: ExactValue | undefined): boolean {
  if (answer === null) return shown === null;
  if (form === "float" || form === "double") return isSameReal(form, answer, shown);
  if (form === "json-5") return typeof shown === "string" && asIn57(shown) === answer;
  return JSON.stringify(shown) === JSON.stringify(expected(form, answer));
}

function asIn57(json: string): string {
  return json.replace(/"(?:[^"\\]|\\.)*"|(\d)\.0(?=[,\]}]|$)/g, (token, digit?: string) =>
    token.startsWith('"base64:') ? token.replaceAll("\\n", "\n") : (digit ?? token),
  );
}

function isSameReal(
  form: "float" | "double",
  answer: string,
  shown: ExactValue | undefined,
): boolean {
  if (!(shown instanceof Digits)) return false;
  const [want, got] = [Number(answer), Number(shown.text)];
  return Object.is(want, form === "float" ? Math.fround(got) : got);
}

export function expected(form: Form, answer: string): ExactValue {
  switch (form) {
    case "integer":
      return new Digits(answer);
    case "year":
      return new Digits(String(Number(answer)));
    case "boolean":
      return answer === "1";
    case "bits":
      return Buffer.from(answer, "hex").reverse().toString("base64");
    case "date":
      return daysOf(answer);
    case "time":
      return new Digits(String(timeMicros(answer)));
    case "datetime-ms":
      return momentOf(answer, micros => micros / 1_000n);
    case "datetime-us":
      return momentOf(answer, micros => micros);
    case "timestamp":
      return timestampText(answer);
    case "bytes":
      return Buffer.from(answer, "hex").toString("base64");
    case "geometry":
      return geometryOf(Buffer.from(answer, "hex"));
    case "point":
      return pointOf(Buffer.from(answer, "hex"));
    case "vector":
      return vectorOf(Buffer.from(answer, "hex"));
    default:
      return answer;
  }
}

const DAY_MS = 86_400_000;

/** Milliseconds since 1970 of a day, undefined where there is no such day. */
function dayMs(text: string): number | undefined {
  const [year = 0, month = 0, day = 0] = text.slice(0, 10).split("-").map(Number);
  if (year === 0 || month === 0 || day === 0) return undefined;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  return date.getUTCDate() === day ? date.getTime() : undefined;
}

function daysOf(text: string): ExactValue {
  const ms = dayMs(text);
  return ms === undefined ? null : new Digits(String(Math.round(ms / DAY_MS)));
}

function timeMicros(text: string): bigint {
  const [, sign = "", hours = "", minutes = "", seconds = "", fraction = ""] =
    /^(-?)(\d+):(\d\d):(\d\d)(?:\.(\d+))?$/.exec(text) ?? [];
  const whole = (BigInt(hours) * 60n + BigInt(minutes)) * 60n + BigInt(seconds);
  const micros = whole * 1_000_000n + BigInt(fraction.padEnd(6, "0"));
  return sign === "-" ? -micros : micros;
}

function momentOf(text: string, unit: (micros: bigint) => bigint): ExactValue {
  const ms = dayMs(text);
  if (ms === undefined) return null;
  return new Digits(String(unit(BigInt(ms) * 1_000n + timeMicros(text.slice(11)))));
}

function timestampText(text: string): string | null {
  return text.startsWith("0000-00-00") ? null : `${text.replace(" ", "T")}Z`;
}

type Fields = Readonly<Record<string, ExactValue>>;

function geometryOf(stored: Buffer): Fields {
  const srid = stored.readUInt32LE(0);
  return {
    wkb: stored.toString("base64", 4),
    srid: srid === 0 ? null : new Digits(String(srid)),
  };
}

/** SRID, byte order and kind stand before the coordinates. */
function pointOf(stored: Buffer): ExactValue {
  const [x, y] = [stored.readDoubleLE(9), stored.readDoubleLE(17)];
  return { x: real(x), y: real(y), ...geometryOf(stored) };
}

function real(value: number): Digits {
  const text = String(value);
  return new Digits(/[.e]/.test(text) ? text : `${text}.0`);
}

function vectorOf(stored: Buffer): ExactValue {
  return Array.from({ length: stored.length / 4 }, (_, i) => {
    const value = stored.readFloatLE(4 * i);
    const digits = [6, 7, 8, 9].find(
      count => Math.fround(Number(value.toPrecision(count))) === value,
    );
    return real(Number(value.toPrecision(digits ?? 9)));
  });
}
