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
import type { Flow } from "../core/vitals.ts";

interface Slot {
  readonly seq: number;
  readonly mark: Mark;
  readonly rows: number;
  readonly bytes: number;
  /** When it was read, by the monotonic clock. */
  readonly readMs: number;
}

export interface WaitingQueueLimits {
  readonly entriesMax: number;
  readonly bytesMax: number;
  /** Counts what leaves the queue. */
  readonly released?: Flow;
  /** Called each time that somebody has to wait for room. */
  readonly onFull?: () => void;
}

export class WaitingQueue {
  readonly #limits: WaitingQueueLimits;
  readonly #slots = new Yallist<Slot>();
  /** Bytes of each entry whose payload is still held. */
  readonly #payloads = new Map<number, number>();
  readonly #changed = new Wake();
  #bytes = 0;
  #rows = 0;
  #nextSeq = 0;
  #blocked = 0;
  #newest: Slot | undefined;

  constructor(limits: WaitingQueueLimits) {
    this.#limits = limits;
  }

  get limits(): WaitingQueueLimits {
    return this.#limits;
  }

  /** Rows of entries in the queue, delivered ones included. */
  get rows(): number {
    return this.#rows;
  }

  /** Somebody waits for room. */
  get isFull(): boolean {
    return this.#blocked > 0;
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
  async room(bytes: number, signal: AbortSignal): Promise<void> {
    if (this.hasRoomFor(bytes)) return;
    this.#blocked += 1;
    this.#limits.onFull?.();
    try {
      await this.#changed.until(() => this.hasRoomFor(bytes), signal);
    } finally {
      this.#blocked -= 1;
    }
  }

  /** Resolves when half of it is free. */
  relieved(signal: AbortSignal): Promise<void> {
    const { entriesMax, bytesMax } = this.#limits;
    const isRelieved = (): boolean =>
      this.#slots.length <= entriesMax / 2 && this.#bytes <= bytesMax / 2;
    return this.#changed.until(isRelieved, signal);
  }

  push(entry: Entry, rows = 0, readMs = 0): void {
    assert(entry.seq === this.#nextSeq, `entry ${entry.seq} follows entry ${this.#nextSeq - 1}`);
    this.#nextSeq += 1;
    const { seq, mark, bytes } = entry;
    this.#newest = { seq, mark, rows, bytes, readMs };
    this.#slots.push(this.#newest);
    this.#payloads.set(seq, bytes);
    this.#bytes += bytes;
    this.#rows += rows;
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

  /** The entry pushed last, also when it has left the queue. */
  get newest(): Slot | undefined {
    return this.#newest;
  }

  shift(): void {
    const slot = this.#slots.shift();
    if (slot === undefined) return;
    this.releasePayload(slot.seq);
    this.#rows -= slot.rows;
    const { released } = this.#limits;
    if (released === undefined) return;
    released.entries += 1;
    released.items += slot.rows;
    released.bytes += slot.bytes;
  }
}
