/**
 * Takes entries from the pending channel, encodes them, and hands their messages to the sink.
 *
 *   pending channel ──take──▶ encode ──write──▶ sink ──delivered──▶ deliveries ──acknowledge──▶ commit-log map
 *
 * An entry is acknowledged when every message of it was delivered, and at once if it yields none. An
 * error never acknowledges anything: of an entry with a row that cannot be encoded, the rows in front of
 * it are sent, and the entry is not acknowledged. Memory for encoded messages is bounded by the sink's
 * backlog: the flusher encodes no more than `chunkMessages` beyond it.
 */
import type { Clock } from "../core/clock.ts";
import type { Parcel } from "../core/entry.ts";
import { Wake } from "../core/signal.ts";
import type { Flow } from "../core/vitals.ts";
import type { Message, Place, Sink } from "../sinks/sink.ts";
import type { Encoder } from "./encoder.ts";

/** Entries of which messages are on their way. */
interface Delivery {
  readonly messages: readonly Message[];
  /** Which messages, not how many: a delivery reported twice must not stand in for another one. */
  readonly delivered: Uint8Array;
  outstanding: number;
  /** The furthest place in each partition that the entry reached; few, so they are searched. */
  readonly places: Place[];
  readonly bytes: number;
  /** False if not all of its rows could be encoded: it is never acknowledged. */
  readonly isWhole: boolean;
}

/** The pending channel, or what stands between it and the flusher. */
export interface Supply {
  /** @returns an empty array only when nothing more comes. */
  take(signal: AbortSignal): Promise<Parcel[]>;
}

export interface FlusherOptions {
  readonly pending: Supply;
  readonly encoder: Pick<Encoder, "encode">;
  readonly sink: Pick<Sink, "write" | "room">;
  readonly acknowledge: (seq: number, places: readonly Place[]) => void;
  readonly clock: Clock;
  /** Messages encoded before the sink is given them and the event loop may turn. */
  readonly chunkMessages: number;
  /** Count entries, messages, and bytes of keys and values. */
  readonly encoded?: Flow;
  readonly delivered?: Flow;
}

const NO_PLACES: readonly Place[] = [];

export class Flusher {
  readonly #options: FlusherOptions;
  readonly #deliveries = new Map<number, Delivery>();
  readonly #changed = new Wake();

  constructor(options: FlusherOptions) {
    this.#options = options;
  }

  /**
   * Resolves when the channel is closed and everything that it held is sent.
   *
   * @throws TidemarkError of the encoder, when all that stands in front of the row at fault is sent.
   */
  async run(signal: AbortSignal): Promise<void> {
    const { pending, encoder, sink, chunkMessages } = this.#options;
    for (;;) {
      const entries = await pending.take(signal);
      if (entries.length === 0) break;
      let chunk: Message[] = [];
      // Each is let go as soon as it is encoded: once it is delivered, its room is given to another.
      entries.reverse();
      for (let entry = entries.pop(); entry !== undefined; entry = entries.pop()) {
        if (entry.notice !== undefined) {
          await this.#alone(entry, chunk, signal);
          chunk = [];
          continue;
        }
        const messages: Message[] = [];
        try {
          encoder.encode(entry, messages);
        } catch (fault) {
          if (messages.length > 0) this.#await(entry.seq, messages, 0, false);
          const before = [...chunk, ...messages];
          if (before.length > 0) sink.write(before);
          throw fault;
        }
        this.#expect(entry.seq, messages);
        for (const message of messages) chunk.push(message);
        if (chunk.length < chunkMessages) continue;
        await this.#write(chunk, signal);
        chunk = [];
      }
      await this.#write(chunk, signal);
    }
  }

  /**
   * What is told of a whole table stands between its rows, also where they go many ways: all that is in front of it
   * is delivered before it is sent, and what follows is sent when it is delivered.
   */
  async #alone(entry: Parcel, before: readonly Message[], signal: AbortSignal): Promise<void> {
    await this.#write(before, signal);
    await this.settled(signal);
    const messages: Message[] = [];
    this.#options.encoder.encode(entry, messages);
    this.#expect(entry.seq, messages);
    await this.#write(messages, signal);
    await this.settled(signal);
  }

  /** Resolves when everything that was sent is delivered. */
  settled(signal: AbortSignal): Promise<void> {
    return this.#changed.until(() => this.#deliveries.size === 0, signal);
  }

  async #write(messages: readonly Message[], signal: AbortSignal): Promise<void> {
    const { sink, clock } = this.#options;
    if (messages.length > 0) {
      sink.write(messages);
      await sink.room(signal);
    }
    await clock.turn();
    signal.throwIfAborted();
  }

  /** Of the messages that are not delivered, the first of the oldest entry. */
  oldest(): Message | undefined {
    for (const { messages, delivered } of this.#deliveries.values()) {
      return messages[delivered.indexOf(0)];
    }
    return undefined;
  }

  #expect(seq: number, messages: readonly Message[]): void {
    const bytes = sizeOf(messages);
    add(this.#options.encoded, messages.length, bytes);
    if (messages.length === 0 || __MUTANT__ === "ack-before-send") {
      add(this.#options.delivered, messages.length, bytes);
      this.#options.acknowledge(seq, NO_PLACES);
      return;
    }
    this.#await(seq, messages, bytes, true);
  }

  #await(seq: number, messages: readonly Message[], bytes: number, isWhole: boolean): void {
    const delivered = new Uint8Array(messages.length);
    const outstanding = messages.length;
    this.#deliveries.set(seq, { messages, delivered, outstanding, places: [], bytes, isWhole });
  }

  /** The sink's delivery callback. Messages that are not awaited, or no longer, change nothing. */
  delivered(message: Message, place?: Place, others: readonly Place[] = NO_PLACES): void {
    const { seq, index } = message;
    const delivery = this.#deliveries.get(seq);
    if (delivery?.messages[index] !== message || delivery.delivered[index] !== 0) return;
    delivery.delivered[index] = 1;
    delivery.outstanding -= 1;
    if (place !== undefined) keep(delivery.places, place);
    for (const other of others) keep(delivery.places, other);
    if (delivery.outstanding > 0) return;
    this.#deliveries.delete(seq);
    if (delivery.isWhole) {
      add(this.#options.delivered, delivery.messages.length, delivery.bytes);
      this.#options.acknowledge(seq, delivery.places);
    }
    this.#changed.notify();
  }
}

/** A lane delivers in order, so the last place of a partition is the furthest. */
function keep(places: Place[], place: Place): void {
  const { destination, partition } = place;
  for (let i = places.length - 1; i >= 0; i -= 1) {
    const known = places[i] as Place;
    if (known.partition !== partition || known.destination !== destination) continue;
    places[i] = place;
    return;
  }
  places.push(place);
}

function sizeOf(messages: readonly Message[]): number {
  let bytes = 0;
  for (const message of messages) bytes += message.bytes;
  return bytes;
}

function add(flow: Flow | undefined, messages: number, bytes: number): void {
  if (flow === undefined) return;
  flow.entries += 1;
  flow.items += messages;
  flow.bytes += bytes;
}
