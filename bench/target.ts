/** Where a scenario delivers to: how far it is, asked cheaply, and what it holds, read in full. */
import { existsSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { FileCommitLogReader, TopicCommitLogReader } from "../test/verify/commit-log.ts";
import { Consumer } from "../test/verify/consumer.ts";
import { FileLines } from "../test/verify/file-lines.ts";

export interface Target {
  /** `sink` and `commit_log` of the pipeline. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Only grows: records, counting Kafka's own, or bytes. */
  progress(): Promise<number>;
  hasCheckpoint(): Promise<boolean>;
  /** Every message: its key and its value, as JSON. */
  readAll(visit: (value: string | null) => void): Promise<void>;
  close(): void;
}

export class KafkaTarget implements Target {
  readonly settings: Readonly<Record<string, unknown>>;
  readonly #events: Consumer;
  readonly #commits: Consumer;
  readonly #commitLog: TopicCommitLogReader;

  constructor(
    brokers: readonly string[],
    pipeline: string,
    createTopics: Readonly<Record<string, unknown>> = {},
  ) {
    const topic = `${pipeline}.{database}.{table}`;
    const commitLogTopic = "tidemark.commit-log";
    this.settings = {
      sink: { type: "kafka", brokers, topic, create_topics: createTopics },
      commit_log: { type: "kafka", topic: commitLogTopic },
    };
    this.#events = new Consumer(brokers, name => name.startsWith(`${pipeline}.bench.`));
    this.#commits = new Consumer(brokers, name => name === commitLogTopic);
    this.#commitLog = new TopicCommitLogReader(this.#commits, pipeline);
  }

  async progress(): Promise<number> {
    let sum = 0;
    for (const end of (await this.#events.ends()).values()) sum += end;
    return sum;
  }

  async hasCheckpoint(): Promise<boolean> {
    return (await this.#commitLog.read()) !== undefined;
  }

  async readAll(visit: (value: string | null) => void): Promise<void> {
    this.#events.rewind();
    await this.#events.readToEnd(({ value }) => visit(value?.toString() ?? null));
  }

  close(): void {
    this.#events.close();
    this.#commits.close();
  }
}

export class FileTarget implements Target {
  readonly settings: Readonly<Record<string, unknown>>;
  readonly #path: string;
  readonly #commitLog: FileCommitLogReader;

  constructor(folder: string, pipeline: string) {
    const dir = join(folder, "tidemark-state");
    this.#path = join(folder, `${pipeline}.jsonl`);
    this.settings = {
      sink: { type: "file", path: this.#path },
      commit_log: { type: "file", dir },
    };
    this.#commitLog = new FileCommitLogReader(join(dir, `${pipeline}.json`));
  }

  progress(): Promise<number> {
    return Promise.resolve(existsSync(this.#path) ? statSync(this.#path).size : 0);
  }

  async hasCheckpoint(): Promise<boolean> {
    return (await this.#commitLog.read()) !== undefined;
  }

  readAll(visit: (value: string | null) => void): Promise<void> {
    new FileLines(this.#path).readToEnd(line => visit(line === "null" ? null : line));
    return Promise.resolve();
  }

  close(): void {
    rmSync(this.#path, { force: true }); // The next round needs the space.
  }
}
