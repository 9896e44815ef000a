/** Dead letters that have offsets, in a file or in Kafka: read again by a restart, and by `redeliver`. */
import type { FileSinkConfig, SinkConfig } from "../config/config.ts";
import type { NextOffsets } from "../core/checkpoint.ts";
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import { lettersOf } from "../kafka/letter-topics.ts";
import { fileLength, linesOf } from "../sinks/letter-file.ts";
import type { Place } from "../sinks/sink.ts";
import { kafkaClient } from "./clients.ts";
import { letterId } from "./letter.ts";

export interface StoredLetter {
  readonly id: string;
  readonly data: Buffer;
  readonly place: Place;
}

export interface LetterStore {
  /** Where letters begin that no checkpoint knows, if that has to be asked for. */
  ends(known: NextOffsets): Promise<NextOffsets>;
  /** The letters of the pipeline from these offsets on, to what is the end now. */
  read(from: NextOffsets, signal: AbortSignal): AsyncIterable<StoredLetter>;
}

export interface LetterStoreOptions {
  readonly name: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The pipeline as the destination of its letters sees it: not to be taken for the pipeline itself. */
export const letterName = (pipeline: string): string => `${pipeline}.dead-letters`;

/** Undefined for a destination that has no offsets. */
export function letterStore(
  sink: SinkConfig,
  options: LetterStoreOptions,
): LetterStore | undefined {
  if (sink.type === "file") return fileStore(sink);
  if (sink.type !== "kafka") return undefined;
  const { name: pipeline, clock, logger } = options;
  return {
    ends: () => Promise.resolve({}), // The sink finds them out for all of its topics.
    read: async function* (from, signal) {
      const topics = { client: kafkaClient(sink), pipeline, clock, logger };
      for await (const { id, value, place } of lettersOf(topics, from, signal)) {
        yield { id, data: value, place };
      }
    },
  };
}

function fileStore({ path, envelope }: FileSinkConfig): LetterStore {
  return {
    ends: async known => (path in known ? {} : { [path]: { "0": await fileLength(path) } }),
    read: async function* (from, signal) {
      for await (const { data: line, place } of linesOf(path, from[path]?.["0"] ?? 0)) {
        signal.throwIfAborted();
        const data = envelope ? inside(line) : line;
        const id = letterId(data);
        if (id !== undefined) yield { id, data, place };
      }
    },
  };
}

/** A letter holds texts and small numbers only, so it may be written again. */
function inside(line: Buffer): Buffer {
  const { value } = JSON.parse(line.toString()) as { value?: unknown };
  return Buffer.from(JSON.stringify(value ?? null));
}
