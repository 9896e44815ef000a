/** Asks the program under test over HTTP, as Prometheus and an orchestrator do, and waits for an answer. */
import { sleep } from "./wait.ts";

/** All that it answers at one moment. */
export interface Seen {
  readonly ready: boolean;
  /** Status of /live; 0 if there is no answer. */
  readonly live: number;
  /** Sentences of /ready. */
  readonly causes: string;
  /** Lines of the metric that names causes. */
  readonly waiting: readonly string[];
  /** What /health answers; undefined if it does not. */
  readonly health: unknown;
}

const ANSWER_TIMEOUT_MS = 5_000;
const INTERVAL_MS = 200;

export class Probe {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  async look(): Promise<Seen> {
    try {
      const [ready, live, metrics, health] = await Promise.all([
        this.#get("/ready"),
        this.#get("/live"),
        this.#get("/metrics"),
        this.#get("/health"),
      ]);
      const { pipelines } = JSON.parse(ready.body) as { pipelines: { causes: string[] }[] };
      return {
        ready: ready.status === 200,
        live: live.status,
        causes: pipelines.flatMap(pipeline => pipeline.causes).join(" "),
        waiting: metrics.body
          .split("\n")
          .filter(line => line.startsWith("tidemark_waiting_seconds{")),
        health: JSON.parse(health.body),
      };
    } catch (error) {
      return { ready: false, live: 0, causes: String(error), waiting: [], health: undefined };
    }
  }

  /** Status of /live; 0 if there is no answer in time. */
  async live(timeoutMs: number): Promise<number> {
    return this.#get("/live", timeoutMs).then(
      ({ status }) => status,
      () => 0,
    );
  }

  /**
   * Milliseconds until `isSo`.
   *
   * @throws with what was seen, if it takes too long.
   */
  async until(isSo: (seen: Seen) => boolean, withinMs: number): Promise<number> {
    const startedMs = performance.now();
    for (;;) {
      const seen = await this.look();
      if (isSo(seen)) return Math.round(performance.now() - startedMs);
      if (performance.now() - startedMs > withinMs) {
        throw new Error(`Not within ${withinMs} ms: ${JSON.stringify(seen)}`);
      }
      await sleep(INTERVAL_MS);
    }
  }

  async #get(
    path: string,
    timeoutMs = ANSWER_TIMEOUT_MS,
  ): Promise<{ status: number; body: string }> {
    const signal = AbortSignal.timeout(timeoutMs);
    const answer = await fetch(this.#url + path, { signal });
    return { status: answer.status, body: await answer.text() };
  }
}

/** Not ready, alive, and one of the causes is named in the metric. */
export function blames(...causes: readonly string[]): (seen: Seen) => boolean {
  return ({ ready, live, waiting }) =>
    !ready &&
    live === 200 &&
    causes.some(cause => waiting.some(line => line.includes(`cause="${cause}"`)));
}
