/**
 * Queues of SQS as a destination, standard and FIFO.
 *
 *   write ─▶ queue ─▶ group ─▶ batch of ten groups ─▶ request, so many at a time ─▶ delivered
 *                       ▲            │ what was not taken is sent again, with back-off
 *                       ╰── settled ─╯
 *
 * 1. A group has one message under way (sqs-queue.ts), so nothing that is sent again overtakes anything.
 * 2. What is sent again within a run has the same deduplication id; over a restart, see sqs-window.ts.
 * 3. An error never delivers anything. What waiting cannot mend ends the sink, with one `failed`.
 *
 * A message without value has nothing to show in a queue: it counts as delivered without being sent.
 */
import { setMaxListeners } from "node:events";
import type { NextOffsets } from "../core/checkpoint.ts";
import { Backoff } from "../core/backoff.ts";
import { sleep, type Clock } from "../core/clock.ts";
import { assert, TidemarkError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import { isFifoQueue, isQueueUrl } from "../core/queue-name.ts";
import { Wake } from "../core/signal.ts";
import type { Troubles } from "../core/troubles.ts";
import { Outage } from "./outage.ts";
import type { Message, Sink, SinkEvents, SinkResume } from "./sink.ts";
import { SqsClient, type SqsClientOptions } from "./sqs-client.ts";
import { entryErrorCode, isSqsUnreachable, sqsError, toSqsError } from "./sqs-errors.ts";
import { deduplicationOf, entryOf, groupOf, sizeOf, type Grouping } from "./sqs-message.ts";
import { SqsQueue, type Item } from "./sqs-queue.ts";
import { SendWindow } from "./sqs-window.ts";

export interface SqsSinkOptions {
  readonly client: SqsClientOptions;
  readonly pipeline: string;
  readonly grouping: Grouping;
  /** Of one message with its attributes, and of a batch. */
  readonly maxMessageBytes: number;
  readonly backlogBytesMax: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly troubles?: Troubles | undefined;
}

const BATCH_MESSAGES = 10;
const RETRY_FIRST_MS = 50;
const RETRY_MAX_MS = 2_000;

/** What came of one request. */
interface Outcome {
  readonly again: readonly Item[];
  readonly error: TidemarkError | undefined;
  readonly unreachable: boolean;
}

export class SqsSink implements Sink {
  readonly name = "sqs";
  readonly #options: SqsSinkOptions;
  readonly #client: SqsClient;
  readonly #outage: Outage;
  readonly #window: SendWindow;
  readonly #queues = new Map<string, SqsQueue>();
  /** Those with groups that are ready, in turn. */
  readonly #ready = new Set<SqsQueue>();
  readonly #stop = new AbortController();
  readonly #room = new Wake();
  #events: SinkEvents | undefined;
  #claiming: Promise<void> | undefined;
  #inFlight = 0;
  #backlogBytes = 0;
  #isDispatching = false;

  constructor(options: SqsSinkOptions) {
    const { clock, logger, troubles } = options;
    this.#options = options;
    this.#client = new SqsClient(options.client);
    this.#outage = new Outage({ clock, logger, troubles, doing: "Sending to SQS" });
    this.#window = new SendWindow(() => clock.wallMs());
    setMaxListeners(0, this.#stop.signal); // Each request under way waits on it.
  }

  async open(resume: SinkResume, events: SinkEvents, signal: AbortSignal): Promise<NextOffsets> {
    signal.throwIfAborted();
    this.#events = events;
    await this.#client.load();
    signal.throwIfAborted();
    return this.#window.open(resume);
  }

  write(messages: readonly Message[]): void {
    assert(this.#events !== undefined, "the SQS sink is not open");
    if (this.#stop.signal.aborted) return;
    for (const message of messages) {
      if (message.value === null) {
        this.#events.delivered(message);
        continue;
      }
      const bytes = messageBytes(message);
      this.#backlogBytes += bytes;
      this.#window.given(message);
      const queue = this.#queueOf(message.destination);
      queue.push({ message, group: groupOf(message, this.#options.grouping), bytes });
      this.#ready.add(queue);
    }
    this.#dispatchSoon();
  }

  async room(signal: AbortSignal): Promise<void> {
    const { backlogBytesMax } = this.#options;
    await this.#room.until(() => this.#backlogBytes < backlogBytesMax, signal);
  }

  close(): Promise<void> {
    this.#stop.abort(new TidemarkError("SINK_UNAVAILABLE", "The SQS sink is closed."));
    this.#client.close();
    return Promise.resolve();
  }

  #queueOf(name: string): SqsQueue {
    let queue = this.#queues.get(name);
    if (queue === undefined) {
      queue = new SqsQueue(name);
      if (isQueueUrl(name)) queue.url = name;
      this.#queues.set(name, queue);
    }
    return queue;
  }

  /** After what is running now, so that a whole write goes into the first batches. */
  #dispatchSoon(): void {
    if (this.#isDispatching) return;
    this.#isDispatching = true;
    queueMicrotask(() => {
      this.#isDispatching = false;
      this.#dispatch();
    });
  }

  #dispatch(): void {
    const { client, maxMessageBytes } = this.#options;
    const max = { messages: BATCH_MESSAGES, bytes: maxMessageBytes };
    for (const queue of this.#ready) {
      if (this.#inFlight >= client.inFlightMax || this.#stop.signal.aborted) return;
      this.#ready.delete(queue);
      const batch = queue.take(max);
      if (batch.length === 0) continue;
      if (queue.isReady) this.#ready.add(queue); // Behind the others: a set keeps their order.
      void this.#run(queue, batch);
    }
  }

  async #run(queue: SqsQueue, batch: readonly Item[]): Promise<void> {
    this.#inFlight += 1;
    try {
      await this.#claim();
      for (const { message } of batch) this.#window.sending(message.seq);
      await this.#send(queue, batch);
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#inFlight -= 1;
      this.#dispatchSoon();
    }
  }

  /** A claim is refused only when the pipeline has ended; then so do we, without a word. */
  async #claim(): Promise<void> {
    const claim = this.#window.claim;
    if (claim !== undefined) {
      this.#claiming = this.#events?.claim(claim).catch((error: unknown) => {
        this.#stop.abort(error);
      });
    }
    await this.#claiming;
    this.#stop.signal.throwIfAborted();
  }

  /** Until all of it was taken, or was refused for good. */
  async #send(queue: SqsQueue, batch: readonly Item[]): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#stop;
    const backoff = new Backoff({ firstMs: RETRY_FIRST_MS, maxMs: RETRY_MAX_MS });
    try {
      let items = batch;
      for (let attempts = 1; items.length > 0; attempts += 1) {
        const { again, error, unreachable } = await this.#attempt(queue, items, attempts);
        if (error?.code === "MESSAGE_REFUSED" && again.length > 1) {
          // A request is refused as a whole: halves are sent until the message is found, or all fit.
          const half = again.length >> 1;
          await this.#send(queue, again.slice(0, half));
          items = again.slice(half);
          continue;
        }
        items = again;
        if (items.length === 0 || error === undefined) continue;
        this.#outage.failed(batch, error, unreachable);
        await sleep(clock, backoff.delayMs(), signal);
      }
    } finally {
      this.#outage.over(batch);
    }
  }

  /**
   * One request. What was taken is delivered, and what was refused is handed over.
   *
   * @throws TidemarkError for what neither passes nor concerns a single message.
   */
  async #attempt(queue: SqsQueue, items: readonly Item[], attempts: number): Promise<Outcome> {
    const { signal } = this.#stop;
    const doing = `Sending to ${queue.name}`;
    try {
      queue.url ??= await this.#client.queueUrl(queue.name, signal);
      return await this.#request(queue, items, attempts);
    } catch (thrown) {
      signal.throwIfAborted();
      const error = toSqsError(thrown, doing);
      const [first, ...others] = items;
      if (error.code === "MESSAGE_REFUSED" && first !== undefined) {
        if (others.length > 0) return { again: items, error, unreachable: false };
        this.#refuse(queue, first, { reason: error.message, cause: thrown, attempts });
        return { again: [], error: undefined, unreachable: false };
      }
      if (error.reaction !== "retry") throw error;
      return { again: items, error, unreachable: isSqsUnreachable(thrown) };
    }
  }

  async #request(queue: SqsQueue, items: readonly Item[], attempts: number): Promise<Outcome> {
    const { pipeline, maxMessageBytes } = this.#options;
    const isFifo = isFifoQueue(queue.name);
    const sized = items.map(({ message, group }) => {
      const deduplication = deduplicationOf(message, this.#window.renewal);
      const ids = isFifo
        ? { group, deduplication }
        : { group: undefined, deduplication: undefined };
      return entryOf(message, { pipeline, ...ids });
    });
    const fitting: Item[] = [];
    const entries = sized.filter((entry, index) => {
      const item = items[index] as Item;
      const bytes = sizeOf(entry);
      if (bytes <= maxMessageBytes) return fitting.push(item) > 0;
      const reason =
        `The message has ${bytes} bytes with its attributes, and sink.max_message_bytes is ` +
        `${maxMessageBytes}.`;
      this.#refuse(queue, item, { reason, attempts });
      return false;
    });
    const again: Item[] = [];
    let error: TidemarkError | undefined;
    if (entries.length === 0) return { again, error, unreachable: false };
    const { signal } = this.#stop;
    const rejections = await this.#client.send(queue.url ?? queue.name, entries);
    signal.throwIfAborted();
    for (const [index, item] of fitting.entries()) {
      const rejection = rejections.get(index);
      if (rejection === undefined) {
        this.#delivered(queue, item);
        continue;
      }
      const { code, message, senderFault } = rejection;
      const kind = entryErrorCode(code, senderFault);
      const found = sqsError(kind, { doing: `Sending to ${queue.name}`, name: code, message });
      if (kind === "MESSAGE_REFUSED") {
        this.#refuse(queue, item, { reason: found.message, attempts });
      } else if (found.reaction === "retry") {
        again.push(item);
        error = found;
      } else {
        throw found;
      }
    }
    return { again, error, unreachable: false };
  }

  #delivered(queue: SqsQueue, item: Item): void {
    this.#events?.delivered(item.message, this.#window.place);
    this.#settle(queue, item);
  }

  /** Its group goes on when it is safe elsewhere; without such a place, never. */
  #refuse(
    queue: SqsQueue,
    item: Item,
    { reason, cause, attempts }: { reason: string; cause?: unknown; attempts: number },
  ): void {
    const { id, position } = item.message;
    const error = new TidemarkError(
      "MESSAGE_REFUSED",
      `SQS cannot take message ${id} of binlog position ${position} for ${queue.name}: ${reason} ` +
        "Exclude the column or table, or configure a dead-letter target.",
      { cause },
    );
    this.#events?.refused(item.message, error, attempts).then(
      () => {
        if (this.#stop.signal.aborted) return;
        this.#settle(queue, item);
        this.#dispatchSoon();
      },
      (thrown: unknown) => this.#fail(thrown),
    );
  }

  #settle(queue: SqsQueue, item: Item): void {
    this.#window.settled(item.message);
    this.#backlogBytes -= item.bytes;
    queue.settle(item);
    if (queue.isReady) this.#ready.add(queue);
    this.#room.notify();
  }

  #fail(error: unknown): void {
    if (this.#stop.signal.aborted) return;
    this.#stop.abort(error);
    this.#events?.failed(toSqsError(error, "Sending to SQS"));
  }
}

/** What a message takes in a batch and in memory, about: names and types of attributes, ids of the entry. */
function messageBytes({ id, bytes, transaction, position }: Message): number {
  return bytes + id.length + transaction.length + position.length + 200;
}
