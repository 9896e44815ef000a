/**
 * One round: a program starts with everything still to come, and is watched until nothing more comes.
 *
 *   start ─── first message ─── … ─── last message ─── quiet for a while
 *     └────────────── seconds ─────────────┘
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Failure } from "../tools/demo/failure.ts";
import { cpuSeconds, peakRssMb } from "../tools/services/process-usage.ts";
import type { Target } from "./target.ts";

/** The program that is measured. */
export interface Contender {
  /** May resolve after its first message. */
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Undefined before its start, and after its end if it ends by itself. */
  readonly pid: number | undefined;
  /** @throws Failure if it ended and should not have. */
  assertRuns(): void;
  logTail(): string;
}

export interface Round {
  /** From the start of the process to the last message. */
  readonly seconds: number;
  /** From the first message to the last. */
  readonly streamingSeconds: number;
  /** From the start to the last message. */
  readonly cpuSeconds: number;
  /** From the first message to the last. */
  readonly streamingCpuSeconds: number;
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
  readonly lookIntervalMs?: number;
}

const LOOK_INTERVAL_MS = 40;

interface Look {
  readonly at: number;
  readonly progress: number;
  /** Undefined while the process is not known yet. */
  readonly cpuSeconds: number | undefined;
}

export async function measure(
  contender: Contender,
  target: Pick<Target, "progress">,
  { nothing, enough, quietMs, patienceMs, lookIntervalMs = LOOK_INTERVAL_MS }: WatchOptions,
): Promise<Round> {
  const startedAt = performance.now();
  let failure: Error | undefined;
  contender.start().catch((error: unknown) => (failure = error as Error));
  let before: Look = { at: startedAt, progress: 0, cpuSeconds: undefined };
  let first: { readonly at: number; cpuSeconds: number | undefined } | undefined;
  let last = before;
  for (;;) {
    await sleep(lookIntervalMs);
    const progress = await target.progress();
    const at = performance.now();
    if (failure !== undefined) throw failure;
    contender.assertRuns();
    const { pid } = contender;
    const look = {
      at,
      progress,
      cpuSeconds: pid === undefined ? before.cpuSeconds : cpuSeconds(pid),
    };
    // What was used for the first messages counts, and what was used for the start does not.
    if (progress > nothing) first ??= { at, cpuSeconds: before.cpuSeconds };
    if (first !== undefined) first.cpuSeconds ??= look.cpuSeconds;
    // Up to here, so that the quiet time at the end costs nothing.
    if (progress > last.progress) last = look;
    before = look;
    if (last.progress >= enough && at - last.at > quietMs) break;
    if (at - last.at > patienceMs) {
      throw new Failure(
        `Nothing came for ${patienceMs / 1000} s, and ${last.progress} of ` +
          `${enough} is there; the log ends: ${contender.logTail()}`,
      );
    }
  }
  const { cpuSeconds: used = 0 } = last;
  return {
    seconds: (last.at - startedAt) / 1000,
    streamingSeconds: (last.at - (first?.at ?? startedAt)) / 1000,
    cpuSeconds: used,
    streamingCpuSeconds: used - (first?.cpuSeconds ?? 0),
    peakRssMb: contender.pid === undefined ? 0 : peakRssMb(contender.pid),
  };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? 0)) / 2;
}

export function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
