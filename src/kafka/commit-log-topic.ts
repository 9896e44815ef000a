/**
 * The commit log as a compacted Kafka topic of one partition.
 *
 *   key `<pipeline>`           the checkpoint, with the next offsets that changed since the last full map
 *   key `<pipeline>/offsets`   the full map, written together with a checkpoint in one record batch
 *   key `<pipeline>/snapshot`  what `tidemark snapshot` asked for last; written by whoever asks
 *
 * The valid record of a key is the one with the highest generation and sequence, wherever it stands. At
 * the first append of a run and every ten minutes both are written, so that neither stands without the
 * other. Compaction keeps the topic small; it is read from its start, as a stream.
 */
import { createHash } from "node:crypto";
import { compareCheckpoints, parseCheckpoint, type Checkpoint } from "../core/checkpoint.ts";
import { sleep, type Clock } from "../core/clock.ts";
import { TidemarkError, assert } from "../core/errors.ts";
import type { Standstill } from "../core/standstill.ts";
import type { Troubles } from "../core/troubles.ts";
import { parseSnapshotRequest, type SnapshotRequest } from "../core/snapshot-request.ts";
import { retrying } from "../core/retry.ts";
import type { FollowEvents, LastRecord, ReplaceableCommitLog } from "../watcher/commit-log.ts";
import { KafkaClient, type KafkaClientOptions } from "./client.ts";
import type { Logger } from "../core/logger.ts";
import { changedSince, merged, offsetMapOf, parseOffsetMap, type OffsetMap } from "./offset-map.ts";
import type { Fence } from "./fence.ts";
import { PartitionReader, type ReaderOptions } from "./partition-reader.ts";
import { KafkaResponseError, toKafkaError } from "./kafka-errors.ts";
import { produce } from "./produce-request.ts";
import { Producer } from "./producer.ts";
import { encodeBatch, type ReadRecord } from "./record-batch.ts";
import type { OutgoingRecord } from "./record-writer.ts";
import { Topics, type Range } from "./topics.ts";

export interface CommitLogTopicOptions {
  readonly client: KafkaClientOptions;
  readonly pipeline: string;
  /** That of the pipeline's sink. */
  readonly fence: Fence;
  readonly standstill?: Pick<Standstill, "passed"> | undefined;
  readonly topic?: string;
  /** -1 leaves it to the broker. */
  readonly replicationFactor?: number;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly troubles?: Troubles | undefined;
}

const TOPIC = "tidemark.commit-log";
export const COMMIT_LOG_CONFIG = {
  "cleanup.policy": "compact",
  "segment.bytes": String(16 * 1024 * 1024),
  "segment.ms": String(10 * 60_000),
  "min.cleanable.dirty.ratio": "0.1",
};
const PARTITION = 0;
const FULL_MAP_EVERY_MS = 10 * 60_000;
const FOLLOW_MS = 1_000;
const READ_BYTES = 1024 * 1024;

export class CommitLogTopic implements ReplaceableCommitLog {
  readonly #options: CommitLogTopicOptions;
  readonly #topic: string;
  readonly #client: KafkaClient;
  /** Following waits for records on a connection of its own, so that appending never waits for it. */
  readonly #followClient: KafkaClient;
  readonly #topics: Topics;
  readonly #producer: Producer;
  readonly #stop = new AbortController();
  #follower: PartitionReader | undefined;
  #generation: number | undefined;
  #full: { readonly offsets: Checkpoint["next_offsets"]; readonly writtenMs: number } | undefined;
  #appending = false;
  /** Found at the opening. */
  #request: SnapshotRequest | undefined;

