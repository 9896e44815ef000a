/** The dead letters of one pipeline, as a plain reader finds them, and how many the checkpoint covers. */
import { existsSync, readFileSync } from "node:fs";
import type { Kafka } from "../../tools/services/services.ts";
import { Consumer } from "./consumer.ts";
import { FileLines } from "./file-lines.ts";

interface Letter {
  readonly id: string;
  readonly reason: { readonly code: string };
  readonly original: { readonly value: { readonly data: string } };
}

export abstract class LetterBox {
  readonly letters: Letter[] = [];
  abstract readonly sink: Readonly<Record<string, unknown>>;
  readonly #name: string;
  readonly #checkpoint: string;

  protected constructor(name: string, checkpoint: string) {
    this.#name = name;
    this.#checkpoint = checkpoint;
  }

  abstract read(): Promise<void>;
  abstract close(): void;
  /** Where the letters that were read end, in the unit of the checkpoint. */
  protected abstract readonly end: number;

  /** What of it the checkpoint does not cover. */
  get unreleased(): number {
    if (!existsSync(this.#checkpoint)) return this.end;
    const { next_offsets } = JSON.parse(readFileSync(this.#checkpoint, "utf8")) as {
      readonly next_offsets: Readonly<Record<string, Readonly<Record<string, number>>>>;
    };
    return this.end - (next_offsets[`dead-letters:${this.#name}`]?.["0"] ?? 0);
  }
}

export class LetterFile extends LetterBox {
  readonly sink: Readonly<Record<string, unknown>>;
  readonly #lines: FileLines;
  protected end = 0;

  constructor(path: string, name: string, checkpoint: string) {
    super(name, checkpoint);
    this.sink = { type: "file", path: name };
    this.#lines = new FileLines(path);
  }

  read(): Promise<void> {
    this.end = this.#lines.readToEnd(line => this.letters.push(JSON.parse(line) as Letter));
    return Promise.resolve();
  }

  close(): void {
    // The file goes with its folder.
  }
}

export class LetterTopic extends LetterBox {
  readonly sink: Readonly<Record<string, unknown>>;
  readonly #consumer: Consumer;
  protected end = 0;

  constructor(kafka: Kafka, topic: string, checkpoint: string) {
    super(topic, checkpoint);
    this.sink = { type: "kafka", brokers: kafka.brokers, topic };
    this.#consumer = new Consumer(kafka.brokers, name => name === topic);
  }

  async read(): Promise<void> {
    await this.#consumer.readToEnd(({ value, offset }) => {
      if (value === null) return;
      this.letters.push(JSON.parse(value.toString()) as Letter);
      this.end = offset + 1;
    });
  }

  close(): void {
    this.#consumer.close();
  }
}
