/**
 * What a restart compares with has changed since the kill.
 *
 *   events      the tail of compacted event topics has lost the records that later ones supersede: the last
 *               value of each row must be right, repeats are allowed
 *   commit log  the commit-log topic was compacted, with 200 partitions in it: nothing lost or repeated
 *   tail        records that look like ours stand behind the last real one: nothing lost or repeated
 */
import type { Kafka } from "../../../tools/services/services.ts";
import { combined, withCampaign, type Campaign, type Outcome } from "../campaign.ts";
import { Consumer } from "../consumer.ts";
import { rounds } from "../options.ts";
import { progress } from "../progress.ts";
import { keyedTables, tables } from "../tables.ts";
import { sleep, until } from "../wait.ts";
import type { CheckContext } from "./check.ts";
import { KafkaAdmin } from "./kafka-admin.ts";

/** Compaction that begins as soon as a segment is closed, and segments that are closed soon. */
const quickCompaction = {
  "cleanup.policy": "compact",
  "segment.ms": "1500",
  "segment.bytes": "1048576",
  "min.cleanable.dirty.ratio": "0.01",
  "min.compaction.lag.ms": "0",
  "max.compaction.lag.ms": "1000",
  "delete.retention.ms": "500",
} as const;
const SEGMENT_MS = 1_500;
const COMPACTION_TIMEOUT_MS = 90_000;

export async function compacted(context: CheckContext): Promise<Outcome> {
  const parts = [compactedCommitLog, foreignTail, compactedEvents];
  const outcomes: Outcome[] = [];
  for (const part of parts) {
    const outcome = await part(context);
    progress(`compacted: ${part.name}: ${JSON.stringify(outcome)}`);
    outcomes.push(outcome);
    if (!outcome.ok) break;
  }
  await context.servers.stopThree();
  return combined(outcomes);
}

/**
 * Three brokers: the events are on two of them, the commit log is on the third, which is frozen before the
 * kill. So the tail holds seconds of changes of the same few rows.
 */
async function compactedEvents({ options, servers, mutant }: CheckContext): Promise<Outcome> {
  const kafka = await servers.kafka(3);
  const [first, second, third] = kafka.nodes;
  if (!first || !second || !third) throw new Error("Three brokers are needed.");
  const commitLogTopic = `commit-log-${Date.now()}`;
  const setup = {
    ...{ name: "events", options, mutant, kafka, mysql: await servers.mysql(), commitLogTopic },
    ...{ tables: keyedTables, ddl: false, sizes: "small" as const, aliveMax: 150 },
    rowsPerSecond: 800,
  };
  return withCampaign(setup, async campaign => {
    const { product, writer } = campaign;
    const admin = new KafkaAdmin(kafka.brokers);
    await admin.createTopics([
      ...keyedTables.map(({ name }) => ({
        topic: campaign.topic(name),
        partitions: 4,
        config: quickCompaction,
        nodes: [first.id, second.id],
      })),
      {
        topic: commitLogTopic,
        partitions: 1,
        config: { "cleanup.policy": "compact" },
        nodes: [third.id],
      },
    ]);
    await campaign.startReading();
    writer.start();
    let removed = 0;
    for (let round = 0; round < rounds(options, 5); round += 1) {
      await campaign.awaitDelivery(product.startedAtMs);
      await sleep(campaign.random.int(500, 1_500));
      third.kill("SIGSTOP");
      try {
        await sleep(4_000);
        campaign.assertRunning();
        await product.kill();
      } finally {
        third.kill("SIGCONT");
      }
      await writer.pause();
      await campaign.countKill();
      removed += await compactTail(campaign, admin, kafka);
      product.start();
      writer.resume();
    }
    return campaign.finish({
      compacted: true,
      extra: { compacted_records: removed },
      conditions: { tail_was_compacted: removed > 0 },
    });
  });
}

/** Closes the segments of all event partitions and waits until records behind the checkpoint are gone. */
async function compactTail(campaign: Campaign, admin: KafkaAdmin, kafka: Kafka): Promise<number> {
  const { topics, next } = await checkpointOffsets(campaign);
  const before = await countTail(kafka, topics, next);
  await sleep(SEGMENT_MS + 100);
  for (const topic of topics) {
    const messages = Array.from({ length: 4 }, (_, partition) => ({
      partition,
      key: "harness",
      value: "closes the segment",
    }));
    await admin.produce(topic, messages);
  }
  let after = before;
  await until(
    async () => {
      after = await countTail(kafka, topics, next);
      return after < before;
    },
    { what: "the tail is compacted", timeoutMs: COMPACTION_TIMEOUT_MS, intervalMs: 500 },
  );
  progress(`events: ${before} records behind the checkpoint, ${after} after compaction`);
  return before - after;
}

