/** Both sides' lines, in the order of the binlog: every difference under the rule that documents it, or none. */
import { differences, type Difference } from "../debezium/differences.ts";
import type { Facts } from "../debezium/facts.ts";
import { Digits, parseExactly, type ExactValue } from "../types/exact-json.ts";
import { ruleNames, rules, type Occurrence, type RuleName } from "./rules.ts";
import type { BothSides } from "./sides.ts";

export interface Verdict {
  readonly records: number;
  readonly transactions: number;
  readonly tables: number;
  readonly documented: Readonly<Record<RuleName | "xid", number>>;
  /** One text each. */
  readonly undocumented: readonly string[];
}

type Fields = Readonly<Record<string, ExactValue>>;

export function judge({ maxwell, tidemark }: BothSides, facts: Facts): Verdict {
  const documented = {
    ...(Object.fromEntries(ruleNames.map(name => [name, 0])) as Record<RuleName, number>),
    xid: 0,
  };
  const undocumented: string[] = [];
  const tables = new Set<string>();
  const xids = new Xids();
  if (maxwell.length !== tidemark.length) {
    undocumented.push(`${maxwell.length} lines of Maxwell, ${tidemark.length} of Tidemark`);
  }
  const records = Math.min(maxwell.length, tidemark.length);
  for (let i = 0; i < records; i += 1) {
    const theirs = parseExactly(maxwell[i] ?? "") as Fields;
    const ours = parseExactly(tidemark[i] ?? "") as Fields;
    const table = typeof ours["table"] === "string" ? ours["table"] : "";
    tables.add(table);
    if (xids.isWrong(theirs["xid"], ours["xid"])) undocumented.push(`${table} ${i}: wrong xid`);
    else documented.xid += 1;
    for (const difference of rowDifferences(withoutXid(theirs), withoutXid(ours))) {
      const column = facts.column(table, difference.path[1] ?? "");
      const { path, debezium, tidemark: shown } = difference;
      const maxwellShown = debezium === undefined ? unchangedValue(theirs, path) : debezium;
      const occurrence: Occurrence = { path, maxwell: maxwellShown, tidemark: shown, column };
      const rule = ruleNames.find(name => rules[name](occurrence));
      if (rule === undefined) undocumented.push(`${table} ${i}: ${textOf(occurrence)}`);
      else documented[rule] += 1;
    }
  }
  return { records, transactions: xids.size, tables: tables.size, documented, undocumented };
}

/** What a column that Maxwell leaves out of `old` was, as Maxwell sees it: the same as it is now. */
function unchangedValue(fields: Fields, path: readonly string[]): ExactValue | undefined {
  const [part = "", name = ""] = path;
  return part === "old" ? (fields["data"] as Fields)[name] : undefined;
}

function withoutXid(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => name !== "xid"));
}

/** Differences of whole columns: what is inside a document is looked at by a rule. */
function rowDifferences(theirs: Fields, ours: Fields): Difference[] {
  const found = differences([], theirs, ours);
  const seen = new Set<string>();
  return found.flatMap(difference => {
    const [part = "", name = ""] = difference.path;
    if (difference.path.length < 3) return [difference];
    const key = JSON.stringify([part, name]);
    if (seen.has(key)) return [];
    seen.add(key);
    const inside = (fields: Fields): ExactValue | undefined => (fields[part] as Fields)[name];
    return [{ path: [part, name], debezium: inside(theirs), tidemark: inside(ours) }];
  });
}

/** Each transaction has a number of its own on either side, and no two share one. */
class Xids {
  readonly #ours = new Map<string, string>();
  readonly #theirs = new Map<string, string>();

  get size(): number {
    return this.#ours.size;
  }

  isWrong(theirs: ExactValue | undefined, ours: ExactValue | undefined): boolean {
    if (!(ours instanceof Digits)) return true;
    if (theirs === undefined) return false; // A table without transactions has none in MySQL.
    if (!(theirs instanceof Digits)) return true;
    const known = this.#ours.get(theirs.text) ?? ours.text;
    const back = this.#theirs.get(ours.text) ?? theirs.text;
    this.#ours.set(theirs.text, ours.text);
    this.#theirs.set(ours.text, theirs.text);
    return known !== ours.text || back !== theirs.text;
  }
}

const SHOWN_MAX = 120;

function textOf({ path, maxwell, tidemark, column }: Occurrence): string {
  const shown = (value: ExactValue | undefined): string =>
    value === undefined ? "nothing" : JSON.stringify(value).slice(0, SHOWN_MAX);
  const type = column === undefined ? "" : ` (${column.type.slice(0, SHOWN_MAX)})`;
  return `${path.join(" ")}${type} is ${shown(maxwell)} in Maxwell, ${shown(tidemark)} in Tidemark`;
}
