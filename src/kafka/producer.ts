/**
 * Gives record batches their sequence numbers, and sends them until they have arrived.
 *
 * A batch gets its numbers once, before the first attempt, and keeps them through all others: the broker
 * appends it once however often it is asked, and answers a repetition with the offset of the first. It
 * knows the last five batches of each partition, so no more may be under way.
 *
 *   1. Numbers are taken back only from batches of which it is certain that they were not appended.
 *   2. A batch of which the outcome stays unknown ends the producer: no number is used twice.
 */
import type { Clock } from "../core/clock.ts";
import { TidemarkError } from "../core/errors.ts";
import type { KafkaClient } from "./client.ts";
import type { Compression } from "../compression/compression.ts";
import type { ProducerIdentity } from "./coordinator.ts";
import type { Fence } from "./fence.ts";
import { Gate } from "./gate.ts";
import { KafkaResponseError, isUnreachable, toKafkaError } from "./kafka-errors.ts";
import type { Logger } from "../core/logger.ts";
import { produce, type PartitionBatch } from "./produce-request.ts";
import { encodeBatch } from "./record-batch.ts";
import type { OutgoingRecord } from "./record-writer.ts";
import { retrying } from "../core/retry.ts";
import type { Standstill } from "../core/standstill.ts";
import type { Troubles } from "../core/troubles.ts";

export interface ProducerOptions {
  readonly client: KafkaClient;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly troubles?: Troubles | undefined;
  /** Gives the producer id and epoch, and how long brokers remember the numbers of a batch. */
  readonly fence: Pick<Fence, "identity" | "rememberedMs">;
  readonly standstill?: Pick<Standstill, "passed"> | undefined;
  readonly compression?: Compression | undefined;
}

export interface SendTarget {
  readonly topic: string;
  readonly partition: number;
}

/** A record batch with its numbers. */
export interface Batch extends PartitionBatch {
  readonly firstSequence: number;
  readonly madeMs: number;
}

/** Sequence numbers have 31 bits and begin again at 0. */
const SEQUENCES = 2 ** 31;
/** Batches that are sent again, one for each partition, wait for their turn. */
const ATTEMPTS = 8;
/** A larger buffer is not kept; most batches are bounded to less. */
const SPARE_BYTES_MAX = 2 * 2 ** 20;
const SPARES = 6;

export class Producer {
  readonly #options: ProducerOptions;
  readonly #attempts = new Gate(ATTEMPTS);
  #id: ProducerIdentity | undefined;
  #ended: TidemarkError | undefined;
  /** First free sequence number of each partition. */
  readonly #sequences = new Map<string, number>();
  /** Buffers of batches that have arrived, for the next ones. */
  readonly #spares: Buffer[] = [];

  constructor(options: ProducerOptions) {
    this.#options = options;
  }

  get requestTimeoutMs(): number {
    return Math.min(30_000, this.#options.client.requestTimeoutMs);
  }

  /** Has to be awaited before the first batch. */
  async identify(signal: AbortSignal): Promise<void> {
    this.#id ??= await this.#options.fence.identity(signal);
  }

  /** To be asked before each attempt; see Standstill. */
  passed(signal: AbortSignal): Promise<void> | undefined {
    return this.#options.standstill?.passed(signal);
  }

  /** Makes a batch with the next numbers of its partition. */
  make({ topic, partition }: SendTarget, records: readonly OutgoingRecord[]): Batch {
    if (this.#ended !== undefined) throw this.#ended;
    const lane = `${topic}/${partition}`;
    const firstSequence = this.#sequences.get(lane) ?? 0;
    const { clock, compression } = this.#options;
    const stamp = { ...(this.#id as ProducerIdentity), firstSequence, timestampMs: clock.wallMs() };
    const bytes = encodeBatch(records, stamp, this.#spares.pop(), compression);
    this.#sequences.set(lane, (firstSequence + records.length) % SEQUENCES);
    return { topic, partition, bytes, firstSequence, madeMs: clock.nowMs() };
  }

  /** The batch was not appended, nor any after it: its numbers, and theirs, are free again. */
  takeBack({ topic, partition, firstSequence }: Batch): void {
    this.#sequences.set(`${topic}/${partition}`, firstSequence);
  }

  /** The batch has arrived with its first attempt: nobody looks at its bytes any more. */
  recycle({ bytes }: Batch): void {
    if (bytes.buffer.byteLength > SPARE_BYTES_MAX || this.#spares.length >= SPARES) return;
    this.#spares.push(Buffer.from(bytes.buffer));
  }

  /**
   * Sends one batch, for as long as it takes. Those of its partition that were made before have arrived,
   * and no other one is under way.
   *
   * @returns the offset of its first record.
   * @throws TidemarkError MESSAGE_REFUSED if nothing of it was appended and never will be, another code if
   *   the producer cannot go on, or the signal's reason.
   */
  async deliver(batch: Batch, signal: AbortSignal): Promise<number> {
    const { client, clock, logger, troubles } = this.#options;
    const { topic, partition } = batch;
    try {
      return await retrying(() => this.#attempts.pass(() => this.#attempt(batch, signal)), {
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
    } catch (error) {
      const ours = toKafkaError(error, "Sending to Kafka");
      if (ours.code !== "MESSAGE_REFUSED") this.#ended ??= ours;
      throw error;
    }
  }

  /** Makes a batch and delivers it. */
  async send(
    target: SendTarget,
    records: readonly OutgoingRecord[],
    signal: AbortSignal,
  ): Promise<number> {
    await this.identify(signal);
    const batch = this.make(target, records);
    try {
      return await this.deliver(batch, signal);
    } catch (error) {
      if (isRefusal(error)) this.takeBack(batch);
      throw error;
    }
  }

  async #attempt(batch: Batch, signal: AbortSignal): Promise<number> {
    const { client, clock, fence } = this.#options;
    const { topic, partition } = batch;
    const connection = await client.leaderConnection(topic, partition);
    await this.passed(signal);
    if (clock.nowMs() - batch.madeMs > fence.rememberedMs) throw outlived(batch);
    const [result] = await produce(connection, [batch], this.requestTimeoutMs);
    const { errorCode = 0, baseOffset } = result ?? {};
    if (errorCode !== 0) throw new KafkaResponseError(errorCode, "Produce");
    return Number(baseOffset);
  }
}

export function isRefusal(thrown: unknown): thrown is TidemarkError {
  return thrown instanceof TidemarkError && thrown.code === "MESSAGE_REFUSED";
}

/** Sent again now, it might be appended a second time: what has arrived is read instead. */
function outlived({ topic, partition }: Batch): TidemarkError {
  return new TidemarkError(
    "SINK_OUTCOME_UNKNOWN",
    `A batch to topic ${topic}, partition ${partition}, is under way for so long that Kafka may have ` +
      "forgotten its numbers. The pipeline begins again from its commit log.",
  );
}
