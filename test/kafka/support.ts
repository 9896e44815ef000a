/** What the tests against real brokers share. */
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll } from "vitest";
import { sharedKafka } from "../../tools/services/shared.ts";
import { systemClock } from "../../src/core/clock.ts";
import { KafkaClient, type KafkaClientOptions } from "../../src/kafka/client.ts";
import { CommitLogTopic, type CommitLogTopicOptions } from "../../src/kafka/commit-log-topic.ts";
import { KafkaSink, type KafkaSinkOptions } from "../../src/kafka/kafka-sink.ts";
import { silentLogger } from "../../src/core/logger.ts";
import type { ProducerIdentity } from "../../src/kafka/coordinator.ts";
import { Fence, transactionalIdOf, type FenceOptions } from "../../src/kafka/fence.ts";
import { PartitionReader } from "../../src/kafka/partition-reader.ts";
import { Producer } from "../../src/kafka/producer.ts";
import type { ReadRecord } from "../../src/kafka/record-batch.ts";
import type { OutgoingRecord } from "../../src/kafka/record-writer.ts";
import { Topics } from "../../src/kafka/topics.ts";

const clock = systemClock;
const logger = silentLogger;
export const never = new AbortController().signal;

export const uniqueName = (prefix: string): string => `${prefix}.${randomUUID().slice(0, 8)}`;

export function clientOptions(
  brokers: readonly string[],
  changes: Partial<KafkaClientOptions> = {},
): KafkaClientOptions {
  return { brokers, clientId: "tidemark-test", ...changes };
}

export function makeSink(
  brokers: readonly string[],
  changes: Partial<KafkaSinkOptions> = {},
): KafkaSink {
  return new KafkaSink({
    client: clientOptions(brokers),
    pipeline: "shop",
    fence: makeFence(brokers, changes.pipeline),
    delivery: "effectively-once",
    createTopics: { partitions: 2, replicationFactor: -1, config: {} },
    logger,
    clock,
    ...changes,
  });
}

export function makeCommitLog(
  brokers: readonly string[],
  changes: Partial<CommitLogTopicOptions> = {},
): CommitLogTopic {
  const fence = makeFence(brokers, changes.pipeline);
  const options = { client: clientOptions(brokers), pipeline: "shop", fence, logger, clock };
  return new CommitLogTopic({ ...options, ...changes });
}

export function makeFence(
  brokers: readonly string[],
  pipeline = "shop",
  changes: Partial<FenceOptions> = {},
): Fence {
  const transactionalId = transactionalIdOf(pipeline);
  return new Fence({
    ...{ client: clientOptions(brokers), transactionalId, identities: new Map(), logger, clock },
    ...changes,
  });
}

/** For a producer that stands for no pipeline. */
export function unfenced(client: KafkaClient): Pick<Fence, "identity" | "rememberedMs"> {
  return { identity: () => ownIdentity(client), rememberedMs: 8 * 60 * 60_000 };
}

/** A broker that has just started answers with an error for a while, and with no id. */
async function ownIdentity(client: KafkaClient): Promise<ProducerIdentity> {
  const api = { apiKey: 22, name: "InitProducerId", versionMax: 1 };
  const args = { transactionalId: null, transactionTimeout: 60_000 };
  for (;;) {
    const connection = await client.any();
    const answer = (await connection.request(api, args)) as Record<string, number | string>;
    const { errorCode, producerId, producerEpoch } = answer;
    if (errorCode !== 0) continue;
    return { producerId: BigInt(producerId as string), producerEpoch: Number(producerEpoch) };
  }
}

/** Looks at topics and changes them, beside what is tested. */
export class Observer {
  readonly client: KafkaClient;
  readonly topics: Topics;
  readonly #producer: Producer;

  constructor(brokers: readonly string[]) {
    this.client = new KafkaClient({ ...clientOptions(brokers), logger });
    this.topics = new Topics({ client: this.client, clock, logger });
    const fence = unfenced(this.client);
    this.#producer = new Producer({ client: this.client, clock, logger, fence });
  }

  createTopic(topic: string, partitions = 1, config: Record<string, string> = {}): Promise<number> {
    return this.topics.ensure(topic, { partitions, replicationFactor: -1, config }, never);
  }

  async deleteTopic(topic: string): Promise<void> {
    const connection = await this.client.controller(topic);
    const api = { apiKey: 20, name: "DeleteTopics", versionMax: 1 };
    await connection.request(api, { topics: [topic], timeout: 10_000 });
    while ((await this.topics.partitions(topic, never)) !== undefined);
  }

  /** Moves the log start, as retention does. */
  async deleteRecords(topic: string, partition: number, before: number): Promise<void> {
    const connection = await this.client.leaderConnection(topic, partition);
    const api = { apiKey: 21, name: "DeleteRecords", versionMax: 1 };
    const partitions = [{ partition, offset: String(before) }];
    await connection.request(api, { topics: [{ topic, partitions }], timeout: 10_000 });
  }

  /** @returns the offset of the first. */
  produce(topic: string, partition: number, records: readonly OutgoingRecord[]): Promise<number> {
    return this.#producer.send({ topic, partition }, records, never);
  }

  /** All records of a topic by partition; none if it is missing. */
  async read(topic: string): Promise<readonly (readonly ReadRecord[])[]> {
    const count = await this.topics.partitions(topic, never);
    if (count === undefined) return [];
    const ranges = await this.topics.ranges(topic, count, never);
    const lists: ReadRecord[][] = [];
    for (const [partition, { start, end }] of ranges.entries()) {
      const place = { client: this.client, clock, logger, topic, partition };
      const list: ReadRecord[] = [];
      for await (const some of new PartitionReader(place, start).until(end, never))
        list.push(...some);
      lists.push(list);
    }
    return lists;
  }

  close(): void {
    this.client.close();
  }
}

/** A record as a pipeline writes it. */
export function recordOf(id: string, pipeline = "shop", position = ""): OutgoingRecord {
  const headers = [
    ["id", id],
    ["pipeline", pipeline],
    ["position", position],
  ] as const;
  return { key: Buffer.from("k"), value: Buffer.from(`value of ${id}`), headers };
}

/** The shared broker, and an observer of it for the tests of one file. */
export function useSharedKafka(): {
  readonly brokers: readonly string[];
  readonly observer: Observer;
} {
  const kafka = { brokers: [] as readonly string[], observer: undefined as Observer | undefined };
  beforeAll(async () => {
    const { brokers } = await sharedKafka();
    Object.assign(kafka, { brokers, observer: new Observer(brokers) });
  });
  afterAll(() => kafka.observer?.close());
  return kafka as { brokers: readonly string[]; observer: Observer };
}
