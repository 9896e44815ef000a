import { describe, expect, test } from "vitest";
import type { ReadEntry } from "../../src/core/vitals.ts";
import { purgeMs } from "../../src/core/purge.ts";
import { lagBytes, PipelineObserver } from "../../src/metrics/status.ts";
import { runningPipeline } from "./support.ts";

const entry = (readMs: number, eventTimeS: number, rows = 1): ReadEntry => ({
  readMs,
  rows,
  mark: { eventTimeS },
});

describe("silence", () => {
  test("grows while nothing comes, and ends with a byte", () => {
    const { vitals, clock, gauges } = runningPipeline();
    const observer = new PipelineObserver(vitals);
    observer.look();
    clock.advance(9_000);
    expect(observer.look().silentMs).toBe(9_000);
    gauges.source = { ...gauges.source, bytesRead: 40 };
    expect(observer.look()).toMatchObject({ silentMs: 0, readerStillMs: 0 });
  });

  test("does not count while reading is paused", () => {
    const { vitals, clock, gauges } = runningPipeline();
    const observer = new PipelineObserver(vitals);
    gauges.source = { ...gauges.source, paused: true };
    observer.look();
    clock.advance(600_000);
    expect(observer.look()).toMatchObject({ silentMs: 0, readerStillMs: 0 });
    gauges.source = { ...gauges.source, paused: false };
    clock.advance(2_000);
    expect(observer.look().silentMs).toBe(2_000);
  });

  test("is not told beside a lost connection, whose time is", () => {
    const { vitals, clock, gauges } = runningPipeline();
    const observer = new PipelineObserver(vitals);
    observer.look();
    gauges.source = { ...gauges.source, connected: false, reason: "away" };
    clock.advance(20_000);
    const status = observer.look();
    expect(status).toMatchObject({ silentMs: 0, disconnectedMs: 20_000, reason: "away" });
    // The reader tries nothing, which it never should: that is what /live looks at.
    expect(status.readerStillMs).toBe(20_000);
    gauges.source = { ...gauges.source, turns: 1 };
    expect(observer.look().readerStillMs).toBe(0);
  });

  test("begins anew with each run", () => {
    const { vitals, clock } = runningPipeline();
    const observer = new PipelineObserver(vitals);
    vitals.enter("restarting", "x");
    clock.advance(60_000);
    expect(observer.look()).toMatchObject({ silentMs: 0, readerStillMs: 0, phaseForMs: 60_000 });
  });
});

describe("age and stall", () => {
  test("of the oldest entry; a stall ends when the head moves, the age does not", () => {
    const { vitals, clock, gauges } = runningPipeline();
    const observer = new PipelineObserver(vitals);
    gauges.oldest = entry(0, 0);
    clock.advance(8_000);
    expect(observer.look()).toMatchObject({ oldestMs: 8_000, stalledMs: 8_000 });
    gauges.lastReleaseMs = 7_500;
    expect(observer.look()).toMatchObject({ oldestMs: 8_000, stalledMs: 500 });
    gauges.oldest = undefined;
    expect(observer.look()).toMatchObject({ oldestMs: 0, stalledMs: 0 });
  });

  test("of a full queue counts from the newest entry", () => {
    const { vitals, clock, gauges } = runningPipeline();
    const observer = new PipelineObserver(vitals);
    gauges.newest = entry(1_000, 0);
    clock.advance(3_000);
    expect(observer.look().fullMs).toBe(0);
    gauges.full = true;
    expect(observer.look().fullMs).toBe(2_000);
  });
});

describe("lag", () => {
  const wallS = 1_790_000_000;

  test("is the age of the oldest change that waits", () => {
    const { vitals, gauges } = runningPipeline();
    gauges.oldest = entry(0, wallS - 40);
    expect(new PipelineObserver(vitals).look().lagMs).toBe(40_000);
  });

  test("is nothing after a quiet hour, and the first change does not make it one", () => {
    const { vitals, clock, gauges } = runningPipeline();
    const observer = new PipelineObserver(vitals);
    gauges.newest = entry(0, wallS);
    clock.advance(3_600_000);
    expect(observer.look().lagMs).toBe(0);
    // What the binlog tells at a change of file is the time of an event long before.
    gauges.oldest = gauges.newest = entry(3_600_000, wallS, 0);
    expect(observer.look().lagMs).toBe(0);
    gauges.oldest = gauges.newest = entry(3_600_000, wallS + 3_600);
    expect(observer.look().lagMs).toBe(0);
  });

  test("is that of the newest entry while entries follow each other, as in catching up", () => {
    const { vitals, gauges } = runningPipeline();
    gauges.newest = entry(0, wallS - 3_600);
    expect(new PipelineObserver(vitals).look().lagMs).toBe(3_597_000);
  });

  test("in bytes counts files as numbers, and what was released meanwhile as none", () => {
    const files = [
      { name: "binlog.999999", bytes: 100 },
      { name: "binlog.1000000", bytes: 1_000 },
      { name: "binlog.1000001", bytes: 50 },
    ];
    const news = { askedMs: 0, files, expireS: 100 };
    const at = (file: string, position: number) => ({
      file,
      position,
      fileCreated: 1,
      eventTimeS: 1,
    });
    expect(lagBytes(news, at("binlog.999999", 40))).toBe(60 + 1_000 + 50);
    expect(lagBytes(news, at("binlog.1000001", 50))).toBe(0);
    expect(lagBytes(news, at("binlog.1000001", 90))).toBe(0);
    expect(lagBytes(news, at("binlog.1000002", 4))).toBe(0);
    expect(lagBytes(undefined, at("binlog.1000001", 50))).toBeUndefined();
    expect(lagBytes(news, undefined)).toBeUndefined();
  });

  test("time to the purge is never more than the server may leave us", () => {
    const files = [2, 3, 4].map(number => ({ name: `b.00000${number}`, bytes: 1 }));
    const news = { askedMs: 0, files, expireS: 1_000 };
    const at = (file: string, eventTimeS: number) => ({
      file,
      position: 4,
      fileCreated: 10_000,
      eventTimeS,
    });
    const wallMs = 10_500_000;
    expect(purgeMs(news, at("b.000004", 10_400), wallMs)).toBe(1_000_000);
    expect(purgeMs(news, at("b.000003", 10_400), wallMs)).toBe(900_000);
    expect(purgeMs(news, at("b.000003", 0), wallMs)).toBe(500_000);
    expect(purgeMs(news, at("b.000003", 0), wallMs + 9_000_000)).toBe(0);
    expect(purgeMs(news, at("b.000001", 10_400), wallMs)).toBe(0);
    expect(purgeMs({ ...news, expireS: Infinity }, at("b.000003", 0), wallMs)).toBe(Infinity);
    expect(purgeMs({ ...news, files: [] }, at("b.000003", 0), wallMs)).toBeUndefined();
  });
});
