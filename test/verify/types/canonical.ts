/**
 * The canonical form of a cell (docs/types.md) from three sides: SELECT's answers, the line that
 * `tidemark decode` prints, and the value that go-mysql gives.
 */
import { Digits, parseExactly, type ExactValue } from "./exact-json.ts";
import { question, type Form } from "./forms.ts";

/** What has to be known of a column to tell its cells. */
export type Shape =
  | { readonly kind: "integer"; readonly bits: number; readonly unsigned: boolean }
  | { readonly kind: "decimal" | "float" | "double" | "year" | "date" | "json" }
  | { readonly kind: "bits"; readonly length: number }
  | { readonly kind: "time" | "datetime" | "timestamp"; readonly scale: number }
  | { readonly kind: "text"; readonly charset: string }
  | { readonly kind: "enum" | "set"; readonly members: readonly string[] }
  /** `size`: of a BINARY, whose zero bytes at the end are not in the log. */
  | { readonly kind: "bytes"; readonly size: number };

const UTF8: ReadonlySet<string> = new Set(["utf8mb4", "utf8mb3", "utf8", "ascii"]);

/** The second question, where there is one: the bytes of text in a set that is not UTF-8. */
export function questions(shape: Shape, column: string): readonly string[] {
  const first = question(FORMS[shape.kind], column);
  if (shape.kind !== "text" || UTF8.has(shape.charset)) return [first];
  return [first, `HEX(${column})`];
}

const FORMS: Readonly<Record<Shape["kind"], Form>> = {
  integer: "integer",
  decimal: "decimal",
  float: "float",
  double: "double",
  year: "year",
  date: "date",
  json: "json",
  bits: "bits",
  time: "time",
  datetime: "datetime-us",
  timestamp: "timestamp",
  text: "text",
  enum: "text",
  set: "text",
  bytes: "bytes",
};

/** The canonical text of what SELECT answered; bytes are in base64, as `decode` shows them. */
export function selected(shape: Shape, answer: string): string {
  switch (shape.kind) {
    case "float":
      return floatText(Number(answer));
    case "double":
      return doubleText(Number(answer));
    case "bits":
      return bitsText(BigInt(`0x${answer}`), shape.length);
    case "bytes":
      return Buffer.from(answer, "hex").toString("base64");
    default:
      return answer;
  }
}

/** The canonical text in a cell of a line of `decode`. */
export function decoded(shape: Shape, cell: string): string {
  switch (shape.kind) {
    case "integer":
    case "float":
    case "double":
    case "json":
      return cell;
    default:
      return JSON.parse(cell) as string;
  }
}

/**
 * What go-mysql itself cannot tell; SELECT alone is the judge there. Of bytes inside JSON it gives
 * neither the type nor what is no UTF-8; it gives dates a time, and zero times no fraction.
 */
export const EXCEPTIONS = ["json bytes", "json date or time"] as const;

export type Exception = (typeof EXCEPTIONS)[number];

export type Comparison = "same" | "different" | Exception;

/**
 * How go-mysql's cell compares with ours.
 * @param shown ours, in canonical form
 * @param bytes SELECT's answer to the second question
 */
export function compareGoMysql(
  shape: Shape,
  cell: string,
  { shown, bytes }: { shown: string; bytes: string | null | undefined },
): Comparison {
  const isSame = (flag: boolean): "same" | "different" => (flag ? "same" : "different");
  const value = cell.slice(1);
  const raw = (): Buffer => Buffer.from(value, "hex");
  switch (shape.kind) {
    case "integer":
      return isSame(wrapped(BigInt(value), shape) === shown);
    case "year":
      return isSame(value.padStart(4, "0") === shown);
    case "float":
      return isSame(floatText(Number(value)) === shown);
    case "double":
      return isSame(doubleText(Number(value)) === shown);
    case "bits":
      return isSame(bitsText(BigInt.asUintN(64, BigInt(value)), shape.length) === shown);
    case "enum":
      return isSame((shape.members[Number(value) - 1] ?? "") === shown);
    case "set":
      return isSame(membersText(shape.members, BigInt.asUintN(64, BigInt(value))) === shown);
    case "time":
    case "datetime":
    case "timestamp":
      return isSame(withFraction(raw().toString(), shape.scale) === shown);
    case "text":
      return isSame(
        UTF8.has(shape.charset) ? raw().toString() === shown : value.toUpperCase() === bytes,
      );
    case "bytes":
      return isSame(padded(raw(), shape.size).toString("base64") === shown);
    case "json":
      // An empty document is null to MySQL.
      return compareJson(parseExactly(shown), parseExactly(raw().toString() || "null"));
    default:
      return isSame(raw().toString() === shown);
  }
}

