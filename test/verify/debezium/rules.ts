/**
 * The differences that docs/formats.md lists, each as a rule that says whether this is one. What no rule
 * allows is a fault.
 */
import { Digits, parseExactly, type ExactValue } from "../types/exact-json.ts";
import type { Difference } from "./differences.ts";
import type { ColumnFacts } from "./facts.ts";
import { isSameDocument } from "./json-documents.ts";

export interface Occurrence extends Difference {
  readonly table: string;
  /** Of the column in which the difference lies. */
  readonly column: ColumnFacts | undefined;
  /** The moment of the commit, as Debezium shows it. */
  readonly committedAtMs: number;
  /** `op` of the record. */
  readonly operation: ExactValue | undefined;
}

type Rule = (occurrence: Occurrence) => boolean;

const TWO_TO_32 = 2n ** 32n;
const TWO_TO_64 = 2n ** 64n;
const MS_PER_DAY = 86_400_000n;
const MS_PER_HOUR = 3_600_000;

const isColumn = ({ path: [part, image], column }: Occurrence): boolean =>
  column !== undefined &&
  (part === "key" || (part === "value" && (image === "before" || image === "after")));

const isField = ({ path }: Occurrence, ...wanted: string[]): boolean =>
  path.length === wanted.length && wanted.every((name, i) => name === path[i]);

const digits = (value: ExactValue | undefined): string | undefined =>
  value instanceof Digits ? value.text : undefined;

