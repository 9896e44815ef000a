/**
 * Whether our user may do with a topic what a pipeline does. Kafka tells that only to who tries, so each
 * probe is a request that changes nothing: a batch without records, which is refused after the privilege
 * was looked at, and a read of no bytes at the end of a partition.
 */
import type { KafkaClient } from "./client.ts";
import { apis } from "./connection.ts";
import { fetch } from "./fetch.ts";
import { isDenied } from "./kafka-errors.ts";
import { produce } from "./produce-request.ts";

export type Operation = "Describe" | "Write" | "Read" | "Create" | "IdempotentWrite";

const NO_RECORDS = Buffer.alloc(0);

export async function mayWrite(client: KafkaClient, topic: string): Promise<boolean> {
  const connection = await client.leaderConnection(topic, 0);
  const batch = { topic, partition: 0, bytes: NO_RECORDS };
  const [result] = await produce(connection, [batch], client.requestTimeoutMs);
  return !isDenied(result?.errorCode ?? 0);
}

/** @param offset the end of partition 0. */
export async function mayRead(
  client: KafkaClient,
  topic: string,
  offset: number,
): Promise<boolean> {
  const connection = await client.leaderConnection(topic, 0);
  const place = { topic, partition: 0, offset };
  const { error } = await fetch(connection, { ...place, bytesMax: 1, waitMs: 0 });
  return !isDenied(error);
}

/** Whether we get a producer id; since Kafka 2.8 the privilege to write to any topic is enough. */
export async function mayWriteIdempotently(client: KafkaClient): Promise<boolean> {
  const connection = await client.any();
  const args = { transactionalId: null, transactionTimeout: 60_000 };
  const answer = (await connection.request(apis.initProducerId, args)) as { errorCode: number };
  return !isDenied(answer.errorCode);
}
