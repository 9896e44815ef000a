/** Kafka's produce request, versions 3 to 8: batches of several partitions, for one leader. */
import { assert } from "../core/errors.ts";
import { definition, type BrokerConnection } from "./connection.ts";

export interface PartitionBatch {
  readonly topic: string;
  readonly partition: number;
  readonly bytes: Buffer;
}

export interface ProduceResult {
  readonly errorCode: number;
  /** Offset of the first record. */
  readonly baseOffset: string;
}

interface ProduceAnswer {
  readonly topics: readonly {
    readonly topicName: string;
    readonly partitions: readonly (ProduceResult & { readonly partition: number })[];
  }[];
}

const PRODUCE = 0;
const PRODUCE_VERSION_MAX = 7;

/**
 * Sends the batches once, each of another partition. What the broker says about them is not looked at.
 *
 * @param timeoutMs how long the broker may wait for its followers.
 * @returns a result for each batch, in their order.
 */
export async function produce(
  connection: BrokerConnection,
  batches: readonly PartitionBatch[],
  timeoutMs: number,
): Promise<ProduceResult[]> {
  const apiVersion = connection.version(PRODUCE, PRODUCE_VERSION_MAX);
  const answer = (await connection.send(
    { apiKey: PRODUCE, apiVersion, apiName: "Produce" },
    encode(batches, timeoutMs),
    definition("Produce", apiVersion)({ topicData: [] }).response,
  )) as ProduceAnswer;
  const results = new Map<string, ProduceResult>();
  for (const { topicName, partitions } of answer.topics) {
    for (const result of partitions) results.set(`${topicName}/${result.partition}`, result);
  }
  return batches.map(({ topic, partition }) => {
    const result = results.get(`${topic}/${partition}`);
    assert(result !== undefined, `Kafka's answer to a produce request leaves out ${topic}`);
    return result;
  });
}

/** No transaction, all replicas. Batches stand in the request as they are, without a copy. */
function encode(batches: readonly PartitionBatch[], timeoutMs: number): Buffer[] {
  const topics = new Map<string, PartitionBatch[]>();
  for (const batch of batches) {
    const known = topics.get(batch.topic);
    if (known === undefined) topics.set(batch.topic, [batch]);
    else known.push(batch);
  }
  const head = Buffer.allocUnsafe(12);
  head.writeInt16BE(-1, 0);
  head.writeInt16BE(-1, 2);
  head.writeInt32BE(timeoutMs, 4);
  head.writeInt32BE(topics.size, 8);
  const parts: Buffer[] = [head];
  for (const [topic, partitions] of topics) {
    parts.push(topicHead(topic, partitions.length));
    for (const { partition, bytes } of partitions) {
      const partitionHead = Buffer.allocUnsafe(8);
      partitionHead.writeInt32BE(partition, 0);
      partitionHead.writeInt32BE(bytes.length, 4);
      parts.push(partitionHead, bytes);
    }
  }
  return parts;
}

function topicHead(topic: string, partitions: number): Buffer {
  const bytes = Buffer.byteLength(topic);
  const head = Buffer.allocUnsafe(2 + bytes + 4);
  head.writeInt16BE(bytes, 0);
  head.write(topic, 2);
  head.writeInt32BE(partitions, 2 + bytes);
  return head;
}
