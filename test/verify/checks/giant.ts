/** One transaction of a million rows, killed three times inside: neither held in memory nor repeated. */
import { createConnection } from "mysql2/promise";
import { withCampaign, type Campaign, type Outcome } from "../campaign.ts";
import { progress } from "../progress.ts";
import { tables } from "../tables.ts";
import { until } from "../wait.ts";
import type { CheckContext } from "./check.ts";

const KILLS = 3;
const ROWS_PER_STATEMENT = 2_000;

export async function giant({ options, servers, mutant }: CheckContext): Promise<Outcome> {
  const rows = options.quick ? 100_000 : 1_000_000;
  const setup = {
    ...{ name: "giant", options, mutant, mysql: await servers.mysql() },
    kafka: options.target === "kafka" ? await servers.kafka(1) : undefined,
    ddl: false,
  };
  return withCampaign(setup, async campaign => {
    const { product } = campaign;
    await campaign.startReading();
    await writeGiant(campaign, rows);
    progress(`giant: ${rows} rows committed`);
    for (let kill = 1; kill <= KILLS; kill += 1) {
      const share = (kill - 1 + campaign.random.next()) / (KILLS + 0.5);
      await delivered(campaign, Math.floor(rows * share));
      await campaign.kill();
      product.start();
    }
    return campaign.finish({ changesMin: rows });
  });
}

async function delivered(campaign: Campaign, rows: number): Promise<void> {
  await until(
    async () => {
      campaign.assertRunning();
      await campaign.observe();
      return campaign.oracle.deliveredChanges > rows;
    },
    { what: `${rows} rows have arrived`, timeoutMs: 600_000 },
  );
}

/** Inserts into two tables by turns, all in one transaction, past the writer. */
async function writeGiant(campaign: Campaign, rows: number): Promise<void> {
  const { journal, setup, database } = campaign;
  const { host, port, user, password } = setup.mysql;
  const connection = await createConnection({ host, port, user, password, database });
  const changes: { kind: "create"; version: number }[] = [];
  try {
    await connection.query("SET SESSION session_track_gtids = OWN_GTID");
    await connection.query("BEGIN");
    for (let statement = 0; changes.length < rows; statement += 1) {
      const number = statement % 2 === 0 ? 0 : 3;
      const table = tables[number];
      if (!table) throw new Error("There is no such table.");
      const values: string[] = [];
      for (let i = 0; i < ROWS_PER_STATEMENT && changes.length < rows; i += 1) {
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
