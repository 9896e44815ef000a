/** Compares what should have arrived with what did, message by message and row by row. */
import type { Arrivals } from "./arrivals.ts";
import { differences, keyOf, type Image, type Table } from "./tables.ts";

export interface Verdict {
  /** Messages that should be there and are not. */
  readonly lost: number;
  /** Messages that are there twice. */
  readonly duplicated: number;
  /** Messages that came after a newer one of the same key. */
  readonly outOfOrder: number;
  /** Messages of changes that were never committed. */
  readonly phantom: number;
  /** Some of each, for a person to look at. */
  readonly examples: readonly string[];
}

type Steps = ReadonlyMap<string, readonly string[]>;

const EXAMPLES_MAX = 10;

export function judge(
  expected: Steps,
  arrivals: Pick<Arrivals, "steps" | "repeated" | "strange">,
): Verdict {
  const examples: string[] = arrivals.strange.map(text => `strange: ${text}`);
  const count = { lost: 0, duplicated: arrivals.repeated, outOfOrder: 0 };
  let phantom = arrivals.strange.length;
  for (const [row, steps] of expected) {
    const arrived = arrivals.steps.get(row) ?? [];
    if (isEqual(steps, arrived)) continue;
    const places = new Map(steps.map((step, index) => [step, index]));
    const seen = new Set<string>();
    let newest = -1;
    for (const step of arrived) {
      const place = places.get(step);
      if (place === undefined) {
        phantom += 1;
        examples.push(`phantom: ${row} ${step}`);
      } else if (seen.has(step)) {
        count.duplicated += 1;
        examples.push(`duplicated: ${row} ${step}`);
      } else if (place < newest) {
        count.outOfOrder += 1;
        examples.push(`out of order: ${row} ${step} after ${steps[newest] ?? ""}`);
      }
      seen.add(step);
      newest = Math.max(newest, place ?? -1);
    }
    for (const step of steps) {
      if (seen.has(step)) continue;
      count.lost += 1;
      examples.push(`lost: ${row} ${step}`);
    }
  }
  for (const [row, steps] of arrivals.steps) {
    if (expected.has(row)) continue;
    phantom += steps.length;
    examples.push(`phantom: ${row} ${steps.join(" ")}`);
  }
  return { ...count, phantom, examples: examples.slice(0, EXAMPLES_MAX) };
}

function isEqual(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((step, index) => step === b[index]);
}

export interface Comparison {
  readonly rows: number;
  readonly different: number;
  readonly examples: readonly string[];
}

/** @param selected the rows as `selectAsText` shows them. */
export function compareRows(
  table: Table,
  selected: readonly Image[],
  mirror: ReadonlyMap<string, Image>,
): Comparison {
  const examples: string[] = [];
  const keys = new Set<string>();
  for (const row of selected) {
    const key = keyOf(table, keyCells(table, row));
    keys.add(key);
    const delivered = mirror.get(key);
    if (!delivered) examples.push(`${table.name} ${key} is missing from the messages`);
    else {
      const columns = differences(table, row, delivered);
      if (columns.length === 0) continue;
      examples.push(`${table.name} ${key} differs in ${columns.join(", ")}`);
    }
  }
  for (const key of mirror.keys()) {
    if (!keys.has(key)) examples.push(`${table.name} ${key} is in the messages only`);
  }
  const different = examples.length;
  return { rows: selected.length, different, examples: examples.slice(0, EXAMPLES_MAX) };
}

/** SELECT shows everything as text; keys are compared as what they are. */
function keyCells(table: Table, row: Image): Image {
  const cell = (column: string): unknown =>
    table.columns[column] === "number" ? Number(row[column]) : row[column];
  return Object.fromEntries(table.key.map(column => [column, cell(column)]));
}
