/**
 * Kafka as a destination.
 *
 *   write ─▶ topic (made, counted, claimed) ─▶ lane of a partition ─▶ sender ─▶ leader ─▶ Kafka
 *                                               │ after a restart          ╰─▶ delivered, in lane order
 *                                               ╰─▶ tail: skips what has already arrived
 *
 * 1. Several batches of a partition are under way, and no retry changes their order (sender.ts).
 * 2. A partition is fenced before anything else is done with it: what older instances sent stands before
 *    the end that we take, and nothing of theirs comes after (fence.ts).
 * 3. Nothing is sent to a partition before its base offset is in the commit log: a restart has to know
 *    where to look for what arrived.
 * 4. A topic's number of partitions is asked for once a run; keys keep their partition.
 * 5. An error never delivers anything. What cannot be waited for ends the sink, with one `failed`.
 */
import { setMaxListeners } from "node:events";
import type { Clock } from "../core/clock.ts";
import type { NextOffsets } from "../core/checkpoint.ts";
import { assert, type TidemarkError } from "../core/errors.ts";
import { Wake } from "../core/signal.ts";
import type { Standstill } from "../core/standstill.ts";
import type { Troubles } from "../core/troubles.ts";
import type { Message, Sink, SinkEvents, SinkResume } from "../sinks/sink.ts";
import { arrivedTransactions } from "./arrived.ts";
import { KafkaClient, type KafkaClientOptions } from "./client.ts";
import type { Compression } from "../compression/compression.ts";
import type { Fence } from "./fence.ts";
import { Gate } from "./gate.ts";
import { toKafkaError } from "./kafka-errors.ts";
import { Lane, messageBytes } from "./lane.ts";
import type { Logger } from "../core/logger.ts";
import { partitionOf } from "./partitioner.ts";
import { PartitionReader } from "./partition-reader.ts";
import { Producer } from "./producer.ts";
import { Sender } from "./sender.ts";
import { Spread } from "./spread.ts";
import { skipDelivered } from "./tail.ts";
import { TargetTopics, type Tail, type Target } from "./target-topics.ts";
import { Topics, type CreateTopicOptions } from "./topics.ts";

export interface KafkaSinkOptions {
  readonly client: KafkaClientOptions;
  readonly pipeline: string;
  readonly fence: Fence;
  /** Asked before each batch; the sink lets it watch the clocks. */
  readonly standstill?: Pick<Standstill, "passed" | "watch"> | undefined;
  readonly delivery: "at-least-once" | "effectively-once";
  readonly createTopics: CreateTopicOptions;
  readonly compression?: Compression | undefined;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly troubles?: Troubles | undefined;
  /** `room` waits while the messages not yet delivered take more. */
  readonly backlogBytesMax?: number;
  readonly batchBytesMax?: number;
  readonly batchRecordsMax?: number;
}

const BACKLOG_BYTES = 16 * 1024 * 1024;
/** Kafka takes batches of 1,048,588 bytes unless it is told otherwise. */
const BATCH_BYTES = 900_000;
const BATCH_RECORDS = 500;
/** Tails read at the same time, each 256 KB or one batch. */
const TAIL_FETCHES = 4;

type State = "new" | "open" | "failed" | "closed";

/** A destination in use. Its lanes are missing while the topic is made and claimed. */
interface Route {
  lanes: readonly Lane[] | undefined;
  readonly waiting: Message[];
}

export class KafkaSink implements Sink {
  readonly name = "kafka";
  readonly #options: KafkaSinkOptions;
  readonly #client: KafkaClient;
  readonly #targets: TargetTopics;
  readonly #routes = new Map<string, Route>();
  /** By message on its way that is one of several. */
  readonly #spreads = new Map<Message, Spread>();
  /** Batches have connections of their own: a long poll never holds them up. */
  readonly #sendingClient: KafkaClient;
  readonly #sender: Sender;
  readonly #stop = new AbortController();
  readonly #work = new Set<Promise<void>>();
  readonly #room = new Wake();
  readonly #tailFetches = new Gate(TAIL_FETCHES);
  #state: State = "new";
  #events: SinkEvents | undefined;
  #sameServer = true;
  #backlogBytes = 0;

