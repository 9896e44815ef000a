/** The messages on their way to one partition, in order. */
import { Wake } from "../core/signal.ts";
import type { Message } from "../sinks/sink.ts";

export interface BatchLimits {
  readonly records: number;
  readonly bytes: number;
}

/** What a record adds: lengths, the names of the headers, row number and position. */
const RECORD_OVERHEAD = 140;

/** About what the message takes in a batch and in memory. Its texts are not made for that. */
export function messageBytes({ bytes, table, transaction }: Message): number {
  return bytes + 2 * transaction.length + table.length + RECORD_OVERHEAD;
}

export class Lane {
  readonly topic: string;
  readonly partition: number;
  /** The offset after the last message known to be delivered. */
  nextOffset: number;
  /** False while the tail is compared: until then nothing is sent. */
  sending: boolean;
  /** Ids of snapshot rows that are in the partition already. */
  readonly found = new Set<string>();
  readonly #arrived = new Wake();
  #messages: Message[] = [];
  #head = 0;

  constructor(options: { topic: string; partition: number; nextOffset: number; sending: boolean }) {
    this.topic = options.topic;
    this.partition = options.partition;
    this.nextOffset = options.nextOffset;
    this.sending = options.sending;
  }

  get length(): number {
    return this.#messages.length - this.#head;
  }

  push(message: Message): void {
    this.#messages.push(message);
    this.#arrived.notify();
  }

  /** The first message, as soon as there is one. */
  async first(signal: AbortSignal): Promise<Message> {
    for (;;) {
      const message = this.#messages[this.#head];
      if (message !== undefined) return message;
      await this.#arrived.wait(signal);
    }
  }

  /** Takes the first messages that fit into a batch; a message that is too large for one goes alone. */
  take({ records, bytes }: BatchLimits): Message[] {
    const from = this.#head;
    let size = 0;
    let to = from;
    for (; to < this.#messages.length && to - from < records; to += 1) {
      size += messageBytes(this.#messages[to] as Message);
      if (size > bytes && to > from) break;
    }
    const taken = this.#messages.slice(from, to);
    this.#head = to;
    if (this.#head === this.#messages.length || this.#head > 4096) {
      this.#messages = this.#messages.slice(this.#head);
      this.#head = 0;
    }
    return taken;
  }

  shift(): void {
    this.take({ records: 1, bytes: 0 });
  }

  /** True, once, for a snapshot row that is in the partition already. */
  hasFound(message: Message): boolean {
    return this.found.size > 0 && message.operation === "read" && this.found.delete(message.id);
  }

  /** Takes those of the messages. */
  takeFound(): readonly Message[] {
    if (this.found.size === 0) return [];
    const taken: Message[] = [];
    this.#messages = this.#messages.slice(this.#head).filter(message => {
      if (!this.hasFound(message)) return true;
      taken.push(message);
      return false;
    });
    this.#head = 0;
    return taken;
  }

  /** Puts messages back to the front. */
  unshift(messages: readonly Message[]): void {
    this.#messages = [...messages, ...this.#messages.slice(this.#head)];
    this.#head = 0;
  }
}
