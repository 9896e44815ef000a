/** What the file sink and the stdout sink share: messages as lines, and the bounded backlog of them. */
import { assert } from "../core/errors.ts";
import { Wake } from "../core/signal.ts";
import type { Message } from "./sink.ts";

const LINE_FEED = 0x0a;
const NEW_LINE = Buffer.of(LINE_FEED);
const NULL = Buffer.from("null");
const KEY = Buffer.from(',"key":');
const VALUE = Buffer.from(',"value":');
const END = Buffer.from("}\n");

/**
 * Lines of messages: the format's value alone, or `{id, topic, key, value}`. Without that envelope a
 * tombstone has nothing to show: it gives no line. Lines that stand behind one another in memory are
 * taken together, without looking at them.
 */
export class Lines {
  readonly #envelope: boolean;
  #parts: Buffer[] = [];
  /** The lines taken last, to which the next may be added. */
  #data: Buffer | undefined;
  #start = 0;
  #end = 0;

  constructor(envelope: boolean) {
    this.#envelope = envelope;
  }

  /** Whether the message gives a line. */
  has(message: Message): boolean {
    return this.#envelope || message.line !== undefined || message.value !== null;
  }

  /** Adds the message's line. Returns its length, the line feed included. */
  add(message: Message): number {
    const { line } = message;
    if (this.#envelope) return this.#addParts(envelope(message));
    if (line === undefined) return this.#addParts(ownLine(message.value));
    if (line.data !== this.#data || line.start !== this.#end) {
      this.#endRun();
      this.#data = line.data;
      this.#start = line.start;
    }
    this.#end = line.end + NEW_LINE.length;
    return this.#end - line.start;
  }

  /** What was added, in one buffer. */
  take(): Buffer {
    this.#endRun();
    const parts = this.#parts;
    this.#parts = [];
    return parts.length === 1 && parts[0] ? parts[0] : Buffer.concat(parts);
  }

  #addParts(parts: readonly Buffer[]): number {
    this.#endRun();
    let length = 0;
    for (const part of parts) {
      this.#parts.push(part);
      length += part.length;
    }
    return length;
  }

  #endRun(): void {
    if (this.#data !== undefined) this.#parts.push(this.#data.subarray(this.#start, this.#end));
    this.#data = undefined;
  }
}

function ownLine(value: Buffer | null): readonly Buffer[] {
  if (value === null) return [];
  assertOneLine(value);
  return [value, NEW_LINE];
}

/** A line feed inside would make two lines of one, and the tail of a file is counted in lines. */
function assertOneLine(bytes: Buffer): void {
  assert(!bytes.includes(LINE_FEED), "a message has a line feed");
}

function envelope({ id, destination, key, value }: Message): readonly Buffer[] {
  for (const part of [key, value]) if (part !== null) assertOneLine(part);
  const head = Buffer.from(`{"id":${JSON.stringify(id)},"topic":${JSON.stringify(destination)}`);
  return [head, KEY, key ?? NULL, VALUE, value ?? NULL, END];
}

/** What a message counts against the backlog: its line, and something for the message itself. */
function cost(message: Message): number {
  return message.bytes + 200;
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
