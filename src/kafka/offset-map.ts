/**
 * The second record of a commit log in Kafka: next offsets of every partition, under the key
 * `<pipeline>/offsets`. The checkpoint then needs to hold only those that have changed since.
 */
import type { Checkpoint, NextOffsets } from "../core/checkpoint.ts";
import { TidemarkError } from "../core/errors.ts";

export interface OffsetMap {
  readonly version: 1;
  readonly generation: number;
  readonly sequence: number;
  readonly next_offsets: NextOffsets;
}

export function offsetMapOf({ generation, sequence, next_offsets }: Checkpoint): OffsetMap {
  return { version: 1, generation, sequence, next_offsets };
}

/** Those of `offsets` that differ from what the map holds. */
export function changedSince(map: NextOffsets, offsets: NextOffsets): NextOffsets {
  const changed: Record<string, Record<string, number>> = {};
  for (const [topic, partitions] of Object.entries(offsets)) {
    for (const [partition, offset] of Object.entries(partitions)) {
      if (map[topic]?.[partition] !== offset) (changed[topic] ??= {})[partition] = offset;
    }
  }
  return changed;
}

/** The map with the checkpoint's changes over it. */
export function merged(map: NextOffsets, changes: NextOffsets): NextOffsets {
  const all: Record<string, Record<string, number>> = {};
  for (const offsets of [map, changes]) {
    for (const [topic, partitions] of Object.entries(offsets)) {
      all[topic] = { ...all[topic], ...partitions };
    }
  }
  return all;
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && Number(value) >= 0;

/** @throws TidemarkError COMMIT_LOG_UNUSABLE if it is not a whole map of a known version. */
export function parseOffsetMap(text: string, where: string): OffsetMap {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  const valid =
    isRecord(value) &&
    value["version"] === 1 &&
    isCount(value["generation"]) &&
    isCount(value["sequence"]) &&
    isRecord(value["next_offsets"]) &&
    Object.values(value["next_offsets"]).every(
      partitions => isRecord(partitions) && Object.values(partitions).every(isCount),
    );
  if (valid) return value as OffsetMap;
  throw new TidemarkError(
    "COMMIT_LOG_UNUSABLE",
    `The offsets in ${where} cannot be used: they are not a whole map of version 1. ` +
      "Say where to go on with: tidemark position set.",
  );
}
