import { describe, expect, test } from "vitest";
import { PendingChannel } from "../../src/queue/pending-channel.ts";
import { entry } from "../support/builders.ts";
import { ManualClock, settle } from "../support/manual-clock.ts";

const never = new AbortController().signal;

function channel(
  options: { flushIntervalMs?: number; batchBytes?: number; bytesMax?: number } = {},
) {
  const clock = new ManualClock();
  const pending = new PendingChannel({
    flushIntervalMs: 100,
    batchBytes: 1000,
    bytesMax: 1_000_000,
    clock,
    ...options,
  });
  return { clock, pending };
}

/** Whether the promise is still pending once everything that is ready has run. */
async function isWaiting(promise: Promise<unknown>): Promise<boolean> {
  const state = { waiting: true };
  void promise.then(() => (state.waiting = false));
  await settle();
  return state.waiting;
}

describe("PendingChannel", () => {
  test("flushes what comes after a pause at once, and then each interval", async () => {
    const { clock, pending } = channel();
    pending.push(entry(0));
    expect(await pending.take(never)).toHaveLength(1);
    pending.push(entry(1));
    const next = pending.take(never);
    expect(await isWaiting(next)).toBe(true);
    clock.advance(99);
    pending.push(entry(2));
    expect(await isWaiting(next)).toBe(true);
    clock.advance(1);
    expect((await next).map(each => each.seq)).toEqual([1, 2]);
    expect(clock.timers).toBe(0);
  });

  test("flushes a full batch before the interval is over", async () => {
    const { pending } = channel({ batchBytes: 25 });
    pending.push(entry(0));
    await pending.take(never);
    const next = pending.take(never);
    pending.push(entry(1));
    pending.push(entry(2));
    expect(await isWaiting(next)).toBe(true);
    pending.push(entry(3));
    expect(await next).toHaveLength(3);
  });

  test("flushes when its timer fires a little early, as Node's timers do", async () => {
    const { clock, pending } = channel();
    pending.push(entry(0));
    await pending.take(never);
    const early = clock.after.bind(clock);
    clock.after = (ms, callback) => early(ms - 0.5, callback);
    pending.push(entry(1));
    const next = pending.take(never);
    await settle();
    clock.advance(99.6);
    expect(await isWaiting(next)).toBe(false);
  });

  test("with an interval of 0 waits for nothing", async () => {
    const { pending } = channel({ flushIntervalMs: 0 });
    for (let seq = 0; seq < 3; seq += 1) {
      pending.push(entry(seq));
      expect(await pending.take(never)).toHaveLength(1);
    }
  });

  test("gives what is left when it is closed, then nothing", async () => {
    const { pending } = channel();
    pending.push(entry(0));
    await pending.take(never);
    pending.push(entry(1));
    pending.close();
    expect(await pending.take(never)).toHaveLength(1);
    expect(await pending.take(never)).toEqual([]);
  });

  test("has room again once what waits is taken", async () => {
    const { pending } = channel({ bytesMax: 100 });
    await pending.room(never);
    pending.push(entry(0, { bytes: 100 }));
    expect(pending.isFull).toBe(true);
    const room = pending.room(never);
    expect(await isWaiting(room)).toBe(true);
    await pending.take(never);
    await room;
    expect(pending.isFull).toBe(false);
  });
});
