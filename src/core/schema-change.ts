/** A statement that makes, changes, renames, empties or drops captured tables. */
import type { RowsOrigin, Transaction } from "./entry.ts";

export interface SchemaChange {
  readonly transaction: Transaction;
  readonly origin: RowsOrigin;
  /** The session's own, in which a table without a database stands. */
  readonly database: string;
  readonly statement: string;
  /** At least one: those of the captured tables that it names. */
  readonly tables: readonly ChangedTable[];
}

export interface ChangedTable {
  readonly database: string;
  readonly name: string;
  /** As they are behind the statement: none if the table is gone, undefined if it is not known. */
  readonly columns: readonly ChangedColumn[] | undefined;
}

export interface ChangedColumn {
  readonly name: string;
  /** As the server writes it: `int unsigned`, `enum('a','b')`. */
  readonly type: string;
  readonly nullable: boolean;
  /** Its place in the primary key, from 1 on; undefined if it is not part of it. */
  readonly key: number | undefined;
}
