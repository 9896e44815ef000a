/** Where partitions begin and end: Kafka's ListOffsets request, read uncommitted. */
import type { KafkaClient } from "./client.ts";
import { apis } from "./connection.ts";
import { KafkaResponseError } from "./kafka-errors.ts";

export interface WhichOffsets {
  readonly partitions: readonly number[];
  /** The end is the offset to which a plain consumer can read. */
  readonly at: "start" | "end";
}

const TIMESTAMP = { start: -2, end: -1 } as const;

interface Answer {
  readonly responses: readonly {
    readonly partitions: readonly {
      readonly partition: number;
      readonly errorCode: number;
      readonly offset: string;
    }[];
  }[];
}

/** One offset for each of the partitions asked for. */
export async function listOffsets(
  client: KafkaClient,
  topic: string,
  { partitions, at }: WhichOffsets,
): Promise<readonly number[]> {
  const perLeader = new Map<number, { partition: number; timestamp: number }[]>();
  for (const partition of partitions) {
    const leader = await client.leader(topic, partition);
    const list = perLeader.get(leader) ?? [];
    list.push({ partition, timestamp: TIMESTAMP[at] });
    perLeader.set(leader, list);
  }
  const found = new Map<number, number>();
  for (const [leader, list] of perLeader) {
    const connection = await client.node(leader);
    const topics = [{ topic, partitions: list }];
    const answer = (await connection.request(apis.listOffsets, {
      replicaId: -1,
      isolationLevel: 0,
      topics,
    })) as Answer;
    for (const { partition, errorCode, offset } of answer.responses[0]?.partitions ?? []) {
      if (errorCode !== 0) throw new KafkaResponseError(errorCode, "ListOffsets");
      found.set(partition, Number(offset));
    }
  }
  return partitions.map(partition => {
    const offset = found.get(partition);
    if (offset === undefined) throw new TypeError(`ListOffsets left out partition ${partition}`);
    return offset;
  });
}