export const rules = {
  /** BIGINT UNSIGNED above 2^63 − 1, and INT UNSIGNED above 2^31 − 1 where it was called INTEGER. */
  unsigned: occurrence => {
    const [theirs, ours] = [digits(occurrence.debezium), digits(occurrence.tidemark)];
    if (theirs === undefined || ours === undefined || !isColumn(occurrence)) return false;
    const { type = "" } = occurrence.column ?? {};
    const size = type === "bigint unsigned" ? TWO_TO_64 : type === "int unsigned" ? TWO_TO_32 : 0n;
    return size > 0n && theirs.startsWith("-") && BigInt(theirs) + size === BigInt(ours);
  },
  /** BINARY and VARBINARY that were called by the name of a type of text. */
  binary_as_text: occurrence => {
    const { debezium, tidemark, column } = occurrence;
    if (typeof debezium !== "string" || typeof tidemark !== "string") return false;
    if (!isColumn(occurrence) || !/^(var)?binary\(/.test(column?.type ?? "")) return false;
    const bytes = Buffer.from(tidemark, "base64").toString("latin1");
    return bytes.replace(/\0+$/, "") === debezium;
  },
  /** NULL in a column that has a default. */
  null_with_default: occurrence =>
    isColumn(occurrence) &&
    occurrence.column?.hasDefault === true &&
    occurrence.tidemark === null &&
    occurrence.debezium !== null &&
    occurrence.debezium !== undefined,
  year_zero: occurrence =>
    isColumn(occurrence) &&
    occurrence.column?.type === "year" &&
    digits(occurrence.debezium) === "1900" &&
    digits(occurrence.tidemark) === "0",
  /** FLOAT(m,d) widened to a double. */
  float_with_digits: occurrence => {
    const [theirs, ours] = [digits(occurrence.debezium), digits(occurrence.tidemark)];
    if (theirs === undefined || ours === undefined || !isColumn(occurrence)) return false;
    if (occurrence.column?.type.startsWith("float(") !== true) return false;
    return Math.fround(Number(ours)) === Number(theirs);
  },
  /** The same number, written otherwise. */
  number_form: occurrence => {
    const [theirs, ours] = [digits(occurrence.debezium), digits(occurrence.tidemark)];
    if (theirs === undefined || ours === undefined || !isColumn(occurrence)) return false;
    const [kind = ""] = /^(float|double|vector|point)/.exec(occurrence.column?.type ?? "") ?? [];
    if (kind === "" || !/[.e]/.test(ours)) return false;
    const round = kind === "float" || kind === "vector" ? Math.fround : Number;
    return Object.is(round(Number(theirs)), round(Number(ours)));
  },
  /** The years 1 to 99 are moved to 1970 to 2069. */
  year_of_two_digits: occurrence => {
    const [theirs, ours] = [digits(occurrence.debezium), digits(occurrence.tidemark)];
    if (theirs === undefined || ours === undefined || !isColumn(occurrence)) return false;
    const perDay = unitsPerDay(occurrence.column?.type ?? "");
    return perDay !== undefined && movedYear(BigInt(ours), perDay) === BigInt(theirs);
  },
  enum_comma: ({ debezium, tidemark, ...occurrence }) =>
    isColumn({ ...occurrence, debezium, tidemark }) &&
    occurrence.column?.type.startsWith("enum(") === true &&
    typeof tidemark === "string" &&
    tidemark.includes(",") &&
    tidemark.replaceAll(",", "\\,") === debezium,
  bool: occurrence =>
    isColumn(occurrence) &&
    occurrence.column?.type === "tinyint(1)" &&
    typeof occurrence.debezium === "boolean" &&
    digits(occurrence.tidemark) !== undefined &&
    (digits(occurrence.tidemark) !== "0") === occurrence.debezium,
  json_text: occurrence =>
    isColumn(occurrence) &&
    occurrence.column?.type === "json" &&
    typeof occurrence.debezium === "string" &&
    typeof occurrence.tidemark === "string" &&
    isSameDocument(parseExactly(occurrence.debezium), parseExactly(occurrence.tidemark)),
  source_version: occurrence => isField(occurrence, "value", "source", "version"),
  /** When the message was made. */
  processing_time: occurrence => {
    const ours = digits(occurrence.tidemark);
    if (ours === undefined) return false;
    const unitsPerMs = { ts_ms: "", ts_us: "000", ts_ns: "000000" };
    return Object.entries(unitsPerMs).some(([name, zeros]) => {
      if (!isField(occurrence, "value", name) || !ours.endsWith(zeros)) return false;
      const afterMs = Number(ours.slice(0, ours.length - zeros.length)) - occurrence.committedAtMs;
      return afterMs >= 0 && afterMs < MS_PER_HOUR;
    });
  },
  /** The commit of a TRUNCATE, which Debezium shows in whole milliseconds. */
  truncate_time: occurrence => {
    const [theirs, ours] = [digits(occurrence.debezium), digits(occurrence.tidemark)];
    if (occurrence.operation !== "t" || theirs === undefined || ours === undefined) return false;
    const digitsBelowMs = { ts_us: 3, ts_ns: 6 };
    return Object.entries(digitsBelowMs).some(
      ([name, count]) =>
        isField(occurrence, "value", "source", name) &&
        theirs === ours.slice(0, -count) + "0".repeat(count),
    );
  },
  /** Headers of Debezium's own. */
  headers: ({ path: [part, name], tidemark }) =>
    part === "headers" && name?.startsWith("__debezium.") === true && tidemark === undefined,
  own_headers: ({ path: [part, name], debezium }) =>
    part === "headers" &&
    ["id", "pipeline", "transaction", "position"].includes(name ?? "") &&
    debezium === undefined,
} as const satisfies Record<string, Rule>;

export type RuleName = keyof typeof rules;

export const ruleNames = Object.keys(rules) as RuleName[];

/** Of a DATE or DATETIME. */
function unitsPerDay(type: string): bigint | undefined {
  if (type === "date") return 1n;
  const [, scale] = /^datetime(?:\((\d)\))?$/.exec(type) ?? [undefined, undefined];
  if (!type.startsWith("datetime")) return undefined;
  return Number(scale ?? 0) <= 3 ? MS_PER_DAY : MS_PER_DAY * 1_000n;
}

/** Undefined for a year that Debezium leaves alone. */
function movedYear(units: bigint, perDay: bigint): bigint | undefined {
  const inDay = ((units % perDay) + perDay) % perDay;
  const day = new Date(Number(((units - inDay) / perDay) * MS_PER_DAY));
  const year = day.getUTCFullYear();
  if (year < 1 || year > 99) return undefined;
  day.setUTCFullYear(year + (year < 70 ? 2_000 : 1_900));
  return (BigInt(day.getTime()) / MS_PER_DAY) * perDay + inDay;
}
