/**
 * Sends the messages of all lanes: one request after the other to each leader, with a batch of every
 * partition that has something to send, and several requests under way.
 *
 *   lane ─▶ flights (up to 5 batches, in order) ─▶ request of a leader ─▶ answer ─▶ delivered, in order
 *                 ╰─ one fails ─▶ wait for the others' answers ─▶ mend: one after the other, until all
 *                                                                 have arrived, with the same numbers
 *
 * A broker takes the requests of one connection in turn, and a batch only after the one before it: so
 * nothing that fails is overtaken.
 */
import type { Clock } from "../core/clock.ts";
import { TidemarkError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import { unlessAborted } from "../core/retry.ts";
import type { Message } from "../sinks/sink.ts";
import type { KafkaClient } from "./client.ts";
import type { BrokerConnection } from "./connection.ts";
import { Flights, type Flight } from "./flights.ts";
import { toKafkaError } from "./kafka-errors.ts";
import { messageBytes, type BatchLimits, type Lane } from "./lane.ts";
import { produce, type ProduceResult } from "./produce-request.ts";
import { isRefusal, type Batch, type Producer } from "./producer.ts";
import type { OutgoingRecord } from "./record-writer.ts";

export interface SenderOptions {
  readonly client: KafkaClient;
  readonly producer: Producer;
  readonly pipeline: string;
  readonly limits: BatchLimits;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** Called for each message, in the order of its lane. */
  readonly delivered: (lane: Lane, message: Message, nextOffset: number) => void;
  /** Resolves when a message that Kafka refuses is safe elsewhere. */
  readonly refused: (message: Message, error: TidemarkError) => Promise<void>;
  readonly failed: (error: unknown) => void;
}

/** Requests under way to one leader. With one batch of a partition in each, never more of a partition. */
const REQUESTS_MAX = 5;
/** A request with messages of several megabytes leaves no room for others: they would only wait in memory. */
const REQUEST_BYTES_MAX = 4 * 1024 * 1024;

/** A broker that leads some of our partitions. */
class Leader {
  readonly node: number;
  /** Those that may have something to send, the longest waiting first. */
  readonly waiting = new Set<Flights>();
  requests = 0;
  /** Of the batches in these requests. */
  bytes = 0;
  busy = false;

  constructor(node: number) {
    this.node = node;
  }

  get hasRoom(): boolean {
    return this.requests < REQUESTS_MAX && this.bytes < REQUEST_BYTES_MAX;
  }
}

export class Sender {
  readonly #options: SenderOptions;
  readonly #flights = new Map<Lane, Flights>();
  readonly #leaders = new Map<number, Leader>();
  readonly #work = new Set<Promise<void>>();

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  /** The lane has messages to send. */
  wake(lane: Lane): void {
    let flights = this.#flights.get(lane);
    if (flights === undefined) {
      flights = new Flights(lane);
      this.#flights.set(lane, flights);
    }
    this.#wake(flights);
  }

  /** Resolves when nothing is under way any more. */
  async idle(): Promise<void> {
    while (this.#work.size > 0) await Promise.all(this.#work);
  }

  #wake(flights: Flights): void {
    if (!flights.ready(this.#options.clock.nowMs())) return;
    if (flights.leader === undefined) {
      flights.broken = true; // Until the leader is known, nobody else has to ask.
      this.#run(() => this.#findLeader(flights));
      return;
    }
    const leader = this.#leader(flights.leader);
    leader.waiting.add(flights);
    if (!leader.busy && leader.hasRoom) this.#run(() => this.#serve(leader));
  }

  #leader(node: number): Leader {
    let leader = this.#leaders.get(node);
    if (leader === undefined) {
      leader = new Leader(node);
      this.#leaders.set(node, leader);
    }
    return leader;
  }

  /** Runs something beside the caller; what it throws ends the sender. */
  #run(work: () => Promise<void>): void {
    const running = work()
      .catch((error: unknown) => this.#options.failed(error))
      .finally(() => this.#work.delete(running));
    this.#work.add(running);
  }

  async #findLeader(flights: Flights): Promise<void> {
    const { client, producer, signal } = this.#options;
    const { topic, partition } = flights.lane;
    await producer.identify(signal);
    try {
      flights.leader = await client.leader(topic, partition);
    } catch {
      await this.#mend(flights);
      return;
    }
    flights.broken = false;
    this.#wake(flights);
  }

  /** Sends what waits for this leader, until nothing does or enough requests are under way. */
  async #serve(leader: Leader): Promise<void> {
    const { client, producer, signal } = this.#options;
    leader.busy = true;
    try {
      await Promise.resolve(); // So that a whole write goes into the first batch.
      while (leader.waiting.size > 0 && leader.hasRoom && !signal.aborted) {
        let connection: BrokerConnection;
        try {
          connection = await client.node(leader.node);
        } catch {
          for (const flights of leader.waiting) if (!flights.broken) this.#break(flights);
          leader.waiting.clear();
          return;
        }
        const asked = producer.passed(signal);
        if (asked !== undefined) await asked;
        const taken = this.#take(leader);
        if (taken.length === 0) return;
        this.#run(() => this.#request(leader, connection, taken));
      }
    } finally {
      leader.busy = false;
    }
  }

  /** A batch of each partition that waits, as far as they fit into one request. */
  #take(leader: Leader): { readonly flights: Flights; readonly flight: Flight }[] {
    const nowMs = this.#options.clock.nowMs();
    const taken: { flights: Flights; flight: Flight }[] = [];
    const again: Flights[] = [];
    let bytes = 0;
    for (const flights of leader.waiting) {
      if (bytes >= this.#options.limits.bytes) break;
      leader.waiting.delete(flights);
      // The partition may have moved since, and has to be sent to one leader at a time.
      if (flights.leader !== leader.node || !flights.ready(nowMs)) continue;
      const flight = this.#next(flights);
      taken.push({ flights, flight });
      bytes += flight.batch.bytes.length;
      if (flights.ready(nowMs)) again.push(flights);
    }
    for (const flights of again) leader.waiting.add(flights);
    return taken;
  }

  #next(flights: Flights): Flight {
    const { lane, list } = flights;
    const messages = lane.take(this.#options.limits);
    const flight = {
      messages,
      batch: this.#make(lane, messages),
      offset: undefined,
      settled: false,
    };
    list.push(flight);
    return flight;
  }

  #make(lane: Lane, messages: readonly Message[]): Batch {
    const { producer, pipeline } = this.#options;
    return producer.make(
      lane,
      messages.map(message => toRecord(message, pipeline)),
    );
  }

  async #request(
    leader: Leader,
    connection: BrokerConnection,
    taken: readonly { readonly flights: Flights; readonly flight: Flight }[],
  ): Promise<void> {
    const batches = taken.map(({ flight }) => flight.batch);
    const bytes = batches.reduce((sum, batch) => sum + batch.bytes.length, 0);
    leader.requests += 1;
    leader.bytes += bytes;
    const results = await this.#produce(connection, batches);
    leader.requests -= 1;
    leader.bytes -= bytes;
    for (const [i, { flights, flight }] of taken.entries()) {
      flight.settled = true;
      const { errorCode, baseOffset } = results[i] ?? {};
      if (errorCode === 0) {
        flight.offset = Number(baseOffset);
        this.#deliver(flights);
      } else {
        flights.broken = true;
      }
      if (flights.broken) this.#break(flights);
      else this.#wake(flights);
    }
    if (leader.waiting.size > 0 && !leader.busy) await this.#serve(leader);
  }

  /** What fails here is tried again, and said if it goes on failing. */
  async #produce(
    connection: BrokerConnection,
    batches: readonly Batch[],
  ): Promise<readonly ProduceResult[]> {
    const { producer, logger } = this.#options;
    try {
      return await produce(connection, batches, producer.requestTimeoutMs);
    } catch (error) {
      logger.debug({ batches: batches.length }, toKafkaError(error, "Sending to Kafka").message);
      return [];
    }
  }

  #deliver(flights: Flights): void {
    for (const { messages, batch, offset } of flights.arrived()) {
      this.#arrived(flights, messages, offset);
      if (!flights.broken) this.#options.producer.recycle(batch);
    }
  }

  #arrived(flights: Flights, messages: readonly Message[], offset: number): void {
    const { clock, signal, delivered } = this.#options;
    const { lane } = flights;
    flights.proven(clock.nowMs());
    if (offset < lane.nextOffset) throw movedBack(lane, offset);
    if (signal.aborted) return;
    let nextOffset = offset;
    for (const message of messages) delivered(lane, message, ++nextOffset);
  }

  /** Something of this partition failed. Once all that is under way has ended, it is mended. */
  #break(flights: Flights): void {
    flights.broken = true;
    if (!flights.settled || this.#options.signal.aborted) return;
    this.#run(() => this.#mend(flights));
  }

  /** One batch after the other, each for as long as it takes, until all that was made has arrived. */
  async #mend(flights: Flights): Promise<void> {
    const { producer, client, signal } = this.#options;
    const { lane, list } = flights;
    client.forget(lane.topic);
    flights.leader = undefined;
    if (list.length === 0 && lane.length > 0) this.#next(flights);
    if (__MUTANT__ === "drop-on-error") this.#pretend(flights);
    for (let first = list[0]; first !== undefined; first = list[0]) {
      try {
        first.offset ??= await producer.deliver(first.batch, signal);
      } catch (error) {
        if (!isRefusal(error)) throw error;
        producer.takeBack(first.batch);
        // Without this batch the broker took none of those behind it, and they get its numbers.
        lane.unshift(list.slice(1).flatMap(({ messages }) => messages));
        list.length = 0;
        await this.#divide(flights, first.messages, error);
        break;
      }
      this.#deliver(flights);
    }
    flights.broken = false;
    this.#wake(flights);
  }

  /** Kafka refuses a batch as a whole: halves are sent until the message is found, or all fit. */
  async #divide(
    flights: Flights,
    messages: readonly Message[],
    error: TidemarkError,
  ): Promise<void> {
    const { producer, signal } = this.#options;
    const { lane } = flights;
    if (messages.length === 1) {
      await this.#refuse(lane, messages[0] as Message, error);
      return;
    }
    const half = messages.length >> 1;
    for (const part of [messages.slice(0, half), messages.slice(half)]) {
      const batch = this.#make(lane, part);
      try {
        this.#arrived(flights, part, await producer.deliver(batch, signal));
      } catch (thrown) {
        if (!isRefusal(thrown)) throw thrown;
        producer.takeBack(batch);
        await this.#divide(flights, part, thrown);
      }
    }
  }

  /** The lane waits until the message is safe. */
  #refuse(lane: Lane, message: Message, error: TidemarkError): Promise<void> {
    const { refused, signal } = this.#options;
    return unlessAborted(() => refused(message, refusal(error, lane, message)), signal);
  }

  /** Only in a build that is wrong on purpose: what was lost is said to have arrived. */
  #pretend({ lane, list }: Flights): void {
    const [first] = list;
    if (first !== undefined) this.#options.producer.takeBack(first.batch);
    for (const { messages } of list.splice(0)) {
      for (const message of messages) this.#options.delivered(lane, message, lane.nextOffset);
    }
  }
}

function toRecord(message: Message, pipeline: string): OutgoingRecord {
  const { id, transaction, position, key, value } = message;
  const headers = [
    ["id", id],
    ["pipeline", pipeline],
    ["transaction", transaction],
    ["position", position],
  ] as const;
  return { key, value, headers };
}

function refusal(error: TidemarkError, lane: Lane, message: Message): TidemarkError {
  const cause = error.cause as Error;
  return new TidemarkError(
    "MESSAGE_REFUSED",
    `Kafka refuses message ${message.id} of binlog position ${message.position} for topic ` +
      `${lane.topic}, partition ${lane.partition} (${messageBytes(message)} bytes): ${cause.message}. ` +
      "Nothing after it was delivered there. Change the setting of the topic, such as max.message.bytes, " +
      "or exclude the column or table.",
    { cause },
  );
}

function movedBack(lane: Lane, offset: number): TidemarkError {
  return new TidemarkError(
    "SINK_OUTCOME_UNKNOWN",
    `Topic ${lane.topic}, partition ${lane.partition}, answered with offset ${offset} after ` +
      `${lane.nextOffset}: it was made anew or has lost records.`,
  );
}
