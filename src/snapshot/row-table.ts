/** A table as a snapshot has to know it: what to ask for, and in which order its rows can be read. */
import type { TableDefinition } from "../binlog/definitions.ts";
import { quoted, text, type Ask } from "../binlog/statement-answers.ts";
import { readDefinition } from "../binlog/table-reading.ts";
import type { StoredForm, TableShape } from "../core/rows.ts";
import { rowColumns, type RowColumn } from "./row-columns.ts";

export interface RowTable {
  /** The same as that of the stream's rows. */
  readonly shape: TableShape;
  readonly columns: readonly RowColumn[];
  readonly forms: readonly StoredForm[];
  /** The name of the index that holds the key; undefined where rows cannot be read in the order of one. */
  readonly index: string | undefined;
}

interface KeyPart {
  readonly index: string;
  /** Its number; -1 for an expression. */
  readonly column: number;
  readonly isUnique: boolean;
  /** Only so much of the column is in the index. */
  readonly isPrefix: boolean;
}

/**
 * @param namesUnique whether the server's binlog takes the first unique key without NULL for the primary
 *   key of a table that has none: with row metadata FULL.
 * @returns undefined for a table that is not there, or that our user may not read.
 */
export async function describeTable(
  ask: Ask,
  { database, name }: { readonly database: string; readonly name: string },
  namesUnique: boolean,
): Promise<RowTable | undefined> {
  const found = await readDefinition(ask, { database, name });
  if (found.columns.length === 0) return undefined;
  const keys = await ask(`SHOW KEYS FROM ${quoted(database)}.${quoted(name)}`);
  const names = found.columns.map(column => column.name);
  const parts = keys.map((row): KeyPart => ({
    index: text(row, "Key_name"),
    column: names.indexOf(text(row, "Column_name")),
    isUnique: text(row, "Non_unique") === "0",
    isPrefix: text(row, "Sub_part") !== "",
  }));
  const index = parts.some(part => part.index === PRIMARY)
    ? PRIMARY
    : namesUnique
      ? firstUnique(parts, found)
      : undefined;
  const key = parts.filter(part => part.index === index);
  const definition: TableDefinition = {
    ...found,
    primaryKey: key.map(({ column }) => column),
  };
  const columns = rowColumns(definition);
  return {
    shape: {
      database,
      name,
      columns: columns.map(({ column }) => column),
      primaryKey: definition.primaryKey,
    },
    columns,
    forms: columns.map(({ form }) => form),
    index: key.some(({ isPrefix }) => isPrefix) ? undefined : index,
  };
}

const PRIMARY = "PRIMARY";

/** The server lists them in the order in which it looks for one. */
function firstUnique(parts: readonly KeyPart[], { columns }: TableDefinition): string | undefined {
  const indexes = [...new Set(parts.map(({ index }) => index))];
  return indexes.find(index =>
    parts
      .filter(part => part.index === index)
      .every(({ column, isUnique, isPrefix }) => {
        return isUnique && !isPrefix && columns[column]?.nullable === false;
      }),
  );
}
