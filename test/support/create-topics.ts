import { Kafka as KafkaClient, logLevel, type Admin, type ITopicConfig } from "kafkajs";
import { until } from "../verify/wait.ts";

/**
 * Makes topics and waits until every broker knows a leader for each partition. The client's own wait for
 * leaders fails at once where the broker that it asks has not heard of the topic yet.
 */
export async function createTopics(
  brokers: readonly string[],
  topics: ITopicConfig[],
): Promise<void> {
  await asAdmin(brokers, admin => admin.createTopics({ topics, waitForLeaders: false }));
  const names = topics.map(({ topic }) => topic);
  for (const broker of brokers) {
    await until(() => asAdmin([broker], admin => haveLeaders(admin, names)), {
      what: `${broker} knows the leaders of ${names.join(", ")}`,
      timeoutMs: 60_000,
    });
  }
}

async function asAdmin<T>(
  brokers: readonly string[],
  action: (admin: Admin) => Promise<T>,
): Promise<T> {
  const client = new KafkaClient({ brokers: [...brokers], logLevel: logLevel.NOTHING });
  const admin = client.admin();
  await admin.connect();
  try {
    return await action(admin);
  } finally {
    await admin.disconnect();
  }
}

const NOT_YET = ["UNKNOWN_TOPIC_OR_PARTITION", "LEADER_NOT_AVAILABLE"];

async function haveLeaders(admin: Admin, names: string[]): Promise<boolean> {
  try {
    const { topics } = await admin.fetchTopicMetadata({ topics: names });
    return topics.every(({ partitions }) => partitions.every(({ leader }) => leader >= 0));
  } catch (thrown) {
    if (NOT_YET.includes((thrown as { type?: string }).type ?? "")) return false;
    throw thrown;
  }
}
