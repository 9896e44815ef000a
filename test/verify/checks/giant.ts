/** One transaction of a million rows, killed three times inside: neither held in memory nor repeated. */
import { withCampaign, type Outcome } from "../campaign.ts";
import { progress } from "../progress.ts";
import type { CheckContext } from "./check.ts";
import { delivered, writeInOneTransaction } from "./one-transaction.ts";

const KILLS = 3;
const RSS_MAX_MB = 300;
const ROWS_PER_STATEMENT = 2_000;

export async function giant({ options, servers, mutant }: CheckContext): Promise<Outcome> {
  const rows = options.quick ? 100_000 : 1_000_000;
  const setup = {
    ...{ name: "giant", options, mutant, mysql: await servers.mysql() },
    kafka: options.target === "kafka" ? await servers.kafka(1) : undefined,
    ddl: false,
    rssMaxMb: RSS_MAX_MB,
  };
  return withCampaign(setup, async campaign => {
    const { product } = campaign;
    await campaign.startReading();
    await writeInOneTransaction(campaign, {
      rows,
      tables: [0, 3],
      rowsPerStatement: ROWS_PER_STATEMENT,
    });
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
