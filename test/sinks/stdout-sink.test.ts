import { Writable } from "node:stream";
import { describe, expect, test } from "vitest";
import { StdoutSink } from "../../src/sinks/stdout-sink.ts";
import { makeMessages, RecordedEvents, resumeAt, sinkContract } from "../contract/sink.ts";

const signal = new AbortController().signal;

/** A pipe whose reader reads only when told. */
class Pipe extends Writable {
  text = "";
  #pending: (() => void)[] = [];
  #isReading: boolean;

  constructor(isReading: boolean) {
    super();
    this.#isReading = isReading;
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error) => void): void {
    const take = (): void => {
      this.text += chunk.toString();
      done();
    };
    if (this.#isReading) setImmediate(take);
    else this.#pending.push(take);
  }

  read(): void {
    this.#isReading = true;
    for (const take of this.#pending.splice(0)) take();
  }

  pauseReading(): void {
    this.#isReading = false;
  }
}

/** One whose reader is gone. */
class Broken extends Writable {
  override _write(_chunk: Buffer, _encoding: string, done: (error?: Error) => void): void {
    done(Object.assign(new Error("write EPIPE"), { code: "EPIPE", syscall: "write" }));
  }
}

sinkContract(
  "StdoutSink",
  () => {
    const stream = new Pipe(true);
    return Promise.resolve({
      makeSink: ({ backlogBytesMax = 1024 * 1024 } = {}) =>
        new StdoutSink({ envelope: false, backlogBytesMax, stream }),
      faults: { away: () => stream.pauseReading(), back: () => stream.read() },
      destination: "stdout",
      read: () => Promise.resolve([stream.text.split("\n").slice(0, -1)]),
      release: () => Promise.resolve(),
    });
  },
  { offsets: false, faults: ["away"] },
);

async function open(
  stream: Writable,
  backlogBytesMax = 1024 * 1024,
): Promise<[StdoutSink, RecordedEvents]> {
  const sink = new StdoutSink({ envelope: true, backlogBytesMax, stream });
  const events = new RecordedEvents();
  await sink.open(resumeAt(undefined, "stdout"), events, signal);
  return [sink, events];
}

describe("StdoutSink", () => {
  test("delivers nothing, and has no room, until the reader reads", async () => {
    const pipe = new Pipe(false);
    const [sink, events] = await open(pipe, 1_000);
    sink.write(makeMessages(0, 20, "stdout"));
    const reason = new Error("enough");
    const stop = new AbortController();
    setTimeout(() => stop.abort(reason), 50);
    await expect(sink.room(stop.signal)).rejects.toBe(reason);
    expect(events.delivered_).toEqual([]);
    pipe.read();
    await events.untilDelivered(20);
    await sink.room(signal);
  });

  test("ends without an error code when the reader has gone away", async () => {
    const [sink, events] = await open(new Broken());
    sink.write(makeMessages(0, 3, "stdout"));
    await events.until(() => events.failure !== undefined);
    expect(events.failure).toMatchObject({ code: "STDOUT_CLOSED", exitCode: 0, reaction: "halt" });
    expect(events.delivered_).toEqual([]);
    sink.write(makeMessages(3, 6, "stdout"));
    await sink.close();
  });
});
