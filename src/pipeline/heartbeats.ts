/**
 * Tells consumers that a quiet pipeline lives: a message of no row whenever none was sent for so long.
 *
 *   flusher ─▶ heartbeats ─▶ sink      what passes is only noted
 *                   └ after a silence: heartbeat/<generation>/<n>
 *
 * It belongs to no entry, so no checkpoint waits for it, and a restart passes over it. The next one is not
 * sent before it has arrived: a destination that is down gets one, not one for each interval.
 */
import { sleep, type Clock } from "../core/clock.ts";
import type { Message, Sink } from "../sinks/sink.ts";

export interface HeartbeatsOptions {
  readonly sink: Pick<Sink, "write" | "room">;
  readonly intervalMs: number;
  readonly destination: string;
  readonly generation: () => number;
  readonly value: () => Buffer;
  readonly clock: Clock;
}

/** Stands in for a table where a name is made of one. */
export const HEARTBEAT_TABLE = { database: "tidemark", table: "heartbeat" } as const;
const TABLE = `${HEARTBEAT_TABLE.database}.${HEARTBEAT_TABLE.table}`;
const NO_ENTRY = -1;

export class Heartbeats implements Pick<Sink, "write" | "room"> {
  readonly #options: HeartbeatsOptions;
  #lastMs: number;
  #count = 0;
  #onItsWay: Message | undefined;

  constructor(options: HeartbeatsOptions) {
    this.#options = options;
    this.#lastMs = options.clock.nowMs();
  }

  write(messages: readonly Message[]): void {
    this.#lastMs = this.#options.clock.nowMs();
    this.#options.sink.write(messages);
  }

  room(signal: AbortSignal): Promise<void> {
    return this.#options.sink.room(signal);
  }

  delivered(message: Message): void {
    if (message === this.#onItsWay) this.#onItsWay = undefined;
  }

  /** Ends when the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, intervalMs } = this.#options;
    this.#lastMs = clock.nowMs();
    while (!signal.aborted) {
      const leftMs = this.#lastMs + intervalMs - clock.nowMs();
      if (leftMs > 0) {
        await sleep(clock, leftMs, signal).catch(() => undefined);
        continue;
      }
      this.#lastMs = clock.nowMs();
      if (this.#onItsWay === undefined) this.#send();
    }
  }

  #send(): void {
    const { sink, generation, destination, value } = this.#options;
    this.#count += 1;
    const id = `heartbeat/${generation()}/${this.#count}`;
    const content = value();
    this.#onItsWay = {
      seq: NO_ENTRY,
      index: 0,
      id,
      destination,
      table: TABLE,
      operation: "insert",
      partitionKey: Buffer.from(TABLE),
      key: null,
      value: content,
      bytes: content.length,
      transaction: id,
      position: "",
      keyed: false,
    };
    sink.write([this.#onItsWay]);
  }
}
