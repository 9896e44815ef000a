import { describe, expect, test } from "vitest";
import { silentLogger, type Logger } from "../../src/core/logger.ts";
import { Vitals } from "../../src/core/vitals.ts";
import { Backpressure } from "../../src/pipeline/backpressure.ts";
import { logRates } from "../../src/pipeline/rates.ts";
import { WaitingQueue } from "../../src/queue/waiting-queue.ts";
import { entry } from "../support/builders.ts";
import { ManualClock, settle } from "../support/manual-clock.ts";

function recorder(): { logger: Logger; lines: [string, object][] } {
  const lines: [string, object][] = [];
  const info = (fields: object, message: string): void => void lines.push([message, fields]);
  return { logger: { ...silentLogger, info }, lines };
}

const never = new AbortController().signal;

describe("a full queue", () => {
  test("is told of once, and its end once half of it is free", async () => {
    const clock = new ManualClock();
    const { logger, lines } = recorder();
    const onFull = (): void => backpressure.begin();
    const queue = new WaitingQueue({ entriesMax: 4, bytesMax: 1000, onFull });
    const relieved = (): Promise<void> => queue.relieved(never);
    const backpressure = new Backpressure({ relieved, clock, logger });
    for (let seq = 0; seq < 4; seq += 1) {
      await queue.room(10, never);
      queue.push(entry(seq));
    }
    expect(lines).toEqual([]);
    const rooms = [queue.room(10, never), queue.room(10, never)];
    expect(lines).toEqual([["applying backpressure: the queue is full, so reading waits", {}]]);
    clock.advance(1_500);
    queue.shift();
    await Promise.all(rooms);
    await settle();
    expect(lines).toHaveLength(1);
    queue.shift();
    await settle();
    expect(lines.slice(1)).toEqual([
      ["backpressure is over: the queue has room again", { seconds: 1.5 }],
    ]);
    backpressure.begin();
    await settle();
    expect(lines).toHaveLength(4);
  });
});

describe("rates", () => {
  test("are told for each pipeline, until the signal", async () => {
    const clock = new ManualClock();
    const { logger, lines } = recorder();
    const end = new AbortController();
    const vitals = new Vitals("shop", clock, { left: 1 });
    vitals.read.items = 1_000;
    const done = logRates({
      ...{ vitals: [vitals], intervalMs: 10_000, clock, logger },
      signal: end.signal,
    });
    vitals.read.items += 50;
    vitals.delivered.items += 20;
    clock.advance(10_000);
    await settle();
    clock.advance(10_000);
    await settle();
    expect(lines).toEqual([
      ["rates", { pipeline: "shop", rows_per_s: 5, messages_per_s: 2 }],
      ["rates", { pipeline: "shop", rows_per_s: 0, messages_per_s: 0 }],
    ]);
    end.abort();
    await done;
    expect(lines).toHaveLength(2);
  });
});
