/** Where a destination ends now: what stands before that belongs to the past of the new position. */
import { open } from "node:fs/promises";
import type { PipelineConfig } from "../config/config.ts";
import type { NextOffsets } from "../core/checkpoint.ts";
import { systemClock } from "../core/clock.ts";
import { TidemarkError } from "../core/errors.ts";
import { systemCode } from "../core/files.ts";
import type { Logger } from "../core/logger.ts";
import type { Fence } from "../kafka/fence.ts";
import type { SendTarget } from "../kafka/producer.ts";
import { KafkaClient, type KafkaClientOptions } from "../kafka/client.ts";
import { Topics } from "../kafka/topics.ts";

export interface Ends {
  readonly nextOffsets: NextOffsets;
  /** Bytes of a torn last line, which the next start cuts off. */
  readonly tornBytes: number;
}

/** @param topics those that exist get an entry; the others are met as new ones. */
export async function topicEnds(
  client: KafkaClientOptions,
  topics: readonly string[],
  { fence, logger, signal }: { fence: Fence; logger: Logger; signal: AbortSignal },
): Promise<Ends> {
  const kafka = new KafkaClient({ ...client, logger });
  const asked = new Topics({ client: kafka, clock: systemClock, logger });
  const there: SendTarget[] = [];
  try {
    for (const topic of topics) {
      const count = (await asked.partitions(topic, signal)) ?? 0;
      for (let partition = 0; partition < count; partition += 1) {
        there.push({ topic, partition });
      }
    }
    return { nextOffsets: await fence.around(there, signal), tornBytes: 0 };
  } finally {
    kafka.close();
  }
}

export async function endsWithoutTopics({ sink }: PipelineConfig): Promise<Ends> {
  if (sink.type !== "file") return { nextOffsets: {}, tornBytes: 0 };
  const { end, tornBytes } = await fileEnd(sink.path);
  return { nextOffsets: { [sink.path]: { "0": end } }, tornBytes };
}

const LINE_FEED = 0x0a;
const PIECE_BYTES = 64 * 1024;

/** The end of the last whole line: a file target begins there, or it would take half a line for its own. */
export async function fileEnd(path: string): Promise<{ end: number; tornBytes: number }> {
  try {
    const handle = await open(path, "r");
    try {
      const { size } = await handle.stat();
      for (let until = size; until > 0;) {
        const from = Math.max(0, until - PIECE_BYTES);
        const piece = Buffer.alloc(until - from);
        await handle.read(piece, 0, piece.length, from);
        const last = piece.lastIndexOf(LINE_FEED);
        if (last >= 0) return { end: from + last + 1, tornBytes: size - from - last - 1 };
        until = from;
      }
      return { end: 0, tornBytes: size };
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (systemCode(error) === "ENOENT") return { end: 0, tornBytes: 0 };
    const message = error instanceof Error ? error.message : String(error);
    throw new TidemarkError("SINK_SETTING", `${path} cannot be read: ${message}.`, {
      cause: error,
    });
  }
}
