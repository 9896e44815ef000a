import { afterEach, beforeEach, describe, expect, test, vi, type MockInstance } from "vitest";
import { Stop } from "../../src/cli/stop.ts";
import { TidemarkError } from "../../src/core/errors.ts";
import { silentLogger } from "../../src/core/logger.ts";

const GRACE_MS = 500;

describe("Stop", () => {
  let stop: Stop;
  let exit: MockInstance<typeof process.exit>;
  beforeEach(() => {
    vi.useFakeTimers();
    exit = vi.spyOn(process, "exit").mockImplementation(() => undefined as never);
    stop = new Stop({ graceMs: GRACE_MS, logger: silentLogger });
    stop.listen();
  });
  afterEach(() => {
    stop.release();
    vi.restoreAllMocks();
    vi.useRealTimers();
  });

  test("the first signal asks for a drain, and ends nothing", () => {
    process.emit("SIGTERM", "SIGTERM");
    vi.advanceTimersByTime(GRACE_MS - 1);
    expect([stop.soft.aborted, stop.hard.aborted]).toEqual([true, false]);
    expect(exit).not.toHaveBeenCalled();
  });

  test("a drain that takes too long is broken off, with DRAIN_TIMEOUT", () => {
    process.emit("SIGINT", "SIGINT");
    vi.advanceTimersByTime(GRACE_MS);
    expect(stop.hard.aborted).toBe(true);
    const reason: unknown = stop.hard.reason;
    expect(reason).toBeInstanceOf(TidemarkError);
    expect(reason).toMatchObject({ code: "DRAIN_TIMEOUT", exitCode: 69 });
  });

  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("a second signal, %s, ends at once with %i", (signal, code) => {
    process.emit("SIGTERM", "SIGTERM");
    process.emit(signal, signal);
    expect(exit).toHaveBeenCalledWith(code);
  });

  test("what was drained in time is not broken off afterwards", () => {
    process.emit("SIGTERM", "SIGTERM");
    stop.release();
    vi.advanceTimersByTime(10 * GRACE_MS);
    expect(stop.hard.aborted).toBe(false);
  });
});
