import { expect, test } from "vitest";
import { Pace } from "../../src/snapshot/pace.ts";
import { ManualClock, settle } from "../support/manual-clock.ts";

const never = new AbortController().signal;

test("rows have their time, whoever reads them, and none is saved up", async () => {
  const clock = new ManualClock();
  const pace = new Pace(100, clock);
  expect(pace.most(1_000)).toBe(100);
  clock.advance(60_000);
  await pace.free(never);
  pace.note(100);
  pace.note(50);
  let isFree = false;
  void pace.free(never).then(() => (isFree = true));
  clock.advance(1_499);
  await settle();
  expect(isFree).toBe(false);
  clock.advance(1);
  await settle();
  expect(isFree).toBe(true);
});

test("without a bound nobody waits", async () => {
  const pace = new Pace(Infinity, new ManualClock());
  pace.note(1e9);
  await pace.free(never);
  expect(pace.most(1_000)).toBe(1_000);
});