async function checkpointOffsets(
  campaign: Campaign,
): Promise<{ topics: readonly string[]; next: (topic: string, partition: number) => number }> {
  const record = await campaign.commitRecord();
  const topics = keyedTables.map(({ name }) => campaign.topic(name));
  return {
    topics,
    next: (topic, partition) => record?.next_offsets[topic]?.[String(partition)] ?? 0,
  };
}

/** Records of Tidemark behind the checkpoint's offsets, as they stand in the log now. */
async function countTail(
  kafka: Kafka,
  topics: readonly string[],
  next: (topic: string, partition: number) => number,
): Promise<number> {
  const consumer = new Consumer(kafka.brokers, topic => topics.includes(topic));
  let count = 0;
  try {
    await consumer.readToEnd(({ offset, headers }, { topic, partition }) => {
      if (headers["harness"] === undefined && offset >= next(topic, partition)) count += 1;
    });
  } finally {
    consumer.close();
  }
  return count;
}

const WIDE_PARTITIONS = 50;

/** Fifty partitions in each of four topics, few of which change between two kills. */
async function compactedCommitLog({ options, servers, mutant }: CheckContext): Promise<Outcome> {
  const kafka = await servers.kafka(1);
  const commitLogTopic = `commit-log-${Date.now()}`;
  const setup = {
    ...{ name: "wide", options, mutant, kafka, mysql: await servers.mysql(), commitLogTopic },
    ...{ ddl: false, sizes: "small" as const, rowsPerSecond: 300, partitions: WIDE_PARTITIONS },
  };
  return withCampaign(setup, async campaign => {
    const { product, random, writer } = campaign;
    const admin = new KafkaAdmin(kafka.brokers);
    await admin.createTopics([{ topic: commitLogTopic, partitions: 1, config: quickCompaction }]);
    await campaign.startReading();
    writer.start();
    let removed = 0;
    for (let round = 0; round < rounds(options, 10, 3); round += 1) {
      await campaign.awaitDelivery(product.startedAtMs);
      await sleep(random.int(1_000, 3_000));
      await campaign.kill();
      removed += await compactCommitLog(commitLogTopic, admin, kafka);
      product.start();
    }
    return campaign.finish({
      extra: { compacted_records: removed, partitions: WIDE_PARTITIONS * tables.length },
      conditions: { commit_log_was_compacted: removed > 0 },
    });
  });
}

async function compactCommitLog(topic: string, admin: KafkaAdmin, kafka: Kafka): Promise<number> {
  const count = async (): Promise<number> => {
    const consumer = new Consumer(kafka.brokers, name => name === topic);
    let records = 0;
    try {
      await consumer.readToEnd(() => {
        records += 1;
      });
    } finally {
      consumer.close();
    }
    return records;
  };
  const before = await count();
  await sleep(SEGMENT_MS + 100);
  await admin.produce(topic, [{ partition: 0, key: "harness", value: "closes the segment" }]);
  let after = before;
  await until(
    async () => {
      after = await count();
      return after < before;
    },
    { what: "the commit log is compacted", timeoutMs: COMPACTION_TIMEOUT_MS, intervalMs: 500 },
  );
  return before - after;
}

const GHOSTS = 25;

/** One kill a campaign: with a second one the records behind the strange ones would rightly be repeated. */
export async function foreignTail({ options, servers, mutant }: CheckContext): Promise<Outcome> {
  const kafka = await servers.kafka(1);
  const outcomes: Outcome[] = [];
  for (let round = 0; round < rounds(options, 5, 1); round += 1) {
    const setup = {
      ...{ name: "tail", mutant, kafka, mysql: await servers.mysql(), ddl: false },
      options: { ...options, seed: options.seed + round },
      rowsPerSecond: 1_500,
    };
    const outcome = await withCampaign(setup, async campaign => {
      const { product, random, writer, pipeline } = campaign;
      await campaign.startReading();
      writer.start();
      await campaign.awaitDelivery(product.startedAtMs);
      await sleep(random.int(500, 2_500));
      await campaign.kill();
      const admin = new KafkaAdmin(kafka.brokers);
      for (const { name } of tables) {
        const ghosts = Array.from({ length: 4 * GHOSTS }, (_, i) => ({
          partition: i % 4,
          key: "ghost",
          value: "{}",
          headers: {
            id: `ghost:${i}`,
            pipeline,
            transaction: "ghost",
            position: "binlog.000001:4",
          },
        }));
        await admin.produce(campaign.topic(name), ghosts);
      }
      product.start();
      await campaign.awaitDelivery(product.startedAtMs);
      await sleep(2_000);
      return campaign.finish();
    });
    outcomes.push(outcome);
    if (!outcome.ok) break;
  }
  return combined(outcomes);
}
