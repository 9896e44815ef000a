/** Where Tidemark delivers to, and the eyes of a plain reader on it: topics of Kafka, or a file. */
import { join } from "node:path";
import { FileCommitLogReader, TopicCommitLogReader } from "../../test/verify/commit-log.ts";
import { Consumer } from "../../test/verify/consumer.ts";
import { FileLines } from "../../test/verify/file-lines.ts";
import type { Delivery } from "./arrivals.ts";
import type { CommitRecord } from "./released.ts";
import { database, type Table } from "./tables.ts";

export interface Destination {
  readonly target: "kafka" | "file";
  /** `sink` and `commit_log` of the pipeline. */
  readonly settings: Readonly<Record<string, unknown>>;
  topicOf(table: Table): string;
  /** Gives what is new to `visit`, up to the present end, and then reads the commit log to its end. */
  read(visit: (delivery: Delivery) => void): Promise<CommitRecord | undefined>;
  close(): void;
}

export const pipelineName = "demo";
const commitLogTopic = "tidemark.commit-log";

export class KafkaDestination implements Destination {
  readonly target = "kafka";
  readonly settings: Readonly<Record<string, unknown>>;
  readonly #events: Consumer;
  readonly #commits: Consumer;
  readonly #commitLog: TopicCommitLogReader;

  constructor(brokers: readonly string[]) {
    this.settings = {
      sink: {
        type: "kafka",
        brokers,
        topic: "{database}.{table}",
        create_topics: { partitions: 4 },
      },
      commit_log: { type: "kafka", topic: commitLogTopic },
    };
    this.#events = new Consumer(brokers, topic => topic.startsWith(`${database}.`));
    this.#commits = new Consumer(brokers, topic => topic === commitLogTopic);
    this.#commitLog = new TopicCommitLogReader(this.#commits, pipelineName);
  }

  topicOf(table: Table): string {
    return `${database}.${table.name}`;
  }

  async read(visit: (delivery: Delivery) => void): Promise<CommitRecord | undefined> {
    // The commit log first: what it says is released must be among what is read after it.
    const record = await this.#commitLog.read();
    await this.#events.readToEnd(({ key, value, headers }, { topic }) =>
      visit({
        id: headers["id"] ?? "",
        topic,
        key: key?.toString() ?? null,
        value: value?.toString() ?? null,
      }),
    );
    return record;
  }

  close(): void {
    this.#events.close();
    this.#commits.close();
  }
}

export class FileDestination implements Destination {
  readonly target = "file";
  readonly settings: Readonly<Record<string, unknown>>;
  readonly #lines: FileLines;
  readonly #commitLog: FileCommitLogReader;

  constructor(folder: string) {
    const path = join(folder, "changes.jsonl");
    const dir = join(folder, "tidemark-state");
    this.settings = {
      sink: { type: "file", path, envelope: true },
      commit_log: { type: "file", dir },
    };
    this.#lines = new FileLines(path);
    this.#commitLog = new FileCommitLogReader(join(dir, `${pipelineName}.json`));
  }

  topicOf(table: Table): string {
    return `${database}.${table.name}`;
  }

  async read(visit: (delivery: Delivery) => void): Promise<CommitRecord | undefined> {
    const record = await this.#commitLog.read();
    this.#lines.readToEnd(line => {
      const { id, topic, key, value } = JSON.parse(line) as Record<string, unknown>;
      visit({
        id: typeof id === "string" ? id : "",
        topic: typeof topic === "string" ? topic : "",
        key: key === null ? null : JSON.stringify(key),
        value: value === null ? null : JSON.stringify(value),
      });
    });
    return record;
  }

  close(): void {
    // Files are opened and closed at each look.
  }
}
