/**
 * Every entry that was read and is not yet released, in binlog order. Progress lives here alone.
 *
 *   pipeline ──push──▶ tail … head ──shift──▶ watcher
 *
 * Invariants:
 *
 *   1. The sequence numbers in the queue are dense; a gap is a bug.
 *   2. At most `entriesMax` entries are in it, delivered ones included: they keep their place, since the
 *      head alone decides how far the position may move, but no payload.
 *   3. The payload of undelivered entries is at most `bytesMax`. An entry larger than that is let in only
 *      when there is no other payload.
 */
import { Yallist } from "yallist";
import type { Entry, Mark } from "../core/entry.ts";
import { assert } from "../core/errors.ts";
import { Wake } from "../core/signal.ts";

interface Slot {
  readonly seq: number;
  readonly mark: Mark;
}

export interface WaitingQueueLimits {
  readonly entriesMax: number;
  readonly bytesMax: number;
}

export class WaitingQueue {
  readonly #limits: WaitingQueueLimits;
  readonly #slots = new Yallist<Slot>();
  /** Bytes of each entry whose payload is still held. */
  readonly #payloads = new Map<number, number>();
  readonly #changed = new Wake();
  #bytes = 0;
  #nextSeq = 0;

  constructor(limits: WaitingQueueLimits) {
    this.#limits = limits;
  }

  get entries(): number {
    return this.#slots.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  hasRoomFor(bytes: number): boolean {
    return (
      this.#slots.length < this.#limits.entriesMax &&
      (this.#bytes === 0 || this.#bytes + bytes <= this.#limits.bytesMax)
    );
  }

  /** Resolves when an entry of `bytes` may be pushed. */
  room(bytes: number, signal: AbortSignal): Promise<void> {
    return this.#changed.until(() => this.hasRoomFor(bytes), signal);
  }

  push(entry: Entry): void {
    assert(entry.seq === this.#nextSeq, `entry ${entry.seq} follows entry ${this.#nextSeq - 1}`);
    this.#nextSeq += 1;
    this.#slots.push({ seq: entry.seq, mark: entry.mark });
    this.#payloads.set(entry.seq, entry.bytes);
    this.#bytes += entry.bytes;
  }

  /** The entry's messages are delivered: its place stays, its payload no longer counts. */
  releasePayload(seq: number): void {
    this.#bytes -= this.#payloads.get(seq) ?? 0;
    this.#payloads.delete(seq);
    this.#changed.notify();
  }

  head(): Slot | undefined {
    return this.#slots.head?.value;
  }

  shift(): void {
    const slot = this.#slots.shift();
    if (slot !== undefined) this.releasePayload(slot.seq);
  }
}