  constructor(options: CommitLogTopicOptions) {
    const { clock, logger, troubles, fence, standstill } = options;
    this.#options = options;
    this.#topic = options.topic ?? TOPIC;
    this.#client = new KafkaClient({ ...options.client, logger });
    this.#followClient = new KafkaClient({ ...options.client, logger });
    this.#topics = new Topics({ client: this.#client, clock, logger, troubles });
    this.#producer = new Producer({
      ...{ client: this.#client, clock, logger, troubles, fence, standstill },
    });
  }

  async open(signal: AbortSignal): Promise<Checkpoint | undefined> {
    const either = AbortSignal.any([signal, this.#stop.signal]);
    const { end, ...records } = await this.#openTopic(either);
    this.#follower = this.#readerAt(end, { client: this.#followClient });
    this.#request = records.request;
    return this.#valid(records);
  }

  async openToReplace(signal: AbortSignal): Promise<LastRecord> {
    const records = await this.#openTopic(AbortSignal.any([signal, this.#stop.signal]));
    const { checkpoint, map } = records;
    const generation = Math.max(checkpoint.value?.generation ?? 0, map.value?.generation ?? 0);
    try {
      return { checkpoint: this.#valid(records), generation, damage: undefined };
    } catch (error) {
      if (!(error instanceof TidemarkError)) throw error;
      return { checkpoint: undefined, generation, damage: error };
    }
  }

  async read(signal: AbortSignal): Promise<Checkpoint | undefined> {
    const either = AbortSignal.any([signal, this.#stop.signal]);
    const partitions = await this.#topics.partitions(this.#topic, either);
    if (partitions === undefined) return undefined;
    return this.#valid(await this.#readRecords(await this.#range(either), either));
  }

  async *watch(signal: AbortSignal): AsyncGenerator<Checkpoint, void, undefined> {
    const either = AbortSignal.any([signal, this.#stop.signal]);
    const { end, ...records } = await this.#readRecords(await this.#range(either), either);
    const valid = this.#valid(records);
    if (valid !== undefined) yield valid;
    const reader = this.#readerAt(end, { client: this.#followClient });
    for (;;) {
      for (const record of await reader.next(FOLLOW_MS, either)) {
        if (record.key?.toString() === this.#options.pipeline) {
          yield this.#parse(record, parseCheckpoint);
        }
      }
    }
  }

  async lastRequest(signal: AbortSignal): Promise<SnapshotRequest | undefined> {
    const either = AbortSignal.any([signal, this.#stop.signal]);
    const { request } = await this.#readRecords(await this.#range(either), either);
    return request;
  }

  /** Not as the pipeline: that would end the instance that runs. Arriving twice, it is taken once. */
  async request(request: SnapshotRequest, signal: AbortSignal): Promise<void> {
    const { clock, logger, troubles, pipeline } = this.#options;
    const record = this.#record(requestKey(pipeline), request);
    const stamp = { ...NO_PRODUCER, timestampMs: clock.wallMs() };
    const batch = { topic: this.#topic, partition: PARTITION, bytes: encodeBatch([record], stamp) };
    const attempt = async (): Promise<void> => {
      const connection = await this.#client.leaderConnection(this.#topic, PARTITION);
      const [result] = await produce(connection, [batch], this.#producer.requestTimeoutMs);
      const { errorCode = 0 } = result ?? {};
      if (errorCode !== 0) throw new KafkaResponseError(errorCode, "Produce");
    };
    await retrying(attempt, {
      ...{ clock, logger, troubles, signal: AbortSignal.any([signal, this.#stop.signal]) },
      doing: `Sending to topic ${this.#topic}`,
      classify: toKafkaError,
      onFailure: () => this.#client.forget(this.#topic),
    });
  }

  /** What other instances have written stands in front of our mark. */
  async #openTopic(signal: AbortSignal): Promise<Records> {
    const { replicationFactor = -1 } = this.#options;
    const create = { partitions: 1, replicationFactor, config: COMMIT_LOG_CONFIG };
    await this.#checkSettings(await this.#topics.ensure(this.#topic, create, signal), signal);
    const place = { topic: this.#topic, partition: PARTITION };
    const offsets = await this.#options.fence.around([place], signal);
    const end = offsets[this.#topic]?.[PARTITION] ?? 0;
    const [start = 0] = await this.#topics.starts(this.#topic, 1, signal);
    return this.#readRecords({ start, end }, signal);
  }

  async #checkSettings(partitions: number, signal: AbortSignal): Promise<void> {
    const policy = await this.#topics.config(this.#topic, "cleanup.policy", signal);
    const fault = commitLogFault({ topic: this.#topic, partitions, policy });
    if (fault !== undefined) throw new TidemarkError("SINK_SETTING", `${fault} ${REMEDY}`);
  }

  async #range(signal: AbortSignal): Promise<Range> {
    const [range = { start: 0, end: 0 }] = await this.#topics.ranges(this.#topic, 1, signal);
    return range;
  }

  #readerAt(position: number, options: Pick<ReaderOptions, "client" | "fetchBytes">) {
    const { clock, logger, troubles } = this.#options;
    const place = { clock, logger, troubles, topic: this.#topic, partition: PARTITION };
    return new PartitionReader({ ...place, ...options }, position);
  }

  async #readRecords({ start, end }: Range, signal: AbortSignal): Promise<Records> {
    const { pipeline } = this.#options;
    const reader = this.#readerAt(start, { client: this.#client, fetchBytes: READ_BYTES });
    const checkpoint = new Newest(record => this.#parse(record, parseCheckpoint));
    const map = new Newest(record => this.#parse(record, parseOffsetMap));
    let request: SnapshotRequest | undefined;
    for await (const records of reader.until(end, signal)) {
      for (const record of records) {
        const key = record.key?.toString();
        if (key === pipeline) checkpoint.add(record);
        else if (key === `${pipeline}/offsets`) map.add(record);
        else request = this.#requestIn(record) ?? request;
      }
    }
    return { checkpoint, map, request, end };
  }

  #requestIn({ key, value }: ReadRecord): SnapshotRequest | undefined {
    const { pipeline } = this.#options;
    if (key?.toString() !== requestKey(pipeline)) return undefined;
    return parseSnapshotRequest(value?.toString() ?? "", pipeline);
  }

  /** @throws TidemarkError COMMIT_LOG_UNUSABLE */
  #valid({ checkpoint, map }: Pick<Records, "checkpoint" | "map">): Checkpoint | undefined {
    const damage = checkpoint.damage ?? map.damage;
    if (damage !== undefined) throw damage;
    if (checkpoint.value === undefined) return undefined;
    if (map.value?.generation !== checkpoint.value.generation) {
      throw new TidemarkError(
        "COMMIT_LOG_UNUSABLE",
        `The commit-log topic ${this.#topic} has a checkpoint of pipeline ${this.#options.pipeline}, but ` +
          "not the offsets that belong to it. Say where to go on with: tidemark position set.",
      );
    }
    const next_offsets = merged(map.value.next_offsets, checkpoint.value.next_offsets);
    return { ...checkpoint.value, next_offsets };
  }

  #parse<T>(record: ReadRecord, parse: (text: string, where: string) => T): T {
    // A tombstone or an empty value is as damaged as half a record: nobody but us writes this key.
    const where = `the record at offset ${record.offset} of topic ${this.#topic}`;
    return parse(record.value?.toString() ?? "", where);
  }

  async append(checkpoint: Checkpoint, signal: AbortSignal): Promise<void> {
    assert(!this.#appending, "one checkpoint is written at a time");
    this.#appending = true;
    this.#generation = checkpoint.generation;
    try {
      await this.#append(checkpoint, AbortSignal.any([signal, this.#stop.signal]));
    } finally {
      this.#appending = false;
    }
  }

  async #append(checkpoint: Checkpoint, signal: AbortSignal): Promise<void> {
    const { clock, pipeline } = this.#options;
    const nowMs = clock.nowMs();
    const full = this.#full;
    const target = { topic: this.#topic, partition: PARTITION };
    if (full !== undefined && nowMs - full.writtenMs < FULL_MAP_EVERY_MS) {
      const next_offsets = changedSince(full.offsets, checkpoint.next_offsets);
      const record = this.#record(pipeline, { ...checkpoint, next_offsets });
      await this.#producer.send(target, [record], signal);
      return;
    }
    const map = this.#record(`${pipeline}/offsets`, offsetMapOf(checkpoint));
    const record = this.#record(pipeline, { ...checkpoint, next_offsets: {} });
    await this.#producer.send(target, [map, record], signal);
    this.#full = { offsets: checkpoint.next_offsets, writtenMs: nowMs };
  }

  #record(key: string, value: object): OutgoingRecord {
    return { key: Buffer.from(key), value: Buffer.from(JSON.stringify(value)), headers: [] };
  }

  async follow(signal: AbortSignal, events: FollowEvents = {}): Promise<void> {
    const reader = this.#follower;
    assert(reader !== undefined, "a commit log is followed after it is opened");
    const either = AbortSignal.any([signal, this.#stop.signal]);
    if (this.#request !== undefined) events.requested?.(this.#request);
    try {
      for (;;) {
        const startedMs = this.#options.clock.nowMs();
        const records = await reader.next(FOLLOW_MS, either);
        events.answered?.();
        this.#giveWay(records);
        for (const record of records) {
          const request = this.#requestIn(record);
          if (request !== undefined) events.requested?.(request);
        }
        const restMs = FOLLOW_MS - (this.#options.clock.nowMs() - startedMs);
        if (restMs > 0) await sleep(this.#options.clock, restMs, either);
      }
    } catch (error) {
      if (!either.aborted) throw error;
    }
  }

  async stillOurs(signal: AbortSignal): Promise<void> {
    const follower = this.#follower;
    assert(follower !== undefined, "a commit log is asked after it is opened");
    const either = AbortSignal.any([signal, this.#stop.signal]);
    const { end } = await this.#range(either);
    const reader = this.#readerAt(follower.position, { client: this.#client });
    for await (const records of reader.until(end, either)) this.#giveWay(records);
  }

  #giveWay(records: readonly ReadRecord[]): void {
    const { pipeline } = this.#options;
    for (const record of records) {
      if (record.key?.toString() !== pipeline || this.#generation === undefined) continue;
      const { generation } = this.#parse(record, parseCheckpoint);
      if (generation <= this.#generation) continue;
      throw new TidemarkError(
        "TAKEN_OVER",
        `Another instance runs pipeline ${pipeline} now: the commit log holds a record of its generation, ` +
          `${generation}, and this one has generation ${this.#generation}. Each pipeline may run once.`,
      );
    }
  }

  replicaUuid(): Promise<string> {
    const { clusterId } = this.#client;
    assert(clusterId !== undefined, "the replica uuid is asked for after the commit log is opened");
    return Promise.resolve(replicaUuidOf(clusterId, this.#topic, this.#options.pipeline));
  }

  close(): Promise<void> {
    this.#stop.abort(new TidemarkError("SINK_UNAVAILABLE", "The commit log is closed."));
    this.#client.close();
    this.#followClient.close();
    this.#options.fence.close();
    return Promise.resolve();
  }
}

const NO_PRODUCER = { producerId: -1n, producerEpoch: -1, firstSequence: -1 };

const requestKey = (pipeline: string): string => `${pipeline}/snapshot`;

const REMEDY = "Change it, or name another topic in commit_log.topic.";

/** Why a topic cannot be a commit log; undefined if it can. */
export function commitLogFault(found: {
  readonly topic: string;
  readonly partitions: number;
  readonly policy: string | undefined;
}): string | undefined {
  const { topic, partitions, policy = "" } = found;
  if (partitions === 1 && policy === "compact") return undefined;
  return (
    `The commit-log topic ${topic} has ${partitions} partitions and cleanup.policy=${policy}, ` +
    "but must have one partition and cleanup.policy=compact: anything else could remove checkpoints."
  );
}

/** The same for every instance of a pipeline, and for nobody else. */
export function replicaUuidOf(clusterId: string, topic: string, pipeline: string): string {
  const names = [clusterId, topic, pipeline].join("\n");
  return uuidOf(createHash("sha256").update(names).digest());
}

/** A uuid of version 8 (RFC 9562), made of 128 of these bits. */
function uuidOf(bits: Buffer): string {
  bits.writeUInt8((bits.readUInt8(6) & 0x0f) | 0x80, 6);
  bits.writeUInt8((bits.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bits.toString("hex", 0, 16);
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

interface Records {
  readonly checkpoint: Newest<Checkpoint>;
  readonly map: Newest<OffsetMap>;
  readonly request: SnapshotRequest | undefined;
  /** The offset after the last one that was read. */
  readonly end: number;
}

/**
 * The newest record of one key. A damaged one makes all of them unusable, as it may have been the newest,
 * until one follows whose generation is above all before it: `position set` has written that.
 */
class Newest<T extends { generation: number; sequence: number }> {
  readonly #parse: (record: ReadRecord) => T;
  value: T | undefined;
  damage: TidemarkError | undefined;

  constructor(parse: (record: ReadRecord) => T) {
    this.#parse = parse;
  }

  add(record: ReadRecord): void {
    let next: T;
    try {
      next = this.#parse(record);
    } catch (error) {
      if (!(error instanceof TidemarkError)) throw error;
      this.damage = error;
      return;
    }
    if (next.generation > (this.value?.generation ?? 0)) this.damage = undefined;
    if (this.value === undefined || compareCheckpoints(this.value, next) <= 0) this.value = next;
  }
}
