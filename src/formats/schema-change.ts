/** The value of a message that tells of a statement: the same in every format. */
import type { ChangedColumn, SchemaChange } from "../core/schema-change.ts";

/** What may be told of a column; undefined if nothing. */
export type ShownColumn = (
  database: string,
  table: string,
  column: ChangedColumn,
) => ChangedColumn | undefined;

export function schemaChangeValue(
  { transaction, origin, database, tables }: SchemaChange,
  { statement, shown }: { readonly statement: string; readonly shown: ShownColumn },
): Buffer {
  const { gtid, committedAtUs, id } = transaction;
  const value = {
    statement,
    database,
    tables: tables.map(({ database: inside, name, columns = null }) => ({
      ...{ database: inside, table: name },
      columns:
        columns?.flatMap(column => {
          const seen = shown(inside, name, column);
          return seen === undefined ? [] : [{ ...seen, key: seen.key ?? null }];
        }) ?? null,
    })),
    transaction: id,
    gtid: gtid ?? null,
    file: origin.file,
    pos: origin.position,
    server_id: origin.serverId,
    ts_ms: Math.floor((committedAtUs ?? origin.timestampS * 1_000_000) / 1_000),
  };
  return Buffer.from(JSON.stringify(value));
}
