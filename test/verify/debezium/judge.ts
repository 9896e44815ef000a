/** Both sides' records, table by table: every difference under the rule that documents it, or none. */
import type { RawRecord } from "../kafka-wire.ts";
import { Digits, parseExactly, type ExactValue } from "../types/exact-json.ts";
import { differences, type Difference } from "./differences.ts";
import type { Facts } from "./facts.ts";
import { ruleNames, rules, type Occurrence, type RuleName } from "./rules.ts";
import type { BothSides } from "./sides.ts";

export interface Verdict {
  readonly records: number;
  readonly tombstones: number;
  readonly tables: number;
  readonly documented: Readonly<Record<RuleName | "keyless_tombstone", number>>;
  /** One text each. */
  readonly undocumented: readonly string[];
}

interface Parsed {
  readonly key: ExactValue;
  readonly value: ExactValue;
  readonly headers: Readonly<Record<string, string>>;
}

export function judge({ debezium, tidemark }: BothSides, facts: Facts): Verdict {
  const documented = {
    ...(Object.fromEntries(ruleNames.map(name => [name, 0])) as Record<RuleName, number>),
    keyless_tombstone: 0,
  };
  const undocumented: string[] = [];
  let records = 0;
  let tombstones = 0;
  const tables = new Set([...debezium.keys(), ...tidemark.keys()]);
  for (const table of tables) {
    const all = (debezium.get(table) ?? []).map(parsed);
    const theirs = all.filter(({ key, value }) => key !== null || value !== null);
    documented.keyless_tombstone += all.length - theirs.length;
    const ours = (tidemark.get(table) ?? []).map(parsed);
    if (theirs.length !== ours.length) {
      undocumented.push(
        `${table}: ${theirs.length} records of Debezium, ${ours.length} of Tidemark`,
      );
    }
    for (const [i, record] of theirs.entries()) {
      const other = ours[i];
      if (other === undefined) break;
      records += 1;
      if (record.value === null) tombstones += 1;
      for (const difference of recordDifferences(record, other)) {
        const occurrence = occurrenceOf(table, { difference, record, facts });
        const rule = ruleNames.find(name => rules[name](occurrence));
        if (rule === undefined) undocumented.push(`${table} ${i}: ${textOf(difference)}`);
        else documented[rule] += 1;
      }
    }
  }
  return { records, tombstones, tables: tables.size, documented, undocumented };
}

function parsed({ key, value, headers }: RawRecord): Parsed {
  const json = (bytes: Buffer | null): ExactValue =>
    bytes === null ? null : parseExactly(bytes.toString());
  return { key: json(key), value: json(value), headers };
}

function recordDifferences(theirs: Parsed, ours: Parsed): Difference[] {
  return (["key", "value", "headers"] as const).flatMap(part =>
    differences([part], theirs[part], ours[part]),
  );
}

function occurrenceOf(
  table: string,
  { difference, record, facts }: { difference: Difference; record: Parsed; facts: Facts },
): Occurrence {
  const { path } = difference;
  const name = path[0] === "key" ? path[1] : path[2];
  const column = name === undefined ? undefined : facts.column(table, name);
  const { op: operation } = (record.value ?? {}) as { op?: ExactValue };
  return { ...difference, table, column, operation, committedAtMs: committedAtMs(record.value) };
}

function committedAtMs(value: ExactValue): number {
  const { source } = (value ?? {}) as { source?: { ts_ms?: ExactValue } };
  return source?.ts_ms instanceof Digits ? Number(source.ts_ms.text) : Number.NaN;
}

const SHOWN_MAX = 120;

function textOf({ path, debezium, tidemark }: Difference): string {
  const shown = (value: ExactValue | undefined): string =>
    value === undefined ? "nothing" : JSON.stringify(value).slice(0, SHOWN_MAX);
  return `${path.join(" ")} is ${shown(debezium)} in Debezium, ${shown(tidemark)} in Tidemark`;
}
