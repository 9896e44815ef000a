/**
 * What a restart compares with has changed since the kill.
 *
 *   events      the tail of compacted event topics has lost the records that later ones supersede: the last
 *               value of each row must be right, repeats are allowed
 *   commit log  the commit-log topic was compacted, with 200 partitions in it: nothing lost or repeated
 *   tail        records that look like ours stand behind the last real one: nothing lost or repeated
 */
import type { Kafka } from "../../../tools/services/services.ts";
import { asOne, combined, withCampaign, type Campaign, type Outcome } from "../campaign.ts";
import { Consumer } from "../consumer.ts";
import { rounds } from "../options.ts";
import { progress } from "../progress.ts";
import { keyedTables, tables } from "../tables.ts";
import { sleep, until } from "../wait.ts";
import type { CheckContext } from "./check.ts";
import { KafkaAdmin } from "./kafka-admin.ts";

/** One replica each, in a cluster that asks for two by default. */
const oneReplica = { "min.insync.replicas": "1" } as const;

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
/** Of the starts in a run, in all partitions. */
const MARKERS_MAX = 100;
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
    ...{ compacted: true, tables: keyedTables, ddl: false, sizes: "small" as const, aliveMax: 150 },
    rowsPerSecond: 800,
  };
  return withCampaign(setup, async campaign => {
    const { product, writer } = campaign;
    const admin = new KafkaAdmin(kafka.brokers);
    await admin.createTopics([
      ...keyedTables.map(({ name }) => ({
        topic: campaign.topic(name),
        partitions: 4,
        config: { ...quickCompaction, ...oneReplica },
        nodes: [first.id, second.id],
      })),
      {
        topic: commitLogTopic,
        partitions: 1,
        config: { "cleanup.policy": "compact", ...oneReplica },
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
      extra: { compacted_records: removed },
      conditions: { tail_was_compacted: removed > MARKERS_MAX },
    });
  });
}

/** Compacts the event topics, and returns how many records behind the checkpoint are gone. */
async function compactTail(campaign: Campaign, admin: KafkaAdmin, kafka: Kafka): Promise<number> {
  const record = await campaign.commitRecord();
  const topics = keyedTables.map(({ name }) => campaign.topic(name));
  return compact(
    topics,
    { admin, kafka, partitions: 4 },
    (topic, partition) => record?.next_offsets[topic]?.[String(partition)] ?? 0,
  );
}

interface CompactOptions {
  readonly admin: KafkaAdmin;
  readonly kafka: Kafka;
  /** Of each topic. */
  readonly partitions: number;
}

/**
 * Closes the segments, and waits until no key stands in them twice.
 *
 * @param from where to count from.
 * @returns how many records are gone from there on; markers, which were never records, count as well.
 */
async function compact(
  topics: readonly string[],
  { admin, kafka, partitions }: CompactOptions,
  from: (topic: string, partition: number) => number,
): Promise<number> {
  const consumer = new Consumer(kafka.brokers, topic => topics.includes(topic));
  try {
    const ends = await consumer.ends();
    await sleep(SEGMENT_MS + 100);
    for (const topic of topics) {
      const messages = Array.from({ length: partitions }, (_, partition) => ({
        partition,
        key: "harness",
        value: "closes the segment",
      }));
      await admin.produce(topic, messages);
    }
    let left = 0;
    await until(
      async () => {
        left = 0;
        const keys = new Set<string>();
        let repeated = 0;
        consumer.rewind();
        await consumer.readToEnd(({ key, offset }, { topic, partition }) => {
          if (offset >= (ends.get(`${topic}/${partition}`) ?? 0)) return;
          const name = `${topic}/${partition}/${key?.toString() ?? ""}`;
          if (keys.has(name)) repeated += 1;
          keys.add(name);
          if (offset >= from(topic, partition)) left += 1;
        });
        return repeated === 0;
      },
      { what: "the topics are compacted", timeoutMs: COMPACTION_TIMEOUT_MS, intervalMs: 500 },
    );
    let offsets = 0;
    for (const [name, end] of ends) {
      const slash = name.lastIndexOf("/");
      offsets += Math.max(0, end - from(name.slice(0, slash), Number(name.slice(slash + 1))));
    }
    progress(`compacted: of ${offsets} offsets ${left} records are left`);
    return offsets - left;
  } finally {
    consumer.close();
  }
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
      removed += await compact([commitLogTopic], { admin, kafka, partitions: 1 }, () => 0);
      product.start();
    }
    return campaign.finish({
      extra: { compacted_records: removed, partitions: WIDE_PARTITIONS * tables.length },
      conditions: { commit_log_was_compacted: removed > 0 },
    });
  });
}

const GHOSTS = 25;

/**
 * One kill a campaign: with a second one the records behind the strange ones would rightly be repeated. One
 * that came when nothing was in flight proves nothing, and another takes its place.
 */
export async function foreignTail({ options, servers, mutant }: CheckContext): Promise<Outcome> {
  const kafka = await servers.kafka(1);
  const outcomes: Outcome[] = [];
  const planned = rounds(options, 5, 1);
  let inFlight = 0;
  for (let round = 0; inFlight < planned && round < 3 * planned; round += 1) {
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
    inFlight += Number(outcome.figures["kills_in_flight"]);
    if (!outcome.ok) break;
  }
  return asOne(outcomes, { planned, quick: options.quick });
}
