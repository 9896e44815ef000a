/**
 * The differences that docs/formats.md lists under `maxwell`, each as a rule that says whether this is one.
 * What no rule allows is a fault.
 */
import { isSameDocument } from "../debezium/json-documents.ts";
import type { ColumnFacts } from "../debezium/facts.ts";
import { Digits, type ExactValue } from "../types/exact-json.ts";

export interface Occurrence {
  /** Field names from the outside in; `data price`. */
  readonly path: readonly string[];
  /** Undefined: not there. */
  readonly maxwell: ExactValue | undefined;
  readonly tidemark: ExactValue | undefined;
  /** Of the column in which the difference lies. */
  readonly column: ColumnFacts | undefined;
}

type Rule = (occurrence: Occurrence) => boolean;

const digits = (value: ExactValue | undefined): string | undefined =>
  value instanceof Digits ? value.text : undefined;

const isOfType = ({ column }: Occurrence, type: RegExp): boolean =>
  column !== undefined && type.test(column.type);

export const rules = {
  xoffset: ({ path, maxwell, tidemark }) =>
    path.join() === "xoffset" && digits(maxwell) !== undefined && tidemark === undefined,
  /** Below zero, of 24 hours and more, or with a fraction. */
  time: occurrence => {
    const { tidemark } = occurrence;
    if (typeof tidemark !== "string" || !isOfType(occurrence, /^time(\(|$)/)) return false;
    return tidemark.startsWith("-") || tidemark.includes(".") || Number.parseInt(tidemark) >= 24;
  },
  /** A month or day 00. */
  partial_date: occurrence => {
    const { maxwell, tidemark } = occurrence;
    if (typeof maxwell !== "string" || typeof tidemark !== "string") return false;
    if (!isOfType(occurrence, /^date/)) return false;
    return /^\d{4}-(00-\d\d|\d\d-00)/.test(tidemark) && maxwell.startsWith("0000-00-00");
  },
  /** Days that the calendar of Java leaves out. */
  missing_days: occurrence => {
    const { maxwell, tidemark } = occurrence;
    if (typeof maxwell !== "string" || typeof tidemark !== "string") return false;
    return isOfType(occurrence, /^date/) && /^1582-10-(0[5-9]|1[0-4])/.test(tidemark);
  },
  enum_quotes: occurrence =>
    isOfType(occurrence, /^enum\(/) &&
    typeof occurrence.maxwell === "string" &&
    occurrence.maxwell.includes("''") &&
    occurrence.maxwell.replaceAll("''", "'") === occurrence.tidemark,
  year_zero: occurrence =>
    isOfType(occurrence, /^year/) &&
    digits(occurrence.maxwell) === "1900" &&
    digits(occurrence.tidemark) === "0",
  binary_zeros: occurrence => {
    const { maxwell, tidemark } = occurrence;
    if (typeof maxwell !== "string" || typeof tidemark !== "string") return false;
    const bytes = (text: string): string => Buffer.from(text, "base64").toString("latin1");
    return (
      isOfType(occurrence, /^binary\(/) &&
      bytes(tidemark).replace(/\0+$/, "") === bytes(maxwell).replace(/\0+$/, "")
    );
  },
  enum_invalid: occurrence =>
    isOfType(occurrence, /^enum\(/) && occurrence.maxwell === null && occurrence.tidemark === "",
  /** The same number, written otherwise. */
  number_form: occurrence => {
    const [theirs, ours] = [digits(occurrence.maxwell), digits(occurrence.tidemark)];
    if (theirs === undefined || ours === undefined) return false;
    const round = isOfType(occurrence, /^float/) ? Math.fround : Number;
    if (isOfType(occurrence, /^(float|double)/)) {
      return Object.is(round(Number(theirs)), round(Number(ours)));
    }
    return isOfType(occurrence, /^decimal/) && plainDecimal(theirs) === plainDecimal(ours);
  },
  json_text: occurrence => {
    const { maxwell, tidemark } = occurrence;
    if (maxwell === undefined || tidemark === undefined) return false;
    return isOfType(occurrence, /^json/) && isSameDocument(maxwell, tidemark);
  },
} as const satisfies Record<string, Rule>;

export type RuleName = keyof typeof rules;

export const ruleNames = Object.keys(rules) as RuleName[];

/** `1E-7` as `0.0000001`, without zeros at the end. */
function plainDecimal(text: string): string {
  const [, sign = "", whole = "", fraction = "", power = "0"] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? [];
  const point = whole.length + Number(power);
  const all = `${"0".repeat(Math.max(0, -point))}${whole}${fraction}`;
  const at = Math.max(0, point);
  const padded = all.padEnd(at, "0");
  const left = padded.slice(0, at).replace(/^0+/, "");
  const right = padded.slice(at).replace(/0+$/, "");
  return `${sign}${left || "0"}.${right}`;
}
