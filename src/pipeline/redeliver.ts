/**
 * Sends the dead letters of a pipeline to its destination again, in their order, each once.
 *
 *   dead letters ──from the mark on──▶ original ─▶ sink ──delivered──▶ mark
 *
 * The mark is a file beside the file commit log, `<pipeline>.redelivered.json`, with the offsets behind the
 * last letter that was delivered and had no gap before it. The pipeline itself may be running: it is
 * written under another name, so that neither takes the other's messages for its own.
 */
import { mkdir, open, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import type { Config, PipelineConfig } from "../config/config.ts";
import type { NextOffsets } from "../core/checkpoint.ts";
import { systemClock } from "../core/clock.ts";
import { TidemarkError } from "../core/errors.ts";
import { syncFolder, systemCode } from "../core/files.ts";
import type { Logger } from "../core/logger.ts";
import { unlessAborted } from "../core/retry.ts";
import { Wake } from "../core/signal.ts";
import type { Message, Place, SinkEvents } from "../sinks/sink.ts";
import { LockFile } from "../watcher/lock-file.ts";
import { split } from "./dead-letter-sink.ts";
import { letterName, letterStore, type LetterStore } from "./letter-store.ts";
import { readLetter } from "./letter.ts";
import { makeCommitLog, makeSink } from "./target.ts";

export interface RedeliverRequest {
  readonly config: Config;
  readonly pipeline: PipelineConfig;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** Told of how many were delivered so far. */
  readonly onProgress: (delivered: number) => void;
}

const BACKLOG_BYTES = 4 * 1024 * 1024;
/** Letters between two marks. */
const MARK_EVERY = 500;

/** @returns how many letters were delivered. */
export async function redeliver(request: RedeliverRequest): Promise<number> {
  const { pipeline, logger, signal } = request;
  const { deadLetter, sink, commitLog } = pipeline;
  if (deadLetter === undefined) {
    throw new TidemarkError("USAGE", `Pipeline ${pipeline.name} has no on_refused.dead_letter.`);
  }
  const clock = systemClock;
  const store = letterStore(deadLetter, { name: letterName(pipeline.name), clock, logger });
  if (store === undefined) {
    throw new TidemarkError("USAGE", "Only dead letters in a file or in Kafka can be read again.");
  }
  if (sink.type === "file") {
    throw new TidemarkError(
      "USAGE",
      `Nothing can be put between the lines of ${sink.path}: they carry no id, and are counted.`,
    );
  }
  const dir = commitLog.type === "file" ? commitLog.dir : "tidemark-state";
  await mkdir(dir, { recursive: true });
  const what = `the redelivery of pipeline ${pipeline.name}`;
  const lock = new LockFile({ path: join(dir, `${pipeline.name}.redelivery.lock`), what, clock });
  await lock.acquire(signal);
  try {
    const mark = new MarkFile(dir, pipeline.name);
    const begin = { ...(await knownLetters(request)), ...(await mark.read()) };
    return await new Redelivery(request, { store, mark }).run(begin);
  } finally {
    await lock.release();
  }
}

/** Every place where the pipeline has written letters, from its beginning on. */
async function knownLetters(request: RedeliverRequest): Promise<NextOffsets> {
  const { pipeline, signal } = request;
  const { deadLetter } = pipeline;
  if (deadLetter?.type === "file") return { [deadLetter.path]: { "0": 0 } };
  const commitLog = makeCommitLog({ ...request, clock: systemClock, identities: new Map() });
  try {
    const checkpoint = await commitLog.read(signal);
    const { letters = {} } = split(checkpoint?.next_offsets);
    return Object.fromEntries(
      Object.entries(letters).map(([topic, partitions]) => [
        topic,
        Object.fromEntries(Object.keys(partitions).map(partition => [partition, 0])),
      ]),
    );
  } finally {
    await commitLog.close();
  }
}

class Redelivery {
  readonly #request: RedeliverRequest;
  readonly #store: LetterStore;
  readonly #mark: MarkFile;
  readonly #failure = new AbortController();
  readonly #changed = new Wake();
  /** In the order in which they were read. */
  readonly #open: { readonly message: Message; readonly place: Place; isDelivered: boolean }[] = [];
  #delivered = 0;
  #marked = 0;

  constructor(request: RedeliverRequest, parts: { store: LetterStore; mark: MarkFile }) {
    this.#request = request;
    this.#store = parts.store;
    this.#mark = parts.mark;
  }

  async run(from: NextOffsets): Promise<number> {
    const { pipeline, logger } = this.#request;
    const signal = AbortSignal.any([this.#request.signal, this.#failure.signal]);
    const sink = makeSink(pipeline.sink, {
      ...{ name: `${pipeline.name}.redelivery`, logger, clock: systemClock },
      identities: new Map(),
      ...{ delivery: "at-least-once", backlogBytes: BACKLOG_BYTES },
    });
    this.#mark.offsets = from;
    try {
      const resume = { nextOffsets: {}, destinations: [], sameServer: true, sameOutput: true };
      await sink.open(resume, this.#events(), signal);
      let seq = 0;
      for await (const { data, place } of this.#store.read(from, signal)) {
        const message: Message = { ...readLetter(data), seq, index: 0 };
        seq += 1;
        this.#open.push({ message, place, isDelivered: false });
        sink.write([message]);
        await sink.room(signal);
        if (this.#delivered - this.#marked >= MARK_EVERY) await this.#writeMark();
      }
      await this.#changed.until(() => this.#open.length === 0, signal);
      return this.#delivered;
    } finally {
      await this.#writeMark();
      await sink.close();
    }
  }

  #events(): SinkEvents {
    const fail = (error: TidemarkError): void => this.#failure.abort(error);
    return {
      delivered: message => this.#arrived(message),
      refused: (_, error) => {
        fail(error);
        return unlessAborted(() => new Promise(() => undefined), this.#request.signal);
      },
      failed: fail,
      claim: () => Promise.resolve(), // Nothing is compared with what was sent here.
    };
  }

  #arrived(message: Message): void {
    const letter = this.#open.find(candidate => candidate.message === message);
    if (letter === undefined) return;
    letter.isDelivered = true;
    while (this.#open[0]?.isDelivered === true) {
      const { place } = this.#open[0];
      this.#mark.pass(place);
      this.#open.shift();
      this.#delivered += 1;
    }
    this.#request.onProgress(this.#delivered);
    this.#changed.notify();
  }

  async #writeMark(): Promise<void> {
    if (this.#delivered === this.#marked) return;
    this.#marked = this.#delivered;
    await this.#mark.write();
  }
}

/** How far letters were delivered again. */
class MarkFile {
  offsets: NextOffsets = {};
  readonly #dir: string;
  readonly #path: string;

  constructor(dir: string, pipeline: string) {
    this.#dir = dir;
    this.#path = join(dir, `${pipeline}.redelivered.json`);
  }

  async read(): Promise<NextOffsets> {
    try {
      const { next_offsets } = JSON.parse(await readFile(this.#path, "utf8")) as {
        next_offsets: NextOffsets;
      };
      return next_offsets;
    } catch (error) {
      if (systemCode(error) === "ENOENT") return {};
      throw new TidemarkError(
        "COMMIT_LOG_UNUSABLE",
        `${this.#path} cannot be read. Without it, every dead letter is sent again.`,
        { cause: error },
      );
    }
  }

  pass({ destination, partition, nextOffset }: Place): void {
    const partitions = { ...this.offsets[destination], [String(partition)]: nextOffset };
    this.offsets = { ...this.offsets, [destination]: partitions };
  }

  async write(): Promise<void> {
    const temporary = `${this.#path}.tmp`;
    const handle = await open(temporary, "w");
    try {
      await handle.writeFile(`${JSON.stringify({ version: 1, next_offsets: this.offsets })}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, this.#path);
    await syncFolder(this.#dir);
  }
}