  constructor(options: KafkaSinkOptions) {
    const { clock, logger, troubles, pipeline, fence } = options;
    this.#options = options;
    setMaxListeners(0, this.#stop.signal); // Each lane that compares its tail waits on it.
    this.#client = new KafkaClient({ ...options.client, logger });
    this.#sendingClient = new KafkaClient({ ...options.client, logger });
    this.#sender = this.#makeSender(this.#sendingClient);
    const topics = new Topics({ client: this.#client, clock, logger, troubles });
    const create = options.createTopics;
    this.#targets = new TargetTopics({
      client: this.#client,
      topics,
      clock,
      logger,
      troubles,
      fence,
      pipeline,
      create,
    });
  }

  async open(resume: SinkResume, events: SinkEvents, signal: AbortSignal): Promise<NextOffsets> {
    assert(this.#state === "new", "a Kafka sink is opened once");
    this.#events = events;
    this.#sameServer = resume.sameServer;
    const either = AbortSignal.any([signal, this.#stop.signal]);
    await this.#options.fence.identity(either); // Also where there is no partition yet: it ends an older one.
    const { targets, fresh } = await this.#targets.open(resume, either);
    if (resume.arrived) await resume.arrived(await this.#arrived(targets, either));
    either.throwIfAborted();
    for (const [topic, target] of targets) {
      this.#routes.set(topic, { lanes: this.#makeLanes(target), waiting: [] });
    }
    this.#state = "open";
    const { fence, standstill } = this.#options;
    this.#run(() => fence.keepUp(this.#stop.signal));
    if (standstill) this.#run(() => standstill.watch(this.#stop.signal));
    return fresh;
  }

  write(messages: readonly Message[]): void {
    if (this.#state !== "open") return;
    for (const message of messages) {
      this.#backlogBytes += messageBytes(message);
      const route = this.#routes.get(message.destination) ?? this.#newRoute(message.destination);
      if (route.lanes === undefined) route.waiting.push(message);
      else this.#push(route.lanes, message);
    }
  }

  async room(signal: AbortSignal): Promise<void> {
    const { backlogBytesMax = BACKLOG_BYTES } = this.#options;
    await this.#room.until(
      () => this.#backlogBytes < backlogBytesMax || this.#state === "closed",
      signal,
    );
  }

  partitionOf(message: Message): number | undefined {
    const { destination, partitionKey } = message;
    const lanes = this.#routes.get(destination)?.lanes;
    if (lanes === undefined || message.forPartition !== undefined) return undefined;
    return partitionOf(partitionKey, lanes.length);
  }

  async close(): Promise<void> {
    this.#state = "closed";
    this.#stop.abort();
    this.#room.notify();
    this.#client.close();
    this.#sendingClient.close();
    this.#options.fence.close();
    // Everything under way ends with its connections or the signal, at once.
    await Promise.allSettled([...this.#work, this.#sender.idle()]);
  }

  #arrived(
    targets: ReadonlyMap<string, Target>,
    signal: AbortSignal,
  ): Promise<ReadonlySet<string>> {
    const { clock, logger, troubles, pipeline } = this.#options;
    const options = { client: this.#client, clock, logger, troubles, pipeline };
    return arrivedTransactions(targets.values(), { ...options, gate: this.#tailFetches }, signal);
  }

  #newRoute(topic: string): Route {
    const route: Route = { lanes: undefined, waiting: [] };
    this.#routes.set(topic, route);
    this.#run(async () => {
      const target = await this.#targets.prepare(topic, this.#stop.signal);
      const offsets = target.partitions.map(({ nextOffset }, partition) => [partition, nextOffset]);
      await this.#claim({ [topic]: Object.fromEntries(offsets) as Record<string, number> });
      route.lanes = this.#makeLanes(target);
      for (const message of route.waiting) this.#push(route.lanes, message);
      route.waiting.length = 0;
    });
    return route;
  }

  /** A claim is refused only when the pipeline has ended; then so do we, without a word. */
  async #claim(offsets: NextOffsets): Promise<void> {
    try {
      await this.#events?.claim(offsets);
    } catch (error) {
      this.#stop.abort(error);
    }
    this.#stop.signal.throwIfAborted();
  }

  #makeLanes({ topic, partitions }: Target): readonly Lane[] {
    return partitions.map(({ nextOffset, tail }, partition) => {
      const scans = this.#options.delivery === "effectively-once" && __MUTANT__ !== "forget-tail";
      const sending = !scans || tail === undefined;
      const lane = new Lane({ topic, partition, nextOffset, sending });
      if (!sending) this.#run(() => this.#scan(lane, tail));
      return lane;
    });
  }

  async #scan(lane: Lane, tail: Tail): Promise<void> {
    const { clock, logger, troubles, pipeline } = this.#options;
    const { signal } = this.#stop;
    await lane.first(signal); // A tail that nobody asks for is not read.
    const gate = this.#tailFetches;
    const { topic, partition } = lane;
    const place = { client: this.#client, clock, logger, troubles, topic, partition, gate };
    await skipDelivered(
      lane,
      {
        ...{ tail, reader: new PartitionReader(place, tail.snapshotStart) },
        pipeline,
        sameServer: this.#sameServer,
        delivered: this.#delivered,
      },
      signal,
    );
    for (const message of lane.takeFound()) this.#found(message);
    lane.sending = true;
    if (lane.length > 0) this.#sender.wake(lane);
  }

  /** A message about a whole table: to each partition. */
  #pushToAll(lanes: readonly Lane[], message: Message): void {
    const spread = new Spread(message, lanes.length);
    this.#backlogBytes += messageBytes(message) * (lanes.length - 1);
    for (const [partition, lane] of lanes.entries()) {
      const copy = message.forPartition?.(partition) ?? message;
      this.#spreads.set(copy, spread);
      lane.push(copy);
      if (lane.sending) this.#sender.wake(lane);
    }
  }

  #push(lanes: readonly Lane[], message: Message): void {
    if (message.forPartition !== undefined) {
      this.#pushToAll(lanes, message);
      return;
    }
    const partition = lanes.length === 1 ? 0 : partitionOf(message.partitionKey, lanes.length);
    const lane = lanes[partition] as Lane;
    if (lane.sending && lane.hasFound(message)) {
      this.#found(message);
      return;
    }
    lane.push(message);
    if (lane.sending) this.#sender.wake(lane);
  }

  #makeSender(client: KafkaClient): Sender {
    const { clock, logger, troubles, pipeline, batchBytesMax, batchRecordsMax } = this.#options;
    const { compression, fence, standstill } = this.#options;
    return new Sender({
      client,
      producer: new Producer({ client, clock, logger, troubles, compression, fence, standstill }),
      pipeline,
      limits: { bytes: batchBytesMax ?? BATCH_BYTES, records: batchRecordsMax ?? BATCH_RECORDS },
      clock,
      logger,
      signal: this.#stop.signal,
      delivered: this.#delivered,
      refused: (message, error) => this.#refused(message, error),
      failed: error => this.#fail(error),
    });
  }

  readonly #delivered = (lane: Lane, message: Message, nextOffset: number): void => {
    if (this.#state !== "open") return;
    lane.nextOffset = nextOffset;
    this.#backlogBytes -= messageBytes(message);
    const { destination } = message;
    const place = { destination, partition: lane.partition, nextOffset };
    const spread = this.#spreads.size === 0 ? undefined : this.#spreadOf(message);
    if (spread === undefined) this.#events?.delivered(message, place);
    else if (spread.arrivedAt(place)) {
      const [first, ...others] = spread.places;
      this.#events?.delivered(spread.message, first, others);
    }
    this.#room.notify();
  };

  /** It has a place, but others of its lane may not have come so far. */
  #found(message: Message): void {
    this.#backlogBytes -= messageBytes(message);
    this.#events?.delivered(message);
    this.#room.notify();
  }

  /** Kafka says at once that it refuses a message, and would say so again. */
  async #refused(message: Message, error: TidemarkError): Promise<void> {
    const spread = this.#spreadOf(message);
    const refuse = (refused: Message) => this.#events?.refused(refused, error, 1);
    await (spread === undefined ? refuse(message) : spread.refusedBy(refuse));
    this.#backlogBytes -= messageBytes(message);
    this.#room.notify();
  }

  #spreadOf(copy: Message): Spread | undefined {
    const spread = this.#spreads.get(copy);
    this.#spreads.delete(copy);
    return spread;
  }

  /** Runs something beside the caller; what it throws ends the sink. */
  #run(work: () => Promise<void>): void {
    const running = work()
      .catch((error: unknown) => this.#fail(error))
      .finally(() => this.#work.delete(running));
    this.#work.add(running);
  }

  #fail(error: unknown): void {
    if (this.#state === "failed" || this.#stop.signal.aborted) return;
    this.#state = "failed";
    this.#stop.abort(error);
    this.#events?.failed(toKafkaError(error, "Writing to Kafka"));
  }
}
