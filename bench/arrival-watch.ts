/** Our side of the consumer, which is a process of its own so that it and the writer do not disturb each other. */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Failure } from "../tools/demo/failure.ts";
import { keptEnvironment } from "../tools/services/keeper.ts";
import type { Arrivals, ArrivalsTask } from "./arrivals.ts";

const PATIENCE_MS = 60_000;
const LOOK_INTERVAL_MS = 200;

export class ArrivalWatch {
  #child: ChildProcess | undefined;

  /** Resolves when it has asked the broker once, and asks on. */
  async start(task: ArrivalsTask): Promise<void> {
    const program = fileURLToPath(new URL("arrivals.ts", import.meta.url));
    this.#child = fork(program, [JSON.stringify(task)], {
      env: keptEnvironment(),
      serialization: "advanced",
    });
    await this.#message();
  }

  /** By id, when each row came, from 1 to this one; waits for all of them: they are not committed in order. */
  async through(last: number): Promise<ReadonlyMap<number, number>> {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      this.#child?.send("tell");
      const { ids, atMs } = (await this.#message()) as Arrivals;
      const arrivedAt = new Map(ids.map((id, i) => [id, atMs[i] ?? NaN]));
      if (arrivedAt.size >= last) return arrivedAt;
      if (performance.now() > deadline) {
        const missing = last - arrivedAt.size;
        throw new Failure(`${missing} rows did not arrive within ${PATIENCE_MS / 1_000} s.`);
      }
      await sleep(LOOK_INTERVAL_MS);
    }
  }

  stop(): void {
    this.#child?.kill("SIGKILL");
  }

  async #message(): Promise<unknown> {
    const child = this.#child;
    if (child === undefined) throw new Error("no consumer was started");
    const heard = new AbortController();
    const { signal } = heard;
    try {
      const ended = once(child, "exit", { signal }).then(() => {
        throw new Failure("The consumer ended by itself.");
      });
      const [message] = (await Promise.race([once(child, "message", { signal }), ended])) as [
        unknown,
      ];
      return message;
    } finally {
      heard.abort();
    }
  }
}
