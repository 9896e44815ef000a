/** The batches of one partition that are under way, in the order of their numbers. */
import type { Message } from "../sinks/sink.ts";
import type { Lane } from "./lane.ts";
import type { Batch } from "./producer.ts";

export interface Flight {
  readonly messages: readonly Message[];
  readonly batch: Batch;
  /** Offset of its first record, once it is known to have arrived. */
  offset: number | undefined;
  /** The request has ended, well or not. */
  settled: boolean;
}

/** As many batches of a partition as a broker recognises when they come again. */
const FLIGHTS_MAX = 5;
/**
 * A broker that holds no numbers for a partition takes any. Where nothing has arrived for a while, the
 * first batch therefore goes alone: were it lost, the second would be taken in its place.
 */
const PROVEN_MS = 10_000;

export class Flights {
  readonly lane: Lane;
  readonly list: Flight[] = [];
  /** One of them failed: nothing more is sent before all have an outcome. */
  broken = false;
  /** Node id of the leader; undefined until it is asked for. */
  leader: number | undefined;
  #provenMs = -Infinity;

  constructor(lane: Lane) {
    this.lane = lane;
  }

  /** Whether another batch may follow now. */
  ready(nowMs: number): boolean {
    const { lane, list } = this;
    if (this.broken || !lane.sending || lane.length === 0) return false;
    return list.length < (nowMs - this.#provenMs < PROVEN_MS ? FLIGHTS_MAX : 1);
  }

  get settled(): boolean {
    return this.list.every(({ settled }) => settled);
  }

  /** The broker has appended a batch: it knows our numbers. */
  proven(nowMs: number): void {
    this.#provenMs = nowMs;
  }

  /** Takes off the first flights that have arrived. */
  *arrived(): Generator<Flight & { readonly offset: number }> {
    for (;;) {
      const first = this.list[0];
      if (first?.offset === undefined) return;
      this.list.shift();
      yield first as Flight & { readonly offset: number };
    }
  }
}
