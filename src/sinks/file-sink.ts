/**
 * Writes messages as lines of one file.
 *
 *   write ─▶ backlog ─▶ one write, one fdatasync for all that waits ─▶ delivered
 *
 * Invariants:
 *
 *   1. `#end` is the length of what is synced. After an error the file is cut back to it before the
 *      batch is written again: a batch is there whole and once, or a restart finds its first lines.
 *   2. A message is delivered only after the fdatasync that covers its line.
 *   3. Nobody else writes. Lines carry no id, so one of a stranger would be counted as ours, and a
 *      message left out for it. The length is looked at before each batch; another one ends the sink.
 *
 * After a restart, the lines behind the checkpoint's offset are the first messages of the replay: that
 * many are delivered without being written (docs/guarantees.md).
 */
import { constants } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import type { NextOffsets } from "../core/checkpoint.ts";
import type { Clock } from "../core/clock.ts";
import { assert, TidemarkError, toTidemarkError } from "../core/errors.ts";
import { closeFile, isPassing, syncFolder, systemCode } from "../core/files.ts";
import type { Logger } from "../core/logger.ts";
import { retrying } from "../core/retry.ts";
import type { Troubles } from "../core/troubles.ts";
import { Backlog, Lines } from "./lines.ts";
import { countLines, isLineStart, LineEnds } from "./file-tail.ts";
import type { Message, Sink, SinkEvents, SinkResume } from "./sink.ts";

export interface FileSinkOptions {
  /** Also the name under which checkpoints know the file. */
  readonly path: string;
  /** Whether a line is `{id, topic, key, value}` instead of the value alone. */
  readonly envelope: boolean;
  readonly delivery: "at-least-once" | "effectively-once";
  readonly backlogBytesMax: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly troubles?: Troubles | undefined;
  /** How the file is opened; replaced by tests that need a failing disk. */
  readonly openFile?: (path: string, flags: number, mode: number) => Promise<FileHandle>;
}

const BATCH_BYTES = 1024 * 1024;
const PARTITION = "0";
/** Without O_TRUNC; and not O_APPEND, which would ignore the offset that a retry writes at. */
const FLAGS = constants.O_RDWR | constants.O_CREAT;
const MODE = 0o644;

export class FileSink implements Sink {
  readonly name = "file";
  readonly #options: FileSinkOptions;
  readonly #backlog: Backlog;
  readonly #closing = new AbortController();
  #handle: FileHandle | undefined;
  #events: SinkEvents | undefined;
  /** The length of the file: all of it is written and synced. */
  #end = 0;
  /** The offset after the last message: before `#end` as long as messages are found in the tail. */
  #at = 0;
  /** Lines that stand behind the checkpoint and belong to the next messages. */
  #tailLines = 0;
  #tail: LineEnds | undefined;
  #isWriting = false;

  constructor(options: FileSinkOptions) {
    this.#options = options;
    this.#backlog = new Backlog(options.backlogBytesMax);
  }