/** go-mysql knows no sign. */
function wrapped(value: bigint, { bits, unsigned }: { bits: number; unsigned: boolean }): string {
  return (unsigned ? BigInt.asUintN(bits, value) : BigInt.asIntN(bits, value)).toString();
}

/** The shortest text that reads back as the same 32-bit float. */
function floatText(value: number): string {
  const single = Math.fround(value);
  if (single === 0) return doubleText(single); // toPrecision forgets its sign.
  for (let digits = 1; digits < 9; digits += 1) {
    const rounded = Number(single.toPrecision(digits));
    if (Math.fround(rounded) === single) return doubleText(rounded);
  }
  return doubleText(Number(single.toPrecision(9)));
}

function doubleText(value: number): string {
  return Object.is(value, -0) ? "-0" : String(value);
}

function bitsText(value: bigint, length: number): string {
  return value.toString(2).padStart(length, "0").slice(-length);
}

function membersText(members: readonly string[], bits: bigint): string {
  return members.filter((_, i) => (bits >> BigInt(i)) & 1n).join(",");
}

/** go-mysql leaves a fraction of zeros out. */
function withFraction(text: string, scale: number): string {
  return scale === 0 || text.includes(".") ? text : `${text}.${"0".repeat(scale)}`;
}

function padded(bytes: Buffer, size: number): Buffer {
  return bytes.length < size ? Buffer.concat([bytes], size) : bytes;
}

/** go-mysql sorts keys, writes decimals as text, and a double without exponent. */
function compareJson(ours: ExactValue, theirs: ExactValue): Comparison {
  if (ours instanceof Digits) return isSameNumber(ours.text, theirs) ? "same" : "different";
  if (typeof ours === "string") return compareText(ours, theirs);
  if (ours === null || typeof ours === "boolean") return ours === theirs ? "same" : "different";
  if (theirs === null || typeof theirs !== "object" || theirs instanceof Digits) return "different";
  if (Array.isArray(ours) !== Array.isArray(theirs)) return "different";
  const [mine, other] = [new Map(Object.entries(ours)), new Map(Object.entries(theirs))];
  if (mine.size !== other.size) return "different";
  let result: Comparison = "same";
  for (const [name, value] of mine) {
    const counterpart = other.get(name);
    if (counterpart === undefined) return "different";
    const compared = compareJson(value, counterpart);
    if (compared === "different") return compared;
    if (compared !== "same") result = compared;
  }
  return result;
}

function isSameNumber(ours: string, theirs: ExactValue): boolean {
  if (typeof theirs === "string") return ours === theirs;
  if (!(theirs instanceof Digits)) return false;
  if (/^-?\d+$/.test(ours)) return ours === theirs.text;
  return Object.is(Number(ours), Number(theirs.text));
}

function compareText(ours: string, theirs: ExactValue): Comparison {
  if (ours === theirs) return "same";
  // Bytes lose their type, and what of them is no UTF-8.
  if (ours.startsWith("base64:type") && typeof theirs === "string") return "json bytes";
  // A date gets a time, and what is zero loses its fraction.
  const shapes = [`${ours} 00:00:00.000000`, `${ours} 00:00:00`, ours.replace(/\.000000$/, "")];
  if (/^-?\d\d[\d:. -]*$/.test(ours) && shapes.some(shape => shape === theirs)) {
    return "json date or time";
  }
  return "different";
}
