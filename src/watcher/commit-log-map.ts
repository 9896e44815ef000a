/**
 * Acknowledged entries that wait for an earlier one: `seq` → the places their messages reached.
 *
 * Only an index. Order and progress live in the waiting queue, so the cache's own features that could
 * lose an acknowledgement (time to live, limits, clones) are all off: an entry that vanished here would
 * hold the head for ever. It is bounded by the waiting queue's number of entries.
 */
import NodeCache from "node-cache";
import type { Place } from "../sinks/sink.ts";

export class CommitLogMap {
  readonly #cache = new NodeCache({
    useClones: false,
    stdTTL: 0,
    checkperiod: 0,
    deleteOnExpire: false,
  });

  /** Repeating it changes nothing. */
  acknowledge(seq: number, places: readonly Place[]): void {
    this.#cache.set(seq, places, 0);
  }

  /** Removes and returns the acknowledgement of `seq`, or undefined if there is none yet. */
  take(seq: number): readonly Place[] | undefined {
    const places = this.#cache.get<readonly Place[]>(seq);
    if (places !== undefined) this.#cache.del(seq);
    return places;
  }

  get size(): number {
    return this.#cache.keys().length;
  }
}