  async open(resume: SinkResume, events: SinkEvents, signal: AbortSignal): Promise<NextOffsets> {
    this.#events = events;
    const { path } = this.#options;
    return this.#retrying(`Opening ${path}`, signal, async () => {
      await this.#handle?.close();
      this.#handle = undefined;
      const handle = await this.#openFile();
      this.#handle = handle;
      return this.#resume(handle, resume);
    });
  }

  write(messages: readonly Message[]): void {
    if (this.#closing.signal.aborted) return;
    this.#backlog.push(messages);
    if (!this.#isWriting) void this.#drain();
  }

  room(signal: AbortSignal): Promise<void> {
    return this.#backlog.room(signal);
  }

  async close(): Promise<void> {
    const { path, clock } = this.#options;
    this.#closing.abort(new TidemarkError("SINK_UNAVAILABLE", `The sink of ${path} is closed.`));
    const handle = this.#handle;
    this.#handle = undefined;
    if (handle !== undefined) await closeFile(handle, clock);
  }

  async #openFile(): Promise<FileHandle> {
    const { path, openFile = open } = this.#options;
    const handle = await openFile(path, FLAGS, MODE);
    try {
      const stats = await handle.stat();
      if (!stats.isFile()) {
        throw new TidemarkError(
          "SINK_SETTING",
          `${path} is not a regular file. Choose another path.`,
        );
      }
      if (stats.size === 0) await syncFolder(dirname(path));
      return handle;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** Fixes where the tail ends, cuts off a torn line, and says how much of the tail is ours to skip. */
  async #resume(handle: FileHandle, resume: SinkResume): Promise<NextOffsets> {
    const { path, delivery, logger } = this.#options;
    const { size } = await handle.stat();
    const base = resume.nextOffsets?.[path]?.[PARTITION];
    if (base === undefined) {
      if (size === 0) return { [path]: { [PARTITION]: 0 } };
      throw new TidemarkError(
        "OUTPUT_UNKNOWN",
        `The file ${path} is not empty, but there is no checkpoint for it. Move it away, or run ` +
          "`tidemark position set` to begin behind what it holds.",
      );
    }
    await this.#checkBase(handle, base, size);
    const { lines, end } = await countLines(handle, base);
    if (end < size) {
      await handle.truncate(end);
      logger.info({ path, bytes: size - end }, "Cut off the torn last line");
    }
    // Lines of a killed process may not have reached the disk yet, and will now count as delivered.
    if (size > base) await handle.datasync();
    this.#end = end;
    this.#at = end;
    if (resume.startsAnew === true) return { [path]: { [PARTITION]: end } };
    if (delivery === "at-least-once" || lines === 0) return {};
    const inSnapshot = resume.snapshotTails !== undefined;
    if (!resume.sameServer || !resume.sameOutput || inSnapshot) {
      const change = resume.sameServer ? "What is captured has changed" : "It is another server";
      const what = inSnapshot ? "The snapshot was interrupted" : change;
      logger.warn({ path, lines }, `${what}: the lines behind the checkpoint are written again`);
      // Counted from here on: the lines in front are not those that the next start would count.
      return { [path]: { [PARTITION]: end } };
    }
    if (__MUTANT__ === "forget-tail") return {};
    this.#tailLines = lines;
    this.#tail = new LineEnds(handle, base);
    this.#at = base;
    return {};
  }

  async #checkBase(handle: FileHandle, base: number, size: number): Promise<void> {
    const { path } = this.#options;
    const isShorter = size < base;
    if (!isShorter && (await isLineStart(handle, base))) return;
    const found = isShorter ? `has ${size} bytes` : "has no line that ends there";
    throw new TidemarkError(
      "COMMIT_LOG_UNUSABLE",
      `The checkpoint says that ${path} was written up to byte ${base}, but it ${found}. Restore the ` +
        "file, or run `tidemark position set` to go on with it as it is.",
    );
  }

  async #drain(): Promise<void> {
    const destination = this.#options.path;
    this.#isWriting = true;
    try {
      for (;;) {
        const messages = this.#backlog.take(BATCH_BYTES);
        if (messages.length === 0) break;
        const offsets = await this.#place(messages);
        if (this.#closing.signal.aborted) return;
        for (let i = 0; i < messages.length; i += 1) {
          const nextOffset = offsets[i] ?? 0;
          const message = messages[i] as Message;
          this.#events?.delivered(message, { destination, partition: 0, nextOffset });
        }
        this.#backlog.release(messages);
      }
    } catch (error) {
      if (this.#closing.signal.aborted) return;
      this.#closing.abort(error);
      this.#events?.failed(toTidemarkError(error));
    } finally {
      this.#isWriting = false;
    }
  }

  /** Makes each message stand in the file, durably. Returns the offset after each. */
  async #place(messages: readonly Message[]): Promise<readonly number[]> {
    const offsets: number[] = [];
    const lines = new Lines(this.#options.envelope);
    for (const message of messages) {
      if (this.#tailLines > 0 && lines.has(message)) await this.#passTailLine();
      else this.#at += lines.add(message);
      offsets.push(this.#at);
    }
    const data = lines.take();
    if (data.length > 0) await this.#append(data);
    return offsets;
  }

  async #passTailLine(): Promise<void> {
    const { path } = this.#options;
    const end = await this.#retrying(`Reading ${path}`, this.#closing.signal, async () =>
      this.#tail?.next(),
    );
    if (end === undefined) throw this.#changed();
    this.#at = end;
    this.#tailLines -= 1;
  }

  async #append(data: Buffer): Promise<void> {
    const handle = this.#handle;
    assert(handle !== undefined, "the file sink is not open");
    let isFirst = true;
    await this.#retrying(`Writing ${this.#options.path}`, this.#closing.signal, async () => {
      try {
        if (!isFirst) await handle.truncate(this.#end);
        else if ((await handle.stat()).size !== this.#end) throw this.#changed();
        isFirst = false;
        await writeAll(handle, data, this.#end);
        await handle.datasync();
      } catch (error) {
        if (__MUTANT__ !== "drop-on-error") throw error;
        this.#end = (await handle.stat()).size - data.length;
      }
    });
    this.#end += data.length;
  }

  #changed(): TidemarkError {
    return new TidemarkError(
      "OUTPUT_UNKNOWN",
      `Somebody else has written to ${this.#options.path} or cut it. Rotate it only while no instance ` +
        "runs, and run `tidemark position set` afterwards.",
    );
  }

  #retrying<T>(doing: string, signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
    const { clock, logger, troubles } = this.#options;
    const classify = (thrown: unknown): TidemarkError => {
      const code = systemCode(thrown);
      if (code === undefined) return toTidemarkError(thrown);
      const message = `${doing} failed: ${(thrown as Error).message}.`;
      const kind = isPassing(thrown) ? "SINK_UNAVAILABLE" : "SINK_SETTING";
      return new TidemarkError(kind, message, { cause: thrown });
    };
    const isUnreachable = (): boolean => false;
    return retrying(attempt, { clock, logger, signal, doing, classify, troubles, isUnreachable });
  }
}

/** A write may be cut short, by a disk that is getting full or by a signal. */
async function writeAll(handle: FileHandle, data: Buffer, at: number): Promise<void> {
  for (let done = 0; done < data.length;) {
    const { bytesWritten } = await handle.write(data, done, data.length - done, at + done);
    done += bytesWritten;
  }
}
