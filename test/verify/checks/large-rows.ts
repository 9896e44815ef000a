/** Rows whose body is larger than the writer makes any, in one transaction of their own. */
import { createConnection } from "mysql2/promise";
import type { Campaign } from "../campaign.ts";

export interface LargeRows {
  /** Its number in the journal; it has a column `body`. */
  readonly table: number;
  /** Slot and version of the first row, the others follow: below all that the writer uses. */
  readonly first: number;
  /** Of each row the bytes of its body; undefined: as the writer would make it. */
  readonly bodyBytes: readonly (number | undefined)[];
}

const WORD = "large ";

/** Writes them past the writer, and into the journal. Returns the GTID of the transaction. */
export async function writeLargeRows(campaign: Campaign, rows: LargeRows): Promise<string> {
  const { journal, setup, database } = campaign;
  const { host, port, user, password } = setup.mysql;
  const table = journal.tables[rows.table];
  if (!table) throw new Error("There is no such table.");
  const connection = await createConnection({ host, port, user, password, database });
  try {
    await connection.query("SET SESSION session_track_gtids = OWN_GTID");
    await connection.query("BEGIN");
    const changes: { kind: "create"; version: number }[] = [];
    for (const [index, bytes] of rows.bodyBytes.entries()) {
      const version = rows.first + index;
      journal.plan("create", version, rows.table, version);
      changes.push({ kind: "create", version });
      const values = table
        .values(version, version)
        .map((value, column) =>
          bytes !== undefined && table.columns[column] === "body"
            ? `REPEAT('${WORD}', ${Math.ceil(bytes / WORD.length)})`
            : value,
        );
      await connection.query(
        `INSERT INTO \`${table.name}\` (${table.columns.join(", ")}) VALUES (${values.join(", ")})`,
      );
    }
    const [answer] = await connection.query("COMMIT");
    const { stateChanges } = answer as { stateChanges?: { gtids?: readonly string[] } };
    const gtid = stateChanges?.gtids?.[0];
    if (gtid === undefined) throw new Error("MySQL did not tell the GTID.");
    journal.commit(gtid, changes);
    return gtid;
  } finally {
    await connection.end();
  }
}
