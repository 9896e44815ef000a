/** Refused messages on their way to the dead letters, and what a restart makes of them. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { NextOffsets } from "../../src/core/checkpoint.ts";
import { systemClock } from "../../src/core/clock.ts";
import { TidemarkError } from "../../src/core/errors.ts";
import { silentLogger, type Logger } from "../../src/core/logger.ts";
import { DeadLetterSink } from "../../src/pipeline/dead-letter-sink.ts";
import { letterStore } from "../../src/pipeline/letter-store.ts";
import { readLetter, writeLetter } from "../../src/pipeline/letter.ts";
import { FileSink } from "../../src/sinks/file-sink.ts";
import type { Message, Sink, SinkEvents } from "../../src/sinks/sink.ts";
import { makeMessage, makeMessages, RecordedEvents, resumeAt } from "../contract/sink.ts";

const never = new AbortController().signal;
const clock = systemClock;

/** Takes everything but the messages whose number it refuses. */
class PickySink implements Sink {
  readonly name = "picky";
  readonly taken: string[] = [];
  readonly #refused: ReadonlySet<number>;
  #events: SinkEvents | undefined;
  #work: Promise<void> = Promise.resolve();

  constructor(refused: readonly number[]) {
    this.#refused = new Set(refused);
  }

  open(_: unknown, events: SinkEvents): Promise<NextOffsets> {
    this.#events = events;
    return Promise.resolve({ main: { "0": 0 } });
  }

  write(messages: readonly Message[]): void {
    for (const message of messages) this.#work = this.#work.then(() => this.#send(message));
  }

  async #send(message: Message): Promise<void> {
    const error = new TidemarkError("MESSAGE_REFUSED", "It is too large.");
    if (this.#refused.has(message.seq)) return this.#events?.refused(message, error, 3);
    this.taken.push(message.id);
    const place = { destination: "main", partition: 0, nextOffset: this.taken.length };
    this.#events?.delivered(message, place);
  }

  room(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

let dir: string;
const opened: Sink[] = [];
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "tidemark-letters-"));
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map(sink => sink.close()));
  await rm(dir, { recursive: true });
});

const ids = (numbers: readonly number[]): string[] =>
  numbers.map(number => makeMessage(number, "").id);

describe.each([false, true])("dead letters in a file, with envelope %s", envelope => {
  const path = (): string => join(dir, "letters.jsonl");

  async function open(
    refused: readonly number[],
    { offsets, logger = silentLogger }: { offsets?: NextOffsets; logger?: Logger } = {},
  ): Promise<{
    main: PickySink;
    sink: DeadLetterSink;
    events: RecordedEvents;
    fresh: NextOffsets;
  }> {
    const main = new PickySink(refused);
    const file = { type: "file", path: path(), envelope, delivery: "at-least-once" } as const;
    const sink = new DeadLetterSink({
      sink: main,
      letters: new FileSink({ ...file, backlogBytesMax: 100_000, clock, logger: silentLogger }),
      store: letterStore(file, { name: "shop.dead-letters", clock, logger: silentLogger }),
      router: (database, table) => `${database}.${table}`,
      pipeline: "shop",
      clock,
      logger,
      onRefused: () => undefined,
    });
    opened.push(sink);
    const events = new RecordedEvents();
    const fresh = await sink.open(resumeAt(offsets, "main"), events, never);
    return { main, sink, events, fresh };
  }

  test("hold what was refused, in order, and count as delivered with their place", async () => {
    const { main, sink, events, fresh } = await open([2, 5]);
    sink.write(makeMessages(0, 8, "main"));
    await events.untilDelivered(8);
    expect(main.taken).toEqual(ids([0, 1, 3, 4, 6, 7]));
    expect(events.ids).toEqual(ids([0, 1, 2, 3, 4, 5, 6, 7]));
    expect(events.refusals).toEqual([]);
    const size = (await readFile(path())).length;
    expect(events.offsetsAfter(8, fresh)).toEqual({
      main: { "0": 6 },
      [`dead-letters:${path()}`]: { "0": size },
    });
    const lines = (await readFile(path(), "utf8")).trim().split("\n");
    const letters = lines.map(line => JSON.parse(line) as Record<string, unknown>);
    const bare = envelope ? letters.map(letter => letter["value"]) : letters;
    expect(bare).toMatchObject([
      { id: ids([2])[0], attempts: 3, reason: { code: "MESSAGE_REFUSED" } },
      { id: ids([5])[0] },
    ]);
  });

  // Goal: neither lost nor repeated, wherever the checkpoint stands, even if it would be taken now.
  test.each([0, 2, 3, 5])("are known after a restart at %i of 6", async at => {
    const before = await open([2, 4]);
    const messages = makeMessages(0, 6, "main");
    before.sink.write(messages);
    await before.events.untilDelivered(6);
    await before.sink.close();
    const written = await readFile(path(), "utf8");
    const after = await open([4], { offsets: before.events.offsetsAfter(at, before.fresh) });
    const replay = messages.slice(at);
    after.sink.write(replay);
    await after.events.untilDelivered(replay.length);
    expect(after.events.ids.sort()).toEqual(replay.map(({ id }) => id).sort());
    expect(after.main.taken).toEqual(ids([0, 1, 3, 5].filter(number => number >= at)));
    expect(await readFile(path(), "utf8")).toBe(written);
    const offsets = after.events.offsetsAfter(6, after.fresh);
    if (at <= 4) expect(offsets[`dead-letters:${path()}`]).toEqual({ "0": written.length });
  });

  test("begin at the end of a file that no checkpoint knows", async () => {
    const first = await open([0]);
    first.sink.write([makeMessage(0, "main")]);
    await first.events.untilDelivered(1);
    await first.sink.close();
    const { main, sink, events } = await open([], { offsets: { main: { "0": 0 } } });
    sink.write([makeMessage(0, "main")]);
    await events.untilDelivered(1);
    expect(main.taken).toEqual(ids([0]));
  });

  test("are logged once a burst", async () => {
    const logged: string[] = [];
    const warn = (_: object, message: string): void => void logged.push(message);
    const { sink, events } = await open([0, 1, 2], { logger: { ...silentLogger, warn } });
    sink.write(makeMessages(0, 3, "main"));
    await events.untilDelivered(3);
    expect(logged).toEqual(["Goes to the dead letters: It is too large."]);
  });
});

test("a letter holds the message byte for byte", () => {
  const error = new TidemarkError("MESSAGE_REFUSED", "no");
  const refusal = { pipeline: "shop", error, attempts: 1, refusedAtMs: 0 };
  const message = {
    ...makeMessage(1, "a"),
    key: Buffer.from([0xff, 0x00]),
    value: Buffer.from('{"id": 9007199254740993, "d": 1.50}'),
  };
  const bytes = message.key.length + message.value.length;
  const read = readLetter(writeLetter(message, refusal));
  expect({ ...read, seq: message.seq, index: message.index }).toEqual({ ...message, bytes });
  expect(() => readLetter(Buffer.from("{}"))).toThrow(/none/);
});
