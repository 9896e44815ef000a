/**
 * Takes entries from the pending channel, encodes them, and hands their messages to the sink.
 *
 *   pending channel ──take──▶ encode ──write──▶ sink ──delivered──▶ deliveries ──acknowledge──▶ commit-log map
 *
 * An entry is acknowledged when every message of it was delivered, and at once if it yields none. An
 * error never acknowledges anything. Memory for encoded messages is bounded by the sink's backlog: the
 * flusher encodes no more than `chunkMessages` beyond it.
 */
import type { Clock } from "../core/clock.ts";
import { Wake } from "../core/signal.ts";
import type { Message, Place, Sink } from "../sinks/sink.ts";
import type { Encoder } from "./encoder.ts";
import type { PendingChannel } from "./pending-channel.ts";

/** Entries of which messages are on their way. */
interface Delivery {
  /** Which messages, not how many: a delivery reported twice must not stand in for another one. */
  readonly outstanding: Set<Message>;
  /** The furthest place in each partition that the entry reached. */
  readonly places: Map<string, Place>;
}

export interface FlusherOptions {
  readonly pending: PendingChannel;
  readonly encoder: Encoder;
  readonly sink: Pick<Sink, "write" | "room">;
  readonly acknowledge: (seq: number, places: readonly Place[]) => void;
  readonly clock: Clock;
  /** Messages encoded before the sink is given them and the event loop may turn. */
  readonly chunkMessages: number;
}

const NO_PLACES: readonly Place[] = [];

export class Flusher {
  readonly #options: FlusherOptions;
  readonly #deliveries = new Map<number, Delivery>();
  readonly #changed = new Wake();
  messagesDelivered = 0;

  constructor(options: FlusherOptions) {
    this.#options = options;
  }

  /** Resolves when the channel is closed and every entry it held is acknowledged. */
  async run(signal: AbortSignal): Promise<void> {
    const { pending, encoder, chunkMessages } = this.#options;
    for (;;) {
      const entries = await pending.take(signal);
      if (entries.length === 0) break;
      let chunk: Message[] = [];
      for (const entry of entries) {
        const messages = encoder.encode(entry);
        this.#expect(entry.seq, messages);
        chunk = chunk.length === 0 ? messages : chunk.concat(messages);
        if (chunk.length < chunkMessages) continue;
        await this.#write(chunk, signal);
        chunk = [];
      }
      await this.#write(chunk, signal);
    }
    await this.#changed.until(() => this.#deliveries.size === 0, signal);
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

  #expect(seq: number, messages: readonly Message[]): void {
    if (messages.length === 0 || __MUTANT__ === "ack-before-send") {
      this.#options.acknowledge(seq, NO_PLACES);
      return;
    }
    this.#deliveries.set(seq, { outstanding: new Set(messages), places: new Map() });
  }

  /** The sink's delivery callback. Messages that are not awaited, or no longer, change nothing. */
  delivered(message: Message, place?: Place): void {
    const delivery = this.#deliveries.get(message.seq);
    if (delivery?.outstanding.delete(message) !== true) return;
    this.messagesDelivered += 1;
    if (place !== undefined) {
      // A lane delivers in order, so the last place of a partition is the furthest.
      delivery.places.set(`${place.destination}/${place.partition}`, place);
    }
    if (delivery.outstanding.size > 0) return;
    this.#deliveries.delete(message.seq);
    this.#options.acknowledge(message.seq, [...delivery.places.values()]);
    this.#changed.notify();
  }
}
