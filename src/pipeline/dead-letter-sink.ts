/**
 * A sink whose refused messages go to another one, the dead letters, and count as delivered there.
 *
 *   write ─▶ known as a letter? ──yes─▶ delivered
 *              │ no                        ▲
 *              ╰─▶ sink ──refused─▶ letter ─▶ dead letters
 *
 * Checkpoints hold the offsets of the dead letters too, under names with a prefix. After a restart, what
 * stands there behind the checkpoint is not given to the sink again: it would be refused again, or be
 * missing among the messages that the sink compares with its own tail.
 */
import type { NextOffsets } from "../core/checkpoint.ts";
import type { Clock } from "../core/clock.ts";
import type { TidemarkError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import { partsOf } from "../core/rows.ts";
import type { Message, Place, Sink, SinkEvents, SinkResume } from "../sinks/sink.ts";
import type { Router } from "../queue/encoder.ts";
import type { LetterStore } from "./letter-store.ts";
import { writeLetter } from "./letter.ts";

export interface DeadLetterSinkOptions {
  readonly sink: Sink;
  readonly letters: Sink;
  /** Undefined: letters have no offsets, and a crash may repeat them. */
  readonly store: LetterStore | undefined;
  /** Where the letters of a table go. */
  readonly router: Router;
  readonly pipeline: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called for each message that is refused. */
  readonly onRefused: () => void;
}

/** No other destination begins with it. */
const PREFIX = "dead-letters:";
/** Refusals closer together than this are one burst, of which the log tells the beginning and the end. */
const BURST_MS = 60_000;

export class DeadLetterSink implements Sink {
  readonly name: string;
  readonly #options: DeadLetterSinkOptions;
  /** Letters behind the checkpoint whose messages have not come yet. */
  readonly #known = new Map<string, Place>();
  /** Letters on their way. */
  readonly #buried = new Map<Message, (place: Place | undefined) => void>();
  #events: SinkEvents | undefined;
  #isClosed = false;
  #seq = 0;
  #burst = 0;
  #endBurst: () => void = () => undefined;

  constructor(options: DeadLetterSinkOptions) {
    this.#options = options;
    this.name = options.sink.name;
  }

  async open(resume: SinkResume, events: SinkEvents, signal: AbortSignal): Promise<NextOffsets> {
    this.#events = events;
    const { own, letters } = split(resume.nextOffsets);
    const freshLetters = await this.#openLetters({ ...resume, nextOffsets: letters }, signal);
    const fresh = await this.#options.sink.open(
      { ...resume, nextOffsets: own },
      { ...withEvents(events), refused: this.#refused },
      signal,
    );
    return { ...fresh, ...prefixed(freshLetters) };
  }

  write(messages: readonly Message[]): void {
    if (this.#known.size === 0) {
      this.#options.sink.write(messages);
      return;
    }
    const unknown: Message[] = [];
    for (const message of messages) {
      const place = this.#known.get(message.id);
      if (place === undefined) {
        unknown.push(message);
      } else {
        this.#known.delete(message.id);
        this.#events?.delivered(message, prefixedPlace(place));
      }
    }
    if (unknown.length > 0) this.#options.sink.write(unknown);
  }

  room(signal: AbortSignal): Promise<void> {
    return this.#options.sink.room(signal);
  }

  partitionOf(message: Message): number | undefined {
    return this.#options.sink.partitionOf?.(message);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#endBurst();
    await Promise.all([this.#options.sink.close(), this.#options.letters.close()]);
  }

  async #openLetters(resume: SinkResume, signal: AbortSignal): Promise<NextOffsets> {
    const { letters, store } = this.#options;
    const known = resume.nextOffsets ?? {};
    const ends = store === undefined ? {} : await store.ends(known);
    const from = { ...ends, ...known };
    if (store !== undefined) {
      for await (const { id, place } of store.read(from, signal)) this.#known.set(id, place);
    }
    const events: SinkEvents = {
      delivered: (letter, place) => this.#delivered(letter, place),
      refused: (_, error) => this.#fail(error),
      failed: error => this.#events?.failed(error),
      claim: offsets => this.#events?.claim(prefixed(offsets)) ?? Promise.resolve(),
    };
    const fresh = await letters.open(
      { ...resume, nextOffsets: from, destinations: [] },
      events,
      signal,
    );
    return { ...ends, ...fresh };
  }

  #fail(error: TidemarkError): Promise<void> {
    this.#events?.failed(error);
    return new Promise(() => undefined);
  }

  readonly #refused = async (
    message: Message,
    error: TidemarkError,
    attempts: number,
  ): Promise<void> => {
    const { pipeline, clock, letters, router, onRefused } = this.#options;
    onRefused();
    this.#note(message, error);
    const refusal = { pipeline, error, attempts, refusedAtMs: clock.wallMs() };
    const value = writeLetter(message, refusal);
    const letter: Message = {
      ...{ seq: this.#seq, index: 0, id: message.id, value, key: message.key },
      destination: router(...partsOf(message.table)),
      ...{ table: message.table, operation: message.operation, keyed: message.keyed },
      partitionKey: message.partitionKey,
      bytes: (message.key?.length ?? 0) + value.length,
      ...{ transaction: message.transaction, position: message.position },
    };
    this.#seq += 1;
    const place = await new Promise<Place | undefined>(resolve => {
      this.#buried.set(letter, resolve);
      letters.write([letter]);
    });
    if (!this.#isClosed) this.#events?.delivered(message, place && prefixedPlace(place));
  };

  #delivered(letter: Message, place: Place | undefined): void {
    const resolve = this.#buried.get(letter);
    this.#buried.delete(letter);
    resolve?.(place);
  }

  /** One line at the beginning of a burst, and one at its end. */
  #note({ id }: Message, { message }: TidemarkError): void {
    const { logger, clock } = this.#options;
    this.#burst += 1;
    if (this.#burst > 1) return;
    logger.warn({ code: "MESSAGE_REFUSED", id }, `Goes to the dead letters: ${message}`);
    let seen = this.#burst;
    const look = (): void => {
      if (this.#burst > seen) {
        seen = this.#burst;
        this.#endBurst = clock.after(BURST_MS, look);
        return;
      }
      if (seen > 1) logger.warn({ messages: seen }, "So many messages went to the dead letters");
      this.#burst = 0;
    };
    this.#endBurst = clock.after(BURST_MS, look);
  }
}

/** Its methods as functions, so that one can be replaced. */
function withEvents(events: SinkEvents): SinkEvents {
  return {
    delivered: (message, place, others) => events.delivered(message, place, others),
    refused: (message, error, attempts) => events.refused(message, error, attempts),
    failed: error => events.failed(error),
    claim: offsets => events.claim(offsets),
  };
}

/** The offsets of the sink itself, and those of the dead letters. */
export function split(offsets: NextOffsets | undefined): {
  readonly own: NextOffsets | undefined;
  readonly letters: NextOffsets | undefined;
} {
  if (offsets === undefined) return { own: undefined, letters: undefined };
  const entries = Object.entries(offsets);
  const isLetter = ([name]: [string, unknown]): boolean => name.startsWith(PREFIX);
  return {
    own: Object.fromEntries(entries.filter(entry => !isLetter(entry))),
    letters: Object.fromEntries(
      entries.filter(isLetter).map(([name, value]) => [name.slice(PREFIX.length), value]),
    ),
  };
}

function prefixed(offsets: NextOffsets): NextOffsets {
  return Object.fromEntries(Object.entries(offsets).map(([name, value]) => [PREFIX + name, value]));
}

function prefixedPlace(place: Place): Place {
  return { ...place, destination: PREFIX + place.destination };
}
