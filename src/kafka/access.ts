/**
 * Whether our user may do with a topic what a pipeline does. Kafka tells that only to who tries, so each
 * probe is a request that changes nothing: a batch without records, which is refused after the privilege
 * was looked at, a read of no bytes at the end of a partition, and the end of nobody's transaction.
 */
import type { Clock } from "../core/clock.ts";
import type { KafkaClient } from "./client.ts";
import { Coordinator } from "./coordinator.ts";
import { transactionalIdOf } from "./fence.ts";
import { fetch } from "./fetch.ts";
import { KafkaResponseError, isDenied } from "./kafka-errors.ts";
import { produce } from "./produce-request.ts";

export type Operation = "Describe" | "Write" | "Read" | "Create";

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

/**
 * Whether we may use the transactional id. Looking for its coordinator needs Describe, and what else we do
 * with it needs Write: ending the transaction of a producer that never was is refused for another reason.
 */
export async function mayFence(
  client: KafkaClient,
  { pipeline, clock, signal }: { pipeline: string; clock: Clock; signal: AbortSignal },
): Promise<"Describe" | "Write" | undefined> {
  const coordinator = new Coordinator(client, transactionalIdOf(pipeline), clock);
  try {
    return isDenied(await coordinator.probe(signal)) ? "Write" : undefined;
  } catch (error) {
    if (error instanceof KafkaResponseError && isDenied(error.code)) return "Describe";
    throw error;
  }
}
