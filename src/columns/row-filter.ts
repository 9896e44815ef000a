/**
 * Which rows are sent, by simple conditions on their columns. All conditions on a table have to hold.
 *
 * An update is sent if the row before it or the row after it fits: so it is seen when a row leaves what is
 * sent, and nothing remains at the destination as it was. What was not logged could be anything, and fits.
 */
import { TidemarkError } from "../core/errors.ts";
import {
  CellState,
  tableId,
  type Column,
  type Image,
  type Rows,
  type TableShape,
} from "../core/rows.ts";
import { compareNumbers, isNumberText } from "./numbers.ts";

export type Value = string | null;

/** Each that is there has to hold. */
export interface Condition {
  /** One of these. */
  readonly in?: readonly Value[];
  /** None of these. */
  readonly notIn?: readonly Value[];
  readonly lt?: string;
  readonly lte?: string;
  readonly gt?: string;
  readonly gte?: string;
}

export interface RowFilterRule {
  readonly wants: (database: string, table: string) => boolean;
  readonly where: Readonly<Record<string, Condition>>;
}

interface Test {
  readonly column: number;
  readonly fits: (value: Value) => boolean;
  readonly isBits: boolean;
}

export class RowFilter {
  readonly #rules: readonly RowFilterRule[];
  readonly #tests = new WeakMap<TableShape, readonly Test[]>();

  constructor(rules: readonly RowFilterRule[]) {
    this.#rules = rules;
  }

  /** @throws TidemarkError CONFIG_INVALID if a condition does not go with the table. */
  wants(rows: Rows, row: number): boolean {
    const tests = this.#testsOf(rows.table);
    if (tests.length === 0) return true;
    switch (rows.operation) {
      case "insert":
      case "read":
        return fits(tests, rows, row, "after");
      case "delete":
        return fits(tests, rows, row, "before");
      case "update":
        return fits(tests, rows, row, "before") || fits(tests, rows, row, "after");
    }
  }

  #testsOf(table: TableShape): readonly Test[] {
    let tests = this.#tests.get(table);
    if (tests === undefined) {
      tests = this.#rules
        .filter(({ wants }) => wants(table.database, table.name))
        .flatMap(({ where }) =>
          Object.entries(where).map(([name, condition]) => makeTest(table, name, condition)),
        );
      this.#tests.set(table, tests);
    }
    return tests;
  }
}

function fits(tests: readonly Test[], rows: Rows, row: number, image: Image): boolean {
  return tests.every(test => {
    const state = rows.state(row, image, test.column);
    if (state === CellState.absent) return true;
    if (state === CellState.null) return test.fits(null);
    const cell = rows.cell(row, image, test.column);
    return test.fits(
      test.isBits ? BigInt(`0x0${cell.toString("hex")}`).toString() : cell.toString(),
    );
  });
}

function makeTest(table: TableShape, name: string, condition: Condition): Test {
  const column = table.columns.findIndex(each => each.name === name);
  const found = table.columns[column];
  if (found === undefined) {
    throw new TidemarkError(
      "CONFIG_INVALID",
      `\`filter\` names column ${name}, which ${tableId(table)} does not have: correct it, or set a ` +
        "new position behind the change of the table.",
    );
  }
  const compare = comparison(table, found, condition);
  return { column, isBits: found.type === "bit", fits: value => holds(condition, value, compare) };
}

type Compare = (one: string, other: string) => number;

const NUMBERS: ReadonlySet<string> = new Set([
  ...["tinyint", "smallint", "mediumint", "int", "bigint"],
  ...["decimal", "float", "double", "bit", "year"],
]);

/** Numbers by their value; all else by its bytes, in which moments stand in their order. */
function comparison(table: TableShape, { name, type }: Column, condition: Condition): Compare {
  if (!NUMBERS.has(type))
    return (one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other));
  const { in: some = [], notIn = [], lt, lte, gt, gte } = condition;
  const given = [...some, ...notIn, lt, lte, gt, gte];
  if (!given.every(value => value === undefined || value === null || isNumberText(value))) {
    throw new TidemarkError(
      "CONFIG_INVALID",
      `\`filter\` compares column ${tableId(table)}.${name} with what is no number, but it holds numbers.`,
    );
  }
  return compareNumbers;
}

/** As in SQL, NULL fits nothing but itself. */
function holds(condition: Condition, value: Value, compare: Compare): boolean {
  const { in: some, notIn, lt, lte, gt, gte } = condition;
  const isAmong = (values: readonly Value[]): boolean =>
    values.some(each =>
      each === null || value === null ? each === value : compare(value, each) === 0,
    );
  if (some !== undefined && !isAmong(some)) return false;
  if (notIn !== undefined && (isAmong(notIn) || (value === null && !notIn.includes(null)))) {
    return false;
  }
  const bounds = [lt, lte, gt, gte];
  if (value === null) return bounds.every(bound => bound === undefined);
  if (lt !== undefined && compare(value, lt) >= 0) return false;
  if (lte !== undefined && compare(value, lte) > 0) return false;
  if (gt !== undefined && compare(value, gt) <= 0) return false;
  return gte === undefined || compare(value, gte) >= 0;
}
