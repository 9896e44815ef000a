import { Kafka as KafkaClient, logLevel } from "kafkajs";
import { afterEach, describe, expect, test } from "vitest";
import { startKafka, stopAll, type Kafka } from "../../tools/services/services.ts";
import { createTopics } from "../support/create-topics.ts";

afterEach(stopAll);

/** Its five attempts end after some ten seconds, about as long as the cluster waits for a killed broker. */
const retry = { retries: 15 };

function clientOf({ brokers }: Pick<Kafka, "brokers">): KafkaClient {
  return new KafkaClient({ brokers: [...brokers], logLevel: logLevel.NOTHING, retry });
}

async function createTopic(kafka: Kafka, topic: string): Promise<number[]> {
  const clients = kafka.brokers.map(broker => clientOf({ brokers: [broker] }));
  await createTopics(clients, [{ topic }]);
  const admin = clientOf(kafka).admin();
  await admin.connect();
  try {
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
    return topics[0]?.partitions[0]?.replicas ?? [];
  } finally {
    await admin.disconnect();
  }
}

async function produce(kafka: Kafka, topic: string, values: readonly string[]): Promise<void> {
  const producer = clientOf(kafka).producer({ allowAutoTopicCreation: false, retry });
  await producer.connect();
  try {
    await producer.send({ topic, acks: -1, messages: values.map(value => ({ value })) });
  } finally {
    await producer.disconnect();
  }
}

/** Reads from the beginning until it has seen that many messages. */
async function fetch(kafka: Kafka, topic: string, count: number): Promise<string[]> {
  const consumer = clientOf(kafka).consumer({ groupId: `reader-${Math.random()}` });
  await consumer.connect();
  try {
    await consumer.subscribe({ topic, fromBeginning: true });
    const seen: string[] = [];
    await new Promise<void>((resolve, reject) => {
      const eachMessage = ({ message }: { message: { value: Buffer | null } }): Promise<void> => {
        seen.push(message.value?.toString() ?? "");
        if (seen.length === count) resolve();
        return Promise.resolve();
      };
      consumer.run({ eachMessage }).catch(reject);
    });
    return seen;
  } finally {
    await consumer.disconnect();
  }
}

describe("one broker", () => {
  test("keeps what was produced over a SIGKILL, on the same port", async () => {
    const kafka = await startKafka();
    expect(await createTopic(kafka, "orders")).toHaveLength(1);
    await produce(kafka, "orders", ["a", "b"]);
    const [node] = kafka.nodes;
    node?.kill("SIGKILL");
    await node?.start();
    await produce(kafka, "orders", ["c"]);
    expect(await fetch(kafka, "orders", 3)).toEqual(["a", "b", "c"]);
  });

  test("creates no topic by itself and takes more properties", async () => {
    const kafka = await startKafka({ properties: { "message.max.bytes": "1000" } });
    await expect(produce(kafka, "missing", ["a"])).rejects.toThrow(/topic/);
    await createTopic(kafka, "small");
    await expect(produce(kafka, "small", ["x".repeat(2_000)])).rejects.toThrow(/larger|large/);
  });
});

describe("three brokers", () => {
  test("go on without one of them, and take it back", async () => {
    const kafka = await startKafka({ brokers: 3 });
    expect(kafka.brokers).toHaveLength(3);
    expect(await createTopic(kafka, "orders")).toHaveLength(3);
    await produce(kafka, "orders", ["a"]);
    const [first] = kafka.nodes;
    first?.kill("SIGKILL");
    await produce(kafka, "orders", ["b"]);
    await first?.start();
    expect(await fetch(kafka, "orders", 2)).toEqual(["a", "b"]);
  });

  test("stop and come back together", async () => {
    const kafka = await startKafka({ brokers: 3 });
    await createTopic(kafka, "orders");
    await produce(kafka, "orders", ["a"]);
    await kafka.stop();
    await Promise.all(kafka.nodes.map(node => node.start()));
    expect(await fetch(kafka, "orders", 1)).toEqual(["a"]);
  });
});
