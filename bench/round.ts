/**
 * One round: Tidemark starts with everything still to come, and is watched until nothing more comes.
 *
 *   start ─── first message ─── … ─── last message ─── quiet for a while
 *     └────────────── seconds ─────────────┘
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Failure } from "../tools/demo/failure.ts";
import type { Tidemark } from "../tools/demo/tidemark.ts";
import type { Target } from "./target.ts";

export interface Round {
  /** From the start of the process to the last message. */
  readonly seconds: number;
  /** From the first message to the last. */
  readonly streamingSeconds: number;
  readonly cpuSeconds: number;
  readonly peakRssMb: number;
}

export interface WatchOptions {
  /** What `progress` is at least when all has come; Kafka counts its own records too. */
  readonly enough: number;
  /** Progress up to here is not a message yet. */
  readonly nothing: number;
  /** No progress for so long, with enough there, is the end. */
  readonly quietMs: number;
  readonly patienceMs: number;
}

const LOOK_INTERVAL_MS = 40;

export async function measure(
  tidemark: Tidemark,
  target: Target,
  options: WatchOptions,
): Promise<Round> {
  const startedAt = performance.now();
  await tidemark.start();
  let first: number | undefined;
  let last = { at: startedAt, progress: 0, cpuSeconds: 0 };
  for (;;) {
    await sleep(LOOK_INTERVAL_MS);
    const progress = await target.progress();
    const now = performance.now();
    tidemark.assertRuns();
    if (progress > options.nothing) first ??= now;
    if (progress > last.progress) {
      // Up to here, so that the quiet time at the end costs nothing.
      last = { at: now, progress, cpuSeconds: tidemark.cpuSeconds() };
    }
    if (last.progress >= options.enough && now - last.at > options.quietMs) break;
    if (now - last.at > options.patienceMs) {
      throw new Failure(
        `Nothing came for ${options.patienceMs / 1000} s, and ${last.progress} of ` +
          `${options.enough} is there; Tidemark's log ends: ${tidemark.logTail()}`,
      );
    }
  }
  return {
    seconds: (last.at - startedAt) / 1000,
    streamingSeconds: (last.at - (first ?? startedAt)) / 1000,
    cpuSeconds: last.cpuSeconds,
    peakRssMb: tidemark.peakRssMb(),
  };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? 0)) / 2;
}
