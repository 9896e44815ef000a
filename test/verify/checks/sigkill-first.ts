/**
 * Killed before the first release, with `start: latest`.
 *
 * Once the dump thread stands at MySQL, the start has been resolved and lies in the commit log; what is
 * committed from then on must arrive. Kafka goes down before anything is written, so nothing can be
 * released; Tidemark is killed, more is written, and both come back. A start that was not kept would be
 * resolved anew, at a later `latest`, and skip what lay between.
 */
import { asOne, withCampaign, type Campaign, type Outcome } from "../campaign.ts";
import { rounds } from "../options.ts";
import { progress } from "../progress.ts";
import { sleep, until } from "../wait.ts";
import type { CheckContext } from "./check.ts";

export async function sigkillFirst(context: CheckContext): Promise<Outcome> {
  const { options } = context;
  const count = options.kills ?? rounds(options, 20);
  const outcomes: Outcome[] = [];
  for (let round = 0; round < count; round += 1) {
    const outcome = await oneRound(context, round);
    outcomes.push(outcome);
    progress(`sigkill-first: round ${round + 1}: ${JSON.stringify(outcome.figures)}`);
    if (!outcome.ok) break;
  }
  return asOne(outcomes, { planned: count, quick: options.quick });
}

async function oneRound(
  { options, servers, mutant }: CheckContext,
  round: number,
): Promise<Outcome> {
  const mysql = await servers.mysql();
  const kafka = await servers.kafka(1);
  const [broker] = kafka.nodes;
  if (!broker) throw new Error("A cluster without brokers.");
  const setup = {
    ...{ name: "first", mysql, kafka, mutant, start: "latest" as const, ddl: false },
    options: { ...options, seed: options.seed + round },
    rowsPerSecond: 1_000,
  };
  return withCampaign(setup, async campaign => {
    const { product, random, writer, journal } = campaign;
    await campaign.startReading();
    broker.kill("SIGKILL");
    try {
      writer.start();
      await written(campaign, random.int(20, 200));
      await sleep(random.int(0, 1_000));
      campaign.assertRunning();
      await product.kill();
      const transactions = journal.transactions.length;
      await written(campaign, journal.written + random.int(20, 200));
      await writer.pause();
      await broker.start();
      await campaign.countKill(transactions);
    } finally {
      await broker.start().catch(() => undefined);
    }
    await campaign.startReading();
    writer.resume();
    await campaign.awaitDelivery(product.startedAtMs);
    await written(campaign, journal.written + 50);
    return campaign.finish({ changesMin: 50 });
  });
}

function written(campaign: Campaign, rows: number): Promise<void> {
  return until(() => campaign.journal.written >= rows, {
    what: `the writer has written ${rows} rows`,
    timeoutMs: 60_000,
    intervalMs: 10,
  });
}
