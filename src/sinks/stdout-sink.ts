/**
 * Writes messages as lines to standard output.
 *
 * At-least-once by nature: a message is delivered when the system has taken its line, which then is the
 * reader's; what a pipe's reader had not read when it died cannot be told. While the reader does not
 * read, nothing is written, the backlog fills and the source is not pulled. A reader that goes away has
 * seen enough, as `head` does: the program ends, quietly, and goes on from its checkpoint next time.
 */
import type { Writable } from "node:stream";
import type { NextOffsets } from "../core/checkpoint.ts";
import { assert, TidemarkError } from "../core/errors.ts";
import { systemCode } from "../core/files.ts";
import { Backlog, Lines } from "./lines.ts";
import type { Message, Sink, SinkEvents, SinkResume } from "./sink.ts";

export interface StdoutSinkOptions {
  /** Whether a line is `{id, topic, key, value}` instead of the value alone. */
  readonly envelope: boolean;
  readonly backlogBytesMax: number;
  /** Standard output, unless a test brings its own. */
  readonly stream?: Writable;
}

const BATCH_BYTES = 64 * 1024;

export class StdoutSink implements Sink {
  readonly name = "stdout";
  readonly #options: StdoutSinkOptions;
  readonly #backlog: Backlog;
  readonly #stream: Writable;
  #events: SinkEvents | undefined;
  #isClosed = false;
  #isWriting = false;

  constructor(options: StdoutSinkOptions) {
    this.#options = options;
    this.#backlog = new Backlog(options.backlogBytesMax);
    this.#stream = options.stream ?? process.stdout;
  }

  /** Standard output has no offsets, and so no tail. */
  open(_resume: SinkResume, events: SinkEvents, signal: AbortSignal): Promise<NextOffsets> {
    if (signal.aborted) return Promise.reject(signal.reason as Error);
    this.#events = events;
    this.#stream.on("error", this.#fail);
    return Promise.resolve({});
  }

  write(messages: readonly Message[]): void {
    assert(this.#events !== undefined, "the stdout sink is not open");
    if (this.#isClosed) return;
    this.#backlog.push(messages);
    if (!this.#isWriting) this.#writeNext();
  }

  room(signal: AbortSignal): Promise<void> {
    return this.#backlog.room(signal);
  }

  /** What the system has not taken yet stays with it: a pipe that nobody reads would hold up the end. */
  close(): Promise<void> {
    this.#isClosed = true;
    return Promise.resolve();
  }

  #writeNext(): void {
    const messages = this.#backlog.take(BATCH_BYTES);
    this.#isWriting = messages.length > 0;
    if (!this.#isWriting) return;
    const lines = new Lines(this.#options.envelope);
    for (const message of messages) lines.add(message);
    this.#stream.write(lines.take(), error => {
      if (error) {
        this.#fail(error);
        return;
      }
      if (this.#isClosed) return;
      for (const message of messages) this.#events?.delivered(message);
      this.#backlog.release(messages);
      this.#writeNext();
    });
  }

  /** The listener stays after `close`: an error without one would end the process as a crash. */
  readonly #fail = (error: Error): void => {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#events?.failed(
      systemCode(error) === "EPIPE"
        ? new TidemarkError("STDOUT_CLOSED", "The reader of standard output has gone away.")
        : new TidemarkError(
            "SINK_SETTING",
            `Standard output cannot be written: ${error.message}. A sink of type file waits for a full disk.`,
            { cause: error },
          ),
    );
  };
}
