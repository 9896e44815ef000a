/**
 * A fault at a place of the binlog, met by the source or by the encoder, with the real stages: everything in
 * front of it arrives, nothing behind it does, and the commit log stands in front of it. Where the
 * destination takes nothing more, the run ends all the same, and nothing is taken for delivered.
 */
import { describe, expect, test } from "vitest";
import type { Entry } from "../../src/core/entry.ts";
import { TidemarkError, type ErrorCode } from "../../src/core/errors.ts";
import { Vitals } from "../../src/core/vitals.ts";
import { runStages, type Stages } from "../../src/pipeline/pipeline.ts";
import { Flusher } from "../../src/queue/flusher.ts";
import { PendingChannel } from "../../src/queue/pending-channel.ts";
import { WaitingQueue } from "../../src/queue/waiting-queue.ts";
import type { Message } from "../../src/sinks/sink.ts";
import { CommitLogMap } from "../../src/watcher/commit-log-map.ts";
import { Progress } from "../../src/watcher/progress.ts";
import { Watcher } from "../../src/watcher/watcher.ts";
import { entry, mark, SERVER } from "../support/builders.ts";
import { ManualClock, settle } from "../support/manual-clock.ts";
import { between, seededRandom } from "../support/random.ts";

const RUNS = 500;
const ROWS = 3;
const DRAIN_MS = 5_000;
const STEPS_MAX = 2_000;

interface Scene {
  readonly random: () => number;
  /** Entries that the source hands out before it fails, or ends. */
  readonly entries: number;
  readonly sourceFault?: TidemarkError;
  /** The entry, and the row in it, that cannot be encoded. */
  readonly badRow?: readonly [entry: number, row: number];
  /** The destination takes no more messages than this. */
  readonly takes: number;
}

const FAULT_AT_ROW = new TidemarkError("EVENT_UNREADABLE", "A cell cannot be read.");
const idOf = (seq: number, row: number): string => `${seq}:${row}`;

/** Runs the stages to their end. */
async function play({ random, entries, sourceFault, badRow, takes }: Scene) {
  const clock = new ManualClock();
  const arrived: string[] = [];
  const inFlight: Message[] = [];
  let committed = 0;
  const waiting = new WaitingQueue({ entriesMax: between(random, 2, 9), bytesMax: 45 });
  const map = new CommitLogMap();
  const pending = new PendingChannel({ flushIntervalMs: 100, batchBytes: 30, bytesMax: 40, clock });
  const progress = new Progress({
    ...{ pipeline: "p", reader: "test", delivery: "at-least-once", output: "", clock },
  });
  const boundary = { file: "binlog.000001", fileCreated: 1, position: 0 };
  const position = { serverUuid: SERVER, boundary, gtidSet: "", transaction: undefined };
  progress.begin({ generation: 1, position: { ...position, anonymous: false }, nextOffsets: {} });
  const flusher = new Flusher({
    pending,
    encoder: {
      encode({ seq }: Entry, messages: Message[]): void {
        for (let row = 0; row < ROWS; row += 1) {
          if (badRow?.[0] === seq && badRow[1] === row) throw FAULT_AT_ROW;
          messages.push({ seq, index: row, bytes: 1, id: idOf(seq, row) } as Message);
        }
      },
    },
    sink: { write: messages => void inFlight.push(...messages), room: () => Promise.resolve() },
    acknowledge: (seq, places) => {
      map.acknowledge(seq, places);
      waiting.releasePayload(seq);
    },
    clock,
    chunkMessages: 4,
  });
  const watcher = new Watcher({
    ...{ queue: waiting, map, progress, clock, intervalMs: 100, stallMs: 30_000 },
    commitLog: { append: checkpoint => Promise.resolve(void (committed = checkpoint.position)) },
  });
  async function* read(signal: AbortSignal): AsyncGenerator<readonly Entry[]> {
    for (let seq = 0; seq < entries; seq += 1) {
      if (random() < 0.3) await settle();
      if (signal.aborted) return;
      yield [entry(seq, { mark: mark(seq + 1) })];
    }
    if (sourceFault) throw sourceFault;
  }
  const running: { error?: TidemarkError; hasEnded: boolean } = { hasEnded: false };
  const signal = new AbortController().signal;
  const stages: Stages = {
    ...{ waiting, pending, flusher, watcher, progress, clock, drainMs: DRAIN_MS },
    source: { entries: read },
    requested: () => undefined,
    commitLog: {
      follow: until => new Promise(done => until.addEventListener("abort", () => done())),
    },
    vitals: new Vitals("p", clock, { left: 0 }),
    sinkFailure: signal,
  };
  void runStages(stages, { soft: signal, hard: signal })
    .catch((error: unknown) => (running.error = error as TidemarkError))
    .finally(() => (running.hasEnded = true));
  for (let step = 0; !running.hasEnded; step += 1) {
    if (step > STEPS_MAX) throw new Error("it does not end");
    clock.advance(between(random, 1, 120));
    await settle();
    for (const message of inFlight.splice(0, between(random, 0, 3))) {
      if (arrived.length >= takes) break;
      arrived.push(message.id);
      flusher.delivered(message);
    }
  }
  return { ...running, arrived, committed, tookMs: clock.nowMs() };
}

