/** Dead letters in topics, read again. */
import type { NextOffsets } from "../core/checkpoint.ts";
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import type { Place } from "../sinks/sink.ts";
import { KafkaClient, type KafkaClientOptions } from "./client.ts";
import { PartitionReader } from "./partition-reader.ts";
import { Topics } from "./topics.ts";

export interface LetterTopicsOptions {
  readonly client: KafkaClientOptions;
  /** The pipeline that the letters were written as. */
  readonly pipeline: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface TopicLetter {
  readonly id: string;
  readonly value: Buffer;
  readonly place: Place;
}

/**
 * The letters of the topics that `from` names, partition after partition, from its offsets to what is the
 * end now. An offset that retention has passed means the first record that is there.
 */
export async function* lettersOf(
  { client: options, pipeline, clock, logger }: LetterTopicsOptions,
  from: NextOffsets,
  signal: AbortSignal,
): AsyncGenerator<TopicLetter> {
  const client = new KafkaClient({ ...options, logger });
  try {
    const topics = new Topics({ client, clock, logger });
    for (const [topic, offsets] of Object.entries(from)) {
      const count = await topics.partitions(topic, signal);
      if (count === undefined) continue;
      const ranges = await topics.ranges(topic, count, signal);
      for (const [partition, { start, end }] of ranges.entries()) {
        const at = offsets[String(partition)];
        if (at === undefined) continue;
        const place = { client, clock, logger, topic, partition };
        const reader = new PartitionReader(place, Math.max(start, at));
        for await (const records of reader.until(end, signal)) {
          for (const record of records) {
            const id = record.header("id");
            if (record.header("pipeline") !== pipeline || id === undefined) continue;
            if (record.value === null) continue;
            const nextOffset = record.offset + 1;
            yield { id, value: record.value, place: { destination: topic, partition, nextOffset } };
          }
        }
      }
    }
  } finally {
    client.close();
  }
}
