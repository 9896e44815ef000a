/** The last checkpoint, read as anyone can read it: from the commit-log topic, or from the file. */
import { existsSync, readFileSync } from "node:fs";
import type { Consumer } from "./consumer.ts";
import type { CommitRecord } from "./oracle.ts";

/** Changes the last time it is read: a reader of the topic remembers what it has read. */
export interface CommitLogReader {
  read(): Promise<CommitRecord | undefined>;
}

export class FileCommitLogReader implements CommitLogReader {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  read(): Promise<CommitRecord | undefined> {
    if (!existsSync(this.#path)) return Promise.resolve(undefined);
    return Promise.resolve(JSON.parse(readFileSync(this.#path, "utf8")) as CommitRecord);
  }
}

/**
 * Two keys: `<pipeline>` holds the checkpoint with the partitions that changed lately,
 * `<pipeline>/offsets` all partitions. What the first says of a partition goes before the second.
 */
export class TopicCommitLogReader implements CommitLogReader {
  readonly #consumer: Consumer;
  readonly #pipeline: string;
  #checkpoint: CommitRecord | undefined;
  #offsets: CommitRecord["next_offsets"] = {};

  constructor(consumer: Consumer, pipeline: string) {
    this.#consumer = consumer;
    this.#pipeline = pipeline;
  }

  async read(): Promise<CommitRecord | undefined> {
    await this.#consumer.readToEnd(({ key, value }) => {
      const name = key?.toString();
      if (value === null || (name !== this.#pipeline && name !== `${this.#pipeline}/offsets`))
        return;
      const record = JSON.parse(value.toString()) as CommitRecord;
      if (name !== this.#pipeline) this.#offsets = record.next_offsets;
      else if (!this.#checkpoint || isLater(record, this.#checkpoint)) this.#checkpoint = record;
    });
    if (!this.#checkpoint) return undefined;
    const next_offsets: Record<string, Record<string, number>> = {};
    for (const map of [this.#offsets, this.#checkpoint.next_offsets]) {
      for (const [topic, partitions] of Object.entries(map)) {
        next_offsets[topic] = { ...next_offsets[topic], ...partitions };
      }
    }
    return { ...this.#checkpoint, next_offsets };
  }
}

function isLater(a: CommitRecord, b: CommitRecord): boolean {
  return a.generation > b.generation || (a.generation === b.generation && a.sequence >= b.sequence);
}
