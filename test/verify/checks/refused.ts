/**
 * A row that the broker refuses for good: larger than its topic takes. Tidemark stops with 65 and names
 * the position; neither it nor anything behind it is released, after a second start either. Once the
 * topic takes it, everything arrives, once.
 */
import { withCampaign, type Campaign, type Outcome } from "../campaign.ts";
import { GtidRanges } from "../gtids.ts";
import { progress } from "../progress.ts";
import { until } from "../wait.ts";
import { RESERVED } from "../writer.ts";
import type { CheckContext } from "./check.ts";
import { KafkaAdmin } from "./kafka-admin.ts";
import { writeLargeRows } from "./large-rows.ts";

const EXIT_REFUSED = 65;
const TOPIC_MAX_BYTES = 100_000;
const NOTES = 2;

export async function refused({ options, servers, mutant }: CheckContext): Promise<Outcome> {
  const kafka = await servers.kafka(1);
  const setup = {
    ...{ name: "refused", options, mutant, kafka, mysql: await servers.mysql() },
    topicConfig: { "max.message.bytes": String(TOPIC_MAX_BYTES) },
    ddl: false,
    sizes: "small" as const,
  };
  return withCampaign(setup, async campaign => {
    const { product, writer, journal } = campaign;
    await campaign.startReading();
    writer.start();
    const enough = options.quick ? 300 : 1_000;
    await campaign.awaitDelivery(product.startedAtMs);
    await until(() => journal.written >= enough, { what: "rows are written", timeoutMs: 60_000 });
    const gtid = await writeLargeRows(campaign, {
      table: NOTES,
      first: RESERVED - 10,
      bodyBytes: [undefined, 6 * TOPIC_MAX_BYTES, undefined],
    });
    const first = await ended(campaign);
    await campaign.countKill();
    const firstReleased = await isReleased(campaign, gtid);
    product.start();
    const second = await ended(campaign);
    const secondReleased = await isReleased(campaign, gtid);
    await campaign.checkCommit();
    const named = /binlog\.\d+\D{1,20}\d+/.test(product.logTail(20));
    progress(`refused: ended with ${first} and ${second}`);
    await new KafkaAdmin(kafka.brokers).configure(campaign.topic("notes"), {
      "max.message.bytes": "10000000",
    });
    product.start();
    await campaign.awaitDelivery(product.startedAtMs);
    return campaign.finish({
      extra: { exit_code: first, exit_code_again: second, position_named: named },
      conditions: {
        exits_with_65: first === EXIT_REFUSED && second === EXIT_REFUSED,
        not_released: !firstReleased && !secondReleased,
        position_named: named,
      },
    });
  });
}

async function ended(campaign: Campaign): Promise<number | null> {
  const { product } = campaign;
  await until(() => !product.isRunning, {
    what: "Tidemark stops because of the refused row",
    timeoutMs: 60_000,
  });
  return product.ended?.code ?? null;
}

async function isReleased(campaign: Campaign, gtid: string): Promise<boolean> {
  const record = await campaign.commitRecord();
  return record !== undefined && new GtidRanges(record.gtid_set).has(gtid);
}
