/** What the file sink and the stdout sink share: messages as lines, and the bounded backlog of them. */
import { Wake } from "../core/signal.ts";
import { assert } from "../core/errors.ts";
import type { Message } from "./sink.ts";

const LINE_FEED = 0x0a;
const NEW_LINE = Buffer.of(LINE_FEED);
const NULL = Buffer.from("null");
const KEY = Buffer.from(',"key":');
const VALUE = Buffer.from(',"value":');
const END = Buffer.from("}\n");

/**
 * The parts of a message's line: the format's value alone, or `{id, topic, key, value}`. Without that
 * envelope a tombstone has nothing to show: it gives no line.
 */
export function lineParts(message: Message, envelope: boolean): readonly Buffer[] {
  const { id, destination, key, value } = message;
  // A line feed inside would make two lines of one, and the tail is counted in lines.
  assert(!value?.includes(LINE_FEED), "a message has a line feed");
  if (!envelope) return value === null ? [] : [value, NEW_LINE];
  assert(!key?.includes(LINE_FEED), "a message's key has a line feed");
  const head = Buffer.from(`{"id":${JSON.stringify(id)},"topic":${JSON.stringify(destination)}`);
  return [head, KEY, key ?? NULL, VALUE, value ?? NULL, END];
}

/** What a message counts against the backlog: its line, and something for the message itself. */
function cost(message: Message): number {
  return (message.key?.length ?? 0) + (message.value?.length ?? 0) + 200;
}

/** Messages that are not delivered yet, in order. */
export class Backlog {
  readonly #bytesMax: number;
  readonly #wake = new Wake();
  #messages: Message[] = [];
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  push(messages: readonly Message[]): void {
    for (const message of messages) {
      this.#messages.push(message);
      this.#bytes += cost(message);
    }
  }

  /** The next messages, at most `bytesMax` of them but at least one. They count until `release`. */
  take(bytesMax: number): readonly Message[] {
    let bytes = 0;
    let count = 0;
    while (count < this.#messages.length && bytes < bytesMax) {
      bytes += cost(this.#messages[count] as Message);
      count++;
    }
    if (count < this.#messages.length) return this.#messages.splice(0, count);
    const all = this.#messages;
    this.#messages = [];
    return all;
  }

  release(messages: readonly Message[]): void {
    for (const message of messages) this.#bytes -= cost(message);
    this.#wake.notify();
  }

  room(signal: AbortSignal): Promise<void> {
    return this.#wake.until(() => this.#bytes < this.#bytesMax, signal);
  }
}
