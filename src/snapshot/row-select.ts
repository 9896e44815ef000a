/**
 * The statement that reads rows of a table in the order of its key.
 *
 *   SELECT … FROM `shop`.`orders` AS t FORCE INDEX (`PRIMARY`)
 *   WHERE ((t.`a` > 7) OR (t.`a` = 7 AND t.`b` > x'6162')) AND (…) ORDER BY t.`a`, t.`b` LIMIT 1000
 *
 * Written out in this way, the condition is a range of the index on every server; (a, b) > (7, 'x') is not.
 */
import { quoted } from "../binlog/statement-answers.ts";
import type { RowColumn } from "./row-columns.ts";
import { keyLiteral, type RowKey } from "./row-key.ts";
import type { RowTable } from "./row-table.ts";

export interface ChunkQuery {
  /** The last row that is not wanted again; from the first row on, if left out. */
  readonly after?: RowKey | undefined;
  readonly limit?: number | undefined;
  /** Rows that are passed by in front of the first one. */
  readonly offset?: number | undefined;
  /** Conditions in SQL, all of which have to hold. */
  readonly where?: readonly string[] | undefined;
}

export function selectStatement(table: RowTable, query: ChunkQuery): string {
  const { after, limit, offset = 0, where = [] } = query;
  const { shape, columns, index } = table;
  const key = shape.primaryKey.map(i => columns[i] as RowColumn);
  const conditions = [
    ...(after === undefined ? [] : [behind(key, after)]),
    ...where.map(condition => `(${condition}\n)`), // A comment at its end must not hide what follows.
  ];
  return [
    `SELECT ${columns.map(({ expression }) => expression).join(", ")}`,
    `FROM ${quoted(shape.database)}.${quoted(shape.name)} AS t`,
    ...(index === undefined ? [] : [`FORCE INDEX (${quoted(index)})`]),
    ...(conditions.length === 0 ? [] : [`WHERE ${conditions.join(" AND ")}`]),
    ...(index === undefined ? [] : [`ORDER BY ${key.map(nameOf).join(", ")}`]),
    ...(limit === undefined ? [] : [`LIMIT ${limit}`]),
    ...(offset === 0 ? [] : [`OFFSET ${offset}`]),
  ].join(" ");
}

function nameOf({ column }: RowColumn): string {
  return `t.${quoted(column.name)}`;
}

function behind(key: readonly RowColumn[], after: RowKey): string {
  const values = key.map((column, i) => keyLiteral(column, after[i] ?? "-"));
  const ranges = key.map((column, i) => {
    const same = key.slice(0, i).map((before, j) => `${nameOf(before)} = ${values[j]}`);
    return `(${[...same, `${nameOf(column)} > ${values[i]}`].join(" AND ")})`;
  });
  return `(${ranges.join(" OR ")})`;
}
