/**
 * Looks at every pipeline once a second, and says in the log when one stops or begins to be ready. It runs
 * only while there is an HTTP server.
 */
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import type { Vitals } from "../core/vitals.ts";
import { causesOf, isReady, type Bounds, type Cause } from "./causes.ts";
import { PipelineObserver, type PipelineStatus } from "./status.ts";

export interface PipelineView {
  readonly vitals: Vitals;
  readonly status: PipelineStatus;
  readonly causes: readonly Cause[];
  readonly ready: boolean;
}

export interface WatchOptions {
  readonly vitals: readonly Vitals[];
  readonly bounds: Bounds;
  readonly clock: Clock;
  readonly logger: Logger;
}

const INTERVAL_MS = 1_000;

export class Watch {
  readonly #options: WatchOptions;
  readonly #observers: readonly PipelineObserver[];
  readonly #announced = new Map<string, boolean>();
  #cancel: () => void = () => undefined;
  #dueMs = 0;
  /** How much later than due the last look was: work that held up everything else. */
  loopLateMs = 0;

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#observers = options.vitals.map(vitals => new PipelineObserver(vitals));
  }

  /** All pipelines, now. */
  look(): readonly PipelineView[] {
    return this.#observers.map(observer => {
      const status = observer.look();
      const causes = causesOf(status, this.#options.bounds);
      return { vitals: observer.vitals, status, causes, ready: isReady(causes) };
    });
  }

  start(): void {
    this.#dueMs = this.#options.clock.nowMs() + INTERVAL_MS;
    this.#cancel = this.#options.clock.after(INTERVAL_MS, () => {
      this.loopLateMs = Math.max(0, this.#options.clock.nowMs() - this.#dueMs);
      for (const view of this.look()) this.#announce(view);
      this.start();
    });
  }

  stop(): void {
    this.#cancel();
  }

  #announce({ status, causes, ready }: PipelineView): void {
    const { pipeline, phase } = status;
    const before = this.#announced.get(pipeline);
    // What begins, ends or was asked to stop says so itself.
    if (before === ready || phase === "ended" || phase === "stopping") return;
    if (before === undefined && !ready) return;
    this.#announced.set(pipeline, ready);
    const fields = { pipeline, ready };
    if (ready) this.#options.logger.info(fields, "is ready");
    else this.#options.logger.warn(fields, `is not ready: ${causes[0]?.sentence ?? ""}`);
  }
}
