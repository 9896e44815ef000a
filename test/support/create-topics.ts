import type { Admin, ITopicConfig } from "kafkajs";
import { until } from "../verify/wait.ts";

/**
 * Makes topics and waits until each partition has a leader. The client's own wait for leaders fails at once
 * where the broker that it asks has not heard of the topic yet.
 */
export async function createTopics(admin: Admin, topics: ITopicConfig[]): Promise<void> {
  await admin.createTopics({ topics, waitForLeaders: false });
  const names = topics.map(({ topic }) => topic);
  const haveLeaders = async (): Promise<boolean> => {
    const described = await admin.fetchTopicMetadata({ topics: names });
    return described.topics.every(
      ({ partitions }) =>
        partitions.length > 0 && partitions.every(({ partitionErrorCode }) => !partitionErrorCode),
    );
  };
  await until(() => haveLeaders().catch(isNotReady), {
    what: `${names.join(", ")} have leaders`,
    timeoutMs: 60_000,
  });
}

const NOT_READY = ["UNKNOWN_TOPIC_OR_PARTITION", "LEADER_NOT_AVAILABLE"];

function isNotReady(error: Error & { type?: string }): false {
  if (NOT_READY.includes(error.type ?? "")) return false;
  throw error;
}
