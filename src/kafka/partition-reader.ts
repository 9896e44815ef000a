/**
 * Reads one partition by position, as a stream: one fetch in memory at a time, through changes of
 * leader and loss of brokers.
 */
import { TidemarkError } from "../core/errors.ts";
import type { Clock } from "../core/clock.ts";
import type { KafkaClient } from "./client.ts";
import type { ProducerIdentity } from "./coordinator.ts";
import type { Gate } from "./gate.ts";
import { listOffsets } from "./list-offsets.ts";
import { fetch, type Fetched } from "./fetch.ts";
import {
  KafkaResponseError,
  KafkaUnreachableError,
  OFFSET_OUT_OF_RANGE,
  isUnreachable,
  toKafkaError,
} from "./kafka-errors.ts";
import type { Logger } from "../core/logger.ts";
import { UnreadableBatchError, decodeBatches, type ReadRecord } from "./record-batch.ts";
import { retrying } from "../core/retry.ts";
import type { Troubles } from "../core/troubles.ts";

export interface ReaderOptions {
  readonly client: KafkaClient;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly topic: string;
  readonly partition: number;
  readonly fetchBytes?: number;
  /** Shared by readers of which only some may fetch at a time. */
  readonly gate?: Gate;
  readonly troubles?: Troubles | undefined;
}

const FETCH_BYTES = 256 * 1024;
const WAIT_MS = 500;

export class PartitionReader {
  readonly #options: ReaderOptions;
  /** Offset of the next record. */
  position: number;

  constructor(options: ReaderOptions, position: number) {
    this.#options = options;
    this.position = position;
  }

  /**
   * The records from the position up to, not including, offset `end`, fetch by fetch. Control records are
   * left out; so is what retention has removed meanwhile.
   */
  async *until(end: number, signal: AbortSignal): AsyncGenerator<readonly ReadRecord[]> {
    while (this.position < end) {
      const fetched = await this.#fetch(WAIT_MS, signal);
      // Compaction can have removed everything up to the end of the log.
      const exhausted = fetched.batches.length === 0 && !fetched.throttled;
      if (exhausted && fetched.highWatermark >= end) {
        this.position = end;
        return;
      }
      const records = this.#take(fetched).filter(record => record.offset < end);
      if (records.length > 0) yield records;
    }
  }

  /** What has come since; empty if nothing has within `waitMs`. */
  async next(waitMs: number, signal: AbortSignal): Promise<readonly ReadRecord[]> {
    return this.#take(await this.#fetch(waitMs, signal));
  }

  /**
   * Passes everything up to the mark that ends a transaction of this producer.
   *
   * @returns the offset of the mark.
   * @throws KafkaUnreachableError if it does not come.
   */
  async passMark(
    { producerId, producerEpoch }: ProducerIdentity,
    { withinMs, signal }: { withinMs: number; signal: AbortSignal },
  ): Promise<number> {
    const { clock, topic, partition } = this.#options;
    const untilMs = clock.nowMs() + withinMs;
    while (clock.nowMs() < untilMs) {
      const { batches } = await this.#fetch(WAIT_MS, signal);
      const mark = this.#readable(() => {
        for (const batch of decodeBatches(batches)) {
          this.position = Math.max(this.position, batch.nextOffset);
          const isOurs = batch.producerId === producerId && batch.producerEpoch === producerEpoch;
          if (batch.control && isOurs) return batch.baseOffset;
        }
        return undefined;
      });
      if (mark !== undefined) return mark;
    }
    throw new KafkaUnreachableError(
      `no mark of ours came to topic ${topic}, partition ${partition}`,
    );
  }

  #take({ batches }: Fetched): ReadRecord[] {
    const from = this.position;
    const taken: ReadRecord[] = [];
    this.#readable(() => {
      for (const batch of decodeBatches(batches)) {
        if (batch.nextOffset <= from) continue;
        if (!batch.control) {
          for (const record of batch.records()) if (record.offset >= from) taken.push(record);
        }
        this.position = Math.max(this.position, batch.nextOffset);
      }
    });
    return taken;
  }

  /** @throws TidemarkError COMMIT_LOG_UNUSABLE for a batch that `read` finds damaged. */
  #readable<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof UnreadableBatchError)) throw error;
      const { topic, partition } = this.#options;
      throw new TidemarkError(
        "COMMIT_LOG_UNUSABLE",
        `Topic ${topic}, partition ${partition}, cannot be read: ${error.message}. ` +
          "Look at it with kafka-dump-log.sh; to go on behind it, use tidemark position set.",
        { cause: error },
      );
    }
  }

  #fetch(waitMs: number, signal: AbortSignal): Promise<Fetched> {
    const {
      client,
      clock,
      logger,
      topic,
      partition,
      gate,
      troubles,
      fetchBytes = FETCH_BYTES,
    } = this.#options;
    const attempt = async (): Promise<Fetched> => {
      const connection = await client.leaderConnection(topic, partition);
      const place = { topic, partition, offset: this.position };
      const fetched = await fetch(connection, { ...place, bytesMax: fetchBytes, waitMs });
      if (fetched.error === OFFSET_OUT_OF_RANGE) {
        await this.#skipRemoved();
        return attempt();
      }
      if (fetched.error !== 0) throw new KafkaResponseError(fetched.error, "Fetch");
      return fetched;
    };
    const fetching = (): Promise<Fetched> =>
      retrying(attempt, {
        clock,
        logger,
        signal,
        doing: `Reading topic ${topic}, partition ${partition},`,
        classify: toKafkaError,
        onFailure: () => client.forget(topic),
        troubles,
        place: { topic, partition },
        isUnreachable,
      });
    return gate === undefined ? fetching() : gate.pass(fetching);
  }

  /** Begins where the log begins now: what stood before was removed by retention. */
  async #skipRemoved(): Promise<void> {
    const { client, topic, partition } = this.#options;
    const [start = 0] = await listOffsets(client, topic, { partitions: [partition], at: "start" });
    if (start > this.position) {
      this.position = start;
      return;
    }
    throw new TidemarkError(
      "COMMIT_LOG_UNUSABLE",
      `Topic ${topic}, partition ${partition}, ends before offset ${this.position}: it was made anew or ` +
        "cut off. Say where to go on with: tidemark position set.",
    );
  }
}
