/**
 * What formats may see of a table's columns: which are left out, and which are shown as something else.
 *
 *   exclude   the column is not there
 *   mask      `****` in the place of every value
 *   hash      HMAC-SHA256 of the value under a key, as 64 hexadecimal digits: equal values stay equal
 *   truncate  the first characters of the value, or bytes of binary data
 *
 * The first that holds for a column counts. NULL stays NULL. A changed column is text, whatever it was.
 */
import { createHmac } from "node:crypto";
import { TidemarkError } from "../core/errors.ts";
import type { Column, ColumnType, TableShape } from "../core/rows.ts";

export type ColumnFilter = (database: string, table: string, column: string) => boolean;

export interface ColumnRulesOptions {
  readonly excludes: ColumnFilter;
  readonly masks: ColumnFilter;
  readonly hashes: ColumnFilter;
  readonly hashKey: string;
  /** How many characters are left of a value; undefined for all. */
  readonly lengthOf: (database: string, table: string, column: string) => number | undefined;
}

/** From a canonical value to the one that is shown. */
export type CellChange = (cell: Buffer) => Buffer;

export interface ShownTable {
  readonly shape: TableShape;
  /** For each shown column its index in the table. */
  readonly sources: readonly number[];
  readonly changes: readonly (CellChange | undefined)[];
}

const MASK = Buffer.from("****");
const BYTES: ReadonlySet<ColumnType> = new Set([
  "binary",
  "varbinary",
  "blob",
  "bit",
  "geometry",
  "vector",
]);

interface ShownColumn {
  readonly column: Column;
  readonly change: CellChange | undefined;
}

export class ColumnRules {
  readonly #options: ColumnRulesOptions;

  constructor(options: ColumnRulesOptions) {
    this.#options = options;
  }

  /**
   * What is shown of a table; undefined if that is all of it, as it is.
   *
   * @throws TidemarkError CONFIG_INVALID if a column of its key would not be shown whole.
   */
  shown(table: TableShape): ShownTable | undefined {
    const columns = table.columns.map(column => this.#column(table, column));
    const isWhole = table.columns.every((column, i) => columns[i]?.column === column);
    if (isWhole) return undefined;
    for (const index of table.primaryKey) {
      const { name = "" } = table.columns[index] ?? {};
      const fault = this.keyFault(table.database, table.name, name);
      if (fault !== undefined) throw new TidemarkError("CONFIG_INVALID", fault);
    }
    const sources = [...columns.keys()].filter(index => columns[index] !== undefined);
    const shown = sources.map(index => columns[index] as ShownColumn);
    return {
      shape: {
        ...table,
        columns: shown.map(({ column }) => column),
        primaryKey: table.primaryKey.map(index => sources.indexOf(index)),
      },
      sources,
      changes: shown.map(({ change }) => change),
    };
  }

  /** Why this column cannot be part of a key; undefined if it can. */
  keyFault(database: string, table: string, column: string): string | undefined {
    const { excludes, masks, hashes, lengthOf } = this.#options;
    const given = [database, table, column] as const;
    const is = excludes(...given)
      ? "excluded"
      : masks(...given)
        ? "masked"
        : !hashes(...given) && lengthOf(...given) !== undefined
          ? "truncated"
          : undefined;
    if (is === undefined) return undefined;
    return (
      `Column ${given.join(".")} is part of the table's key and cannot be ${is}: rows could not be told ` +
      "apart. Take it out of `columns`, or hash it."
    );
  }

  /** What becomes of the values of a column. */
  treatment(database: string, table: string, column: string): "shown" | "changed" | "left out" {
    const { excludes, masks, hashes, lengthOf } = this.#options;
    const given = [database, table, column] as const;
    if (excludes(...given)) return "left out";
    const isChanged = masks(...given) || hashes(...given) || lengthOf(...given) !== undefined;
    return isChanged ? "changed" : "shown";
  }

  /** Undefined if it is left out. */
  #column(table: TableShape, column: Column): ShownColumn | undefined {
    const { excludes, masks, hashes, hashKey, lengthOf } = this.#options;
    const given = [table.database, table.name, column.name] as const;
    if (excludes(...given)) return undefined;
    if (masks(...given)) return { column: as(column, "varchar"), change: () => MASK };
    if (hashes(...given)) {
      const change: CellChange = cell =>
        Buffer.from(createHmac("sha256", hashKey).update(cell).digest("hex"));
      return { column: as(column, "varchar"), change };
    }
    const length = lengthOf(...given);
    if (length === undefined) return { column, change: undefined };
    return BYTES.has(column.type)
      ? { column: as(column, "varbinary"), change: cell => cell.subarray(0, length) }
      : { column: as(column, "varchar"), change: cell => firstCharacters(cell, length) };
  }
}

function as(column: Column, type: ColumnType): Column {
  return { ...column, type, unsigned: false, length: 0, scale: 0 };
}

/** Of UTF-8, whose characters begin with any byte but 10xxxxxx. */
function firstCharacters(cell: Buffer, count: number): Buffer {
  let characters = 0;
  for (let i = 0; i < cell.length; i += 1) {
    if (((cell[i] as number) & 0xc0) === 0x80) continue;
    if (characters === count) return cell.subarray(0, i);
    characters += 1;
  }
  return cell;
}
