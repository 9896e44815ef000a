import { expect, test } from "vitest";
import { measure, type Contender } from "../../bench/round.ts";
import { Failure } from "../../tools/demo/failure.ts";

const watch = { nothing: 1, enough: 10, quietMs: 30, patienceMs: 2_000, lookIntervalMs: 5 };

/** Ourselves: a process that is sure to run. */
const contender = (start: () => Promise<void> = () => Promise.resolve()): Contender => ({
  start,
  stop: () => Promise.resolve(),
  pid: process.pid,
  assertRuns: () => undefined,
  logTail: () => "its last words",
});

function target(...seen: readonly number[]) {
  let looks = 0;
  const progress = (): Promise<number> => Promise.resolve(seen[looks++] ?? seen.at(-1) ?? 0);
  return { progress };
}

test("a round counts from the first message to the last, and the start beside it", async () => {
  const round = await measure(contender(), target(0, 1, 1, 1, 4, 8, 10), watch);
  expect(round.streamingSeconds).toBeGreaterThan(0);
  expect(round.streamingSeconds).toBeLessThan(round.seconds);
  expect(round.streamingCpuSeconds).toBeLessThan(round.cpuSeconds);
  expect(round.peakRssMb).toBeGreaterThan(10);
});

test("a round ends when nothing comes any more, with the program's last words", async () => {
  const stuck = measure(contender(), target(0, 4), { ...watch, patienceMs: 50 });
  await expect(stuck).rejects.toThrow(/4 of 10.*its last words/);
  await expect(stuck).rejects.toBeInstanceOf(Failure);
});

test("a program that cannot start ends the round with its reason", async () => {
  const broken = contender(() => Promise.reject(new Failure("wrong password")));
  await expect(measure(broken, target(0), watch)).rejects.toThrow("wrong password");
});
