import type { Admin, ITopicConfig, Kafka as KafkaClient } from "kafkajs";
import { until } from "../verify/wait.ts";

/**
 * Makes topics and waits until every broker knows a leader for each partition. The client's own wait for
 * leaders fails at once where the broker that it asks has not heard of the topic yet.
 *
 * @param clients one for each broker, which knows no other.
 */
export async function createTopics(
  clients: readonly KafkaClient[],
  topics: ITopicConfig[],
): Promise<void> {
  const names = topics.map(({ topic }) => topic);
  let isCreated = false;
  for (const client of clients) {
    const admin = client.admin();
    await admin.connect();
    try {
      if (!isCreated) await admin.createTopics({ topics, waitForLeaders: false });
      isCreated = true;
      await until(() => haveLeaders(admin, names), {
        what: `each broker knows the leaders of ${names.join(", ")}`,
        timeoutMs: 60_000,
      });
    } finally {
      await admin.disconnect();
    }
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
