/** What a check does to topics from outside: makes them, changes their settings, writes foreign records. */
import kafkajs, { Kafka, logLevel, Partitioners, type Message } from "kafkajs";
import { Consumer } from "../consumer.ts";
import { until } from "../wait.ts";

export interface TopicSpec {
  readonly topic: string;
  readonly partitions: number;
  readonly config: Readonly<Record<string, string>>;
  /** The brokers that hold the partitions, by turns. Undefined: the cluster decides. */
  readonly nodes?: readonly number[];
  /** On so many of `nodes`; one if undefined. */
  readonly replicas?: number;
}

export class KafkaAdmin {
  readonly #brokers: readonly string[];
  readonly #client: Kafka;

  constructor(brokers: readonly string[]) {
    this.#brokers = brokers;
    this.#client = new Kafka({
      brokers: [...brokers],
      clientId: "tidemark-verify",
      logLevel: logLevel.NOTHING,
      retry: { retries: 20, maxRetryTime: 1_000 },
    });
  }

  async createTopics(specs: readonly TopicSpec[]): Promise<void> {
    const admin = this.#client.admin();
    await admin.connect();
    try {
      await admin.createTopics({
        // Its own wait gives up where not every broker knows the topic yet.
        waitForLeaders: false,
        topics: specs.map(({ topic, partitions, config, nodes, replicas = 1 }) => ({
          topic,
          configEntries: Object.entries(config).map(([name, value]) => ({ name, value })),
          ...(nodes
            ? {
                replicaAssignment: Array.from({ length: partitions }, (_, partition) => ({
                  partition,
                  replicas: Array.from(
                    { length: replicas },
                    (_, replica) => nodes[(partition + replica) % nodes.length] ?? 1,
                  ),
                })),
              }
            : { numPartitions: partitions }),
        })),
      });
    } finally {
      await admin.disconnect();
    }
    const names = specs.map(({ topic }) => topic);
    const partitions = specs.reduce((sum, spec) => sum + spec.partitions, 0);
    const consumer = new Consumer(this.#brokers, topic => names.includes(topic));
    try {
      await until(async () => (await consumer.ends()).size === partitions, {
        what: "the topics have leaders",
        timeoutMs: 60_000,
      });
    } finally {
      consumer.close();
    }
  }

  /** Replaces the settings of a topic. */
  async configure(topic: string, config: Readonly<Record<string, string>>): Promise<void> {
    const admin = this.#client.admin();
    await admin.connect();
    try {
      const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }));
      await admin.alterConfigs({
        validateOnly: false,
        resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: topic, configEntries }],
      });
    } finally {
      await admin.disconnect();
    }
  }

  /** Records of the harness, which the oracle passes over. */
  async produce(topic: string, messages: readonly Message[]): Promise<void> {
    const producer = this.#client.producer({ createPartitioner: Partitioners.DefaultPartitioner });
    await producer.connect();
    try {
      const marked = messages.map(message => ({
        ...message,
        headers: { ...message.headers, harness: "1" },
      }));
      await producer.send({ topic, messages: marked, acks: -1 });
    } finally {
      await producer.disconnect();
    }
  }
}
