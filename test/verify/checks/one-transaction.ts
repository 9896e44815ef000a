/** Many rows in one transaction, written past the writer, and into the journal. */
import { createConnection } from "mysql2/promise";
import type { Campaign } from "../campaign.ts";
import { until } from "../wait.ts";

export interface OneTransaction {
  readonly rows: number;
  /** Numbers of the tables that take turns, a statement each. */
  readonly tables: readonly number[];
  readonly rowsPerStatement: number;
  /** What the session needs. */
  readonly settings?: readonly string[];
}

export async function writeInOneTransaction(
  campaign: Campaign,
  { rows, tables, rowsPerStatement, settings = [] }: OneTransaction,
): Promise<void> {
  const { journal, setup, database } = campaign;
  const { host, port, user, password } = setup.mysql;
  const connection = await createConnection({ host, port, user, password, database });
  const changes: { kind: "create"; version: number }[] = [];
  try {
    await connection.query("SET SESSION session_track_gtids = OWN_GTID");
    for (const setting of settings) await connection.query(setting);
    await connection.query("BEGIN");
    for (let statement = 0; changes.length < rows; statement += 1) {
      const number = tables[statement % tables.length] ?? 0;
      const table = journal.tables[number];
      if (!table) throw new Error("There is no such table.");
      const values: string[] = [];
      for (let i = 0; i < rowsPerStatement && changes.length < rows; i += 1) {
        const version = changes.length + 1;
        journal.plan("create", version, number, version);
        changes.push({ kind: "create", version });
        values.push(`(${table.values(version, version).join(", ")})`);
      }
      await connection.query(
        `INSERT INTO \`${table.name}\` (${table.columns.join(", ")}) VALUES ${values.join(", ")}`,
      );
    }
    const [answer] = await connection.query("COMMIT");
    const { stateChanges } = answer as { stateChanges?: { gtids?: readonly string[] } };
    journal.commit(stateChanges?.gtids?.[0], changes);
    campaign.writer.largest = rows;
  } finally {
    await connection.end();
  }
}

export async function delivered(campaign: Campaign, rows: number): Promise<void> {
  await until(
    async () => {
      campaign.assertRunning();
      return (await campaign.arrived()) > rows;
    },
    { what: `${rows} rows have arrived`, timeoutMs: 600_000 },
  );
}
