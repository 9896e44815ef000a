/** Waiting for a condition of another process, which can only be asked for again and again. */
import { setTimeout as sleep } from "node:timers/promises";

const pollIntervalMs = 50;

/** Resolves with the first value that is not `undefined`; with `undefined` when the time is up. */
export async function poll<T>(
  ask: () => Promise<T | undefined> | T | undefined,
  timeoutMs: number,
): Promise<T | undefined> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined || performance.now() > deadline) return answer;
    await sleep(pollIntervalMs);
  }
}
