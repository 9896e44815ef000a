/** Waiting for what other processes do: a condition that is asked for again and again, up to a limit. */
import { setTimeout as sleep } from "node:timers/promises";

export { sleep };

export interface WaitOptions {
  /** For the error: "Tidemark reads the binlog". */
  readonly what: string;
  readonly timeoutMs: number;
  readonly intervalMs?: number;
}

/** @throws if the condition does not hold within the time. */
export async function until(
  condition: () => Promise<boolean> | boolean,
  { what, timeoutMs, intervalMs = 50 }: WaitOptions,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadline) {
      throw new Error(`Waited in vain for ${Math.round(timeoutMs / 1000)} s: ${what}.`);
    }
    await sleep(intervalMs);
  }
}
