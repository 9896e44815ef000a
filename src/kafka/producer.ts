/**
 * Sends record batches, each exactly once while the process lives.
 *
 * Every batch gets its sequence number once, before the first attempt, and keeps it through all others:
 * the broker appends it once however often it is asked, and answers a repetition with the offset of the
 * first. kafkajs's own producer takes numbers anew for each attempt, which loses messages where two sends
 * overlap.
 *
 *   1. One batch of a partition is under way at a time; the next begins when it is known to have arrived.
 *   2. A batch of which the outcome is not known ends the producer id: no number is used twice.
 */
import type { Clock } from "../core/clock.ts";
import { TidemarkError, assert } from "../core/errors.ts";
import type { KafkaClient } from "./client.ts";
import type { Compression } from "./compression.ts";
import { apis, definition } from "./connection.ts";
import { KafkaResponseError, isUnreachable, toKafkaError } from "./kafka-errors.ts";
import type { Logger } from "../core/logger.ts";
import { encodeBatch, type OutgoingRecord } from "./record-batch.ts";
import { retrying, unlessAborted } from "../core/retry.ts";
import type { Troubles } from "../core/troubles.ts";

export interface ProducerOptions {
  readonly client: KafkaClient;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly troubles?: Troubles | undefined;
  readonly compression?: Compression | undefined;
  /** True only in a build that is wrong on purpose: nothing is tried again. */
  readonly once?: boolean;
}

export interface SendTarget {
  readonly topic: string;
  readonly partition: number;
}

interface ProducerId {
  readonly producerId: bigint;
  readonly producerEpoch: number;
  /** First free sequence number of each partition. */
  readonly sequences: Map<string, number>;
}

interface ProduceResult {
  readonly errorCode: number;
  readonly baseOffset: string;
}

interface ProduceAnswer {
  readonly topics: readonly { readonly partitions: readonly ProduceResult[] }[];
}

const PRODUCE = 0;
const PRODUCE_VERSION_MAX = 7;
/** A larger buffer is not kept; most batches are bounded to less. */
const SPARE_BYTES_MAX = 2 * 2 ** 20;
/** Sequence numbers have 31 bits and begin again at 0. */
const SEQUENCES = 2 ** 31;

export class Producer {
  readonly #options: ProducerOptions;
  #id: ProducerId | undefined;
  readonly #busy = new Set<string>();
  /** The buffer of a batch that has arrived, for the next one. */
  #spare: Buffer | undefined;

  constructor(options: ProducerOptions) {
    this.#options = options;
  }

  /**
   * Sends one batch, for as long as it takes.
   *
   * @returns the offset of its first record.
   * @throws TidemarkError MESSAGE_REFUSED if nothing of it was appended and never will be, another code if
   *   the producer cannot go on, or the signal's reason.
   */
  async send(
    target: SendTarget,
    records: readonly OutgoingRecord[],
    signal: AbortSignal,
  ): Promise<number> {
    const { topic, partition } = target;
    const lane = `${topic}/${partition}`;
    assert(!this.#busy.has(lane), `two batches under way to ${lane}`);
    this.#busy.add(lane);
    try {
      const id = (this.#id ??= await this.#initialise(signal));
      const sequence = id.sequences.get(lane) ?? 0;
      const timestampMs = this.#options.clock.wallMs();
      const spare = this.#spare;
      this.#spare = undefined;
      const stamp = { ...id, firstSequence: sequence, timestampMs };
      const batch = encodeBatch(records, stamp, spare, this.#options.compression);
      const baseOffset = await this.#deliver(target, batch, signal);
      if (batch.buffer.byteLength <= SPARE_BYTES_MAX) this.#spare = Buffer.from(batch.buffer);
      id.sequences.set(lane, (sequence + records.length) % SEQUENCES);
      return baseOffset;
    } catch (error) {
      // A refused batch was not appended, so its numbers are free; after anything else they are not.
      const refused = error instanceof TidemarkError && error.code === "MESSAGE_REFUSED";
      if (!refused) this.#id = undefined;
      throw error;
    } finally {
      this.#busy.delete(lane);
    }
  }

  #deliver(target: SendTarget, batch: Buffer, signal: AbortSignal): Promise<number> {
    const { client, clock, logger, troubles } = this.#options;
    const { topic, partition } = target;
    if (this.#options.once === true) {
      return unlessAborted(() => this.#attempt(target, batch), signal);
    }
    return retrying(() => this.#attempt(target, batch), {
      clock,
      logger,
      signal,
      doing: `Sending to topic ${topic}, partition ${partition},`,
      classify: toKafkaError,
      onFailure: () => client.forget(topic),
      troubles,
      place: { topic, partition },
      isUnreachable,
    });
  }

  async #attempt(target: SendTarget, batch: Buffer): Promise<number> {
    const result = await produce(this.#options.client, target, batch);
    if (result.errorCode !== 0) throw new KafkaResponseError(result.errorCode, "Produce");
    return Number(result.baseOffset);
  }

  async #initialise(signal: AbortSignal): Promise<ProducerId> {
    const { client, clock, logger, troubles } = this.#options;
    const attempt = async (): Promise<ProducerId> => {
      const connection = await client.any();
      const args = { transactionalId: null, transactionTimeout: 60_000 };
      const answer = (await connection.request(apis.initProducerId, args)) as {
        errorCode: number;
        producerId: string;
        producerEpoch: number;
      };
      if (answer.errorCode !== 0) throw new KafkaResponseError(answer.errorCode, "InitProducerId");
      const { producerEpoch } = answer;
      return { producerId: BigInt(answer.producerId), producerEpoch, sequences: new Map() };
    };
    const doing = "Asking Kafka for a producer id";
    const classify = toKafkaError;
    const options = { clock, logger, signal, doing, classify, troubles, isUnreachable };
    return retrying(attempt, options);
  }
}

/** Sends one batch once. What the broker says about it is not looked at. */
export async function produce(
  client: KafkaClient,
  { topic, partition }: SendTarget,
  batch: Buffer,
): Promise<ProduceResult> {
  const connection = await client.leaderConnection(topic, partition);
  const apiVersion = connection.version(PRODUCE, PRODUCE_VERSION_MAX);
  const timeoutMs = Math.min(30_000, client.requestTimeoutMs);
  const head = produceHead({ topic, partition }, batch.length, timeoutMs);
  const answer = (await connection.send(
    { apiKey: PRODUCE, apiVersion, apiName: "Produce" },
    [head, batch],
    definition("Produce", apiVersion)({ topicData: [] }).response,
  )) as ProduceAnswer;
  const result = answer.topics[0]?.partitions[0];
  assert(result !== undefined, "Kafka's answer to a produce request names no partition");
  return result;
}

/** Produce request, versions 3 to 8, up to its batch: no transaction, all replicas, one partition. */
function produceHead(
  { topic, partition }: SendTarget,
  batchBytes: number,
  timeoutMs: number,
): Buffer {
  const name = Buffer.from(topic);
  const head = Buffer.allocUnsafe(2 + 2 + 4 + 4 + 2 + name.length + 4 + 4 + 4);
  let at = head.writeInt16BE(-1, 0);
  at = head.writeInt16BE(-1, at);
  at = head.writeInt32BE(timeoutMs, at);
  at = head.writeInt32BE(1, at);
  at = head.writeInt16BE(name.length, at);
  at += name.copy(head, at);
  at = head.writeInt32BE(1, at);
  at = head.writeInt32BE(partition, at);
  head.writeInt32BE(batchBytes, at);
  return head;
}
