import { describe, expect, test } from "vitest";
import type { Clock } from "../../src/core/clock.ts";
import { silentLogger } from "../../src/core/logger.ts";
import { Standstill } from "../../src/core/standstill.ts";

const never = new AbortController().signal;

class Scene {
  nowMs = 0;
  wallMs = 1_000_000;
  asked = 0;
  answer: () => Promise<void> = () => Promise.resolve();
  /** Fires the timer that `watch` waits for. */
  tick: () => void = () => undefined;
  readonly standstill: Standstill;

  constructor() {
    const clock: Clock = {
      nowMs: () => this.nowMs,
      wallMs: () => this.wallMs,
      after: (_ms, callback) => {
        this.tick = callback;
        return () => undefined;
      },
      turn: () => Promise.resolve(),
    };
    const ask = (): Promise<void> => {
      this.asked += 1;
      return this.answer();
    };
    this.standstill = new Standstill({ clock, logger: silentLogger, ask });
  }

  pass(ms: number, wallMs = ms): void {
    this.nowMs += ms;
    this.wallMs += wallMs;
  }
}

describe("Standstill", () => {
  test("asks nothing while time passes in small steps", () => {
    const scene = new Scene();
    for (let i = 0; i < 100; i += 1) {
      scene.pass(5_000);
      expect(scene.standstill.passed(never)).toBeUndefined();
    }
    expect(scene.asked).toBe(0);
  });

  test.each([
    ["the process", 10_500, 10_500],
    ["the machine, whose monotonic clock stands too", 0, 10_500],
    ["the system clock, which is put back", 0, -10_500],
  ])("asks once after a standstill of %s", async (_, ms, wallMs) => {
    const scene = new Scene();
    scene.pass(ms, wallMs);
    await scene.standstill.passed(never);
    expect(scene.asked).toBe(1);
    expect(scene.standstill.passed(never)).toBeUndefined();
  });

  test("remembers a standstill that its timer has seen before anything was sent", async () => {
    const scene = new Scene();
    const stop = new AbortController();
    const watching = scene.standstill.watch(stop.signal);
    scene.pass(60_000);
    scene.tick();
    await Promise.resolve();
    scene.pass(1_000);
    expect(scene.standstill.passed(never)).toBeInstanceOf(Promise);
    stop.abort(new Error("stopped"));
    await expect(watching).rejects.toThrow("stopped");
  });

  test("is refused to nobody who has stopped meanwhile", async () => {
    const scene = new Scene();
    const unhandled: unknown[] = [];
    const note = (reason: unknown): void => void unhandled.push(reason);
    process.on("unhandledRejection", note);
    scene.answer = () => Promise.reject(new Error("taken over"));
    scene.pass(20_000);
    await expect(scene.standstill.passed(AbortSignal.abort(new Error("stopped")))).rejects.toThrow(
      "stopped",
    );
    await new Promise(resolve => setImmediate(resolve));
    process.off("unhandledRejection", note);
    expect([scene.asked, unhandled]).toEqual([1, []]);
  });

  test("holds back everybody until the answer is there", async () => {
    const scene = new Scene();
    let answer = (): void => undefined;
    scene.answer = () => new Promise(resolve => (answer = resolve));
    scene.pass(20_000);
    const sent: number[] = [];
    const sending = [1, 2].map(async n => {
      await scene.standstill.passed(never);
      sent.push(n);
    });
    await Promise.resolve();
    expect([scene.asked, sent]).toEqual([1, []]);
    answer();
    await Promise.all(sending);
    expect(sent).toEqual([1, 2]);
  });

  test("asks again if it stood while it asked", async () => {
    const scene = new Scene();
    scene.answer = () => {
      if (scene.asked === 1) scene.pass(30_000);
      return Promise.resolve();
    };
    scene.pass(20_000);
    await scene.standstill.passed(never);
    expect(scene.asked).toBe(2);
  });

  test("lets nothing pass after an answer that did not come", async () => {
    const scene = new Scene();
    scene.answer = () => Promise.reject(new Error("taken over"));
    scene.pass(20_000);
    await expect(scene.standstill.passed(never)).rejects.toThrow("taken over");
    await expect(scene.standstill.passed(never)).rejects.toThrow("taken over");
  });
});