function rowsBefore(seq: number, row = 0): string[] {
  const all = seq * ROWS + row;
  return Array.from({ length: all }, (_, i) => idOf(Math.floor(i / ROWS), i % ROWS));
}

describe(`a fault at a place of the binlog (${RUNS} runs each)`, () => {
  const seeds = Array.from({ length: RUNS }, (_, seed) => seededRandom(seed + 1));

  test.each<ErrorCode>(["EVENT_UNREADABLE", "POSITION_UNUSABLE", "TRANSACTION_IN_DOUBT"])(
    "%s met by the source",
    async code => {
      for (const random of seeds) {
        const entries = between(random, 0, 12);
        const sourceFault = new TidemarkError(code, "It stands here.");
        const run = await play({ random, entries, sourceFault, takes: Infinity });
        expect(run.arrived).toEqual(rowsBefore(entries));
        expect(run.committed).toBe(entries);
        expect(run.error).toMatchObject({
          code,
          message:
            "It stands here. Everything that was read before it is delivered; " +
            `the commit log stands at binlog.000001:${entries}.`,
        });
      }
    },
  );

  test("met by the encoder, whatever the source meets behind it", async () => {
    for (const random of seeds) {
      const entries = between(random, 1, 12);
      const seq = between(random, 0, entries - 1);
      const row = between(random, 0, ROWS - 1);
      const sourceFault = new TidemarkError("ROW_TOO_LARGE", "Behind it.");
      const scene = { random, entries, badRow: [seq, row] as const, takes: Infinity };
      const run = await play(random() < 0.5 ? scene : { ...scene, sourceFault });
      expect(run.arrived).toEqual(rowsBefore(seq, row));
      expect(run.committed).toBe(seq);
      expect(run.error).toMatchObject({ code: "EVENT_UNREADABLE" });
      expect(run.error?.message).toMatch(/^A cell cannot be read\. Everything .* is delivered/);
    }
  });

  test("while the destination takes nothing more", async () => {
    for (const random of seeds) {
      const takes = between(random, 0, ROWS);
      const sourceFault = new TidemarkError("ROW_TOO_LARGE", "It stands here.");
      // Two entries always find room in the queue: further on, the fault is not even met.
      const scene = { random, entries: 2, takes };
      const run = await play(
        random() < 0.5 ? { ...scene, sourceFault } : { ...scene, badRow: [1, 1] },
      );
      expect(run.arrived.length).toBeLessThanOrEqual(takes);
      expect(run.committed).toBeLessThanOrEqual(Math.floor(takes / ROWS));
      expect(run.error?.message).toMatch(
        /could not all be delivered within 5000 ms .* start again before you set another position\. Everything up to binlog\.000001:\d is delivered\.$/,
      );
      expect(run.tookMs).toBeLessThan(4 * DRAIN_MS);
    }
  });

  test.each<ErrorCode>(["SOURCE_TAKEN_OVER", "ACCESS_DENIED", "BUG"])(
    "is not %s: what is not sent is left",
    async code => {
      const random = seededRandom(1);
      const sourceFault = new TidemarkError(code, "Elsewhere.");
      const run = await play({ random, entries: 4, sourceFault, takes: 0 });
      expect(run.error).toBe(sourceFault);
      expect(run.tookMs).toBeLessThan(DRAIN_MS);
    },
  );
});
