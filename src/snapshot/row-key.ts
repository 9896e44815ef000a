/**
 * The key of a row as text, in which a checkpoint can hold it, and as it has to stand in a statement.
 *
 * What is digits stays digits. Text and bytes are in hexadecimal, as the table has them: then no letter can
 * be misread on the way, and no value ends a literal.
 */
import { TidemarkError } from "../core/errors.ts";
import type { ColumnType, Rows } from "../core/rows.ts";
import type { RowColumn } from "./row-columns.ts";
import type { RowTable } from "./row-table.ts";

/** One text for each column of the key, in its order. */
export type RowKey = readonly string[];

/** The key of a row that was read. */
export function rowKey({ shape, columns }: RowTable, rows: Rows, row: number): RowKey {
  return shape.primaryKey.map(column => {
    const { type } = (columns[column] as RowColumn).column;
    switch (kindOf(type)) {
      case "number":
      case "moment":
        return rows.cell(row, "after", column).toString();
      case "bits":
        return BigInt(`0x0${storedBytes(rows, row, column).toString("hex")}`).toString();
      case "member":
        return BigInt(`0x0${storedBytes(rows, row, column).reverse().toString("hex")}`).toString();
      case "bytes":
        return storedBytes(rows, row, column).toString("hex");
    }
  });
}

/** A copy. */
function storedBytes(rows: Rows, row: number, column: number): Buffer {
  const { stored } = rows;
  if (stored === undefined) return Buffer.from(rows.cell(row, "after", column));
  const at = stored.first(row, "after") + 2 * column;
  const start = stored.index[at] as number;
  return Buffer.from(stored.data.subarray(start, start + (stored.index[at + 1] as number)));
}

type Kind = "number" | "moment" | "bits" | "member" | "bytes";

function kindOf(type: ColumnType): Kind {
  switch (type) {
    case "tinyint":
    case "smallint":
    case "mediumint":
    case "int":
    case "bigint":
    case "decimal":
    case "float":
    case "double":
    case "year":
      return "number";
    case "date":
    case "time":
    case "datetime":
    case "timestamp":
      return "moment";
    case "bit":
      return "bits";
    case "enum":
    case "set":
      return "member";
    default:
      return "bytes";
  }
}

const SHAPES: Readonly<Record<Kind, RegExp>> = {
  number: /^-?\d+(\.\d+)?(e[+-]?\d+)?$/,
  moment: /^-?[\d]+([-:. ]\d+)*$/,
  bits: /^\d+$/,
  member: /^\d+$/,
  bytes: /^([0-9a-f]{2})*$/,
};

/** As it has to stand in a statement; nothing else than a value can come of it, whatever the text. */
export function keyLiteral({ column, dataType, charset }: RowColumn, value: string): string {
  const kind = kindOf(column.type);
  if (!SHAPES[kind].test(value)) {
    throw new TidemarkError(
      "COMMIT_LOG_UNUSABLE",
      `The checkpoint holds a key that is none of column ${column.name}: begin the snapshot anew.`,
    );
  }
  if (kind === "moment") return `'${value}'`;
  if (kind === "bytes") {
    if (IS_TYPE_OF_MARIADB.test(dataType)) return `CAST(x'${value}' AS ${dataType.toUpperCase()})`;
    return charset === "binary" ? `x'${value}'` : `_${charset} x'${value}'`;
  }
  if (column.type === "float") return exact(Math.fround(Number(value)));
  return column.type === "double" ? exact(Number(value)) : value;
}

/** MariaDB answers with their text, where its binlog has their bytes. */
export const IS_TYPE_OF_MARIADB = /^(uuid|inet4|inet6)$/;

/** With an exponent, so that it is no decimal. */
function exact(value: number): string {
  const text = String(value);
  return text.includes("e") ? text : `${text}e0`;
}
