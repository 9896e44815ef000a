/**
 * Which entries are done, when what is delivered is not entries but rows that stand for several changes.
 *
 *   entries   0 ✓  1 ✓ │ 2  3  4  5        acknowledged in their order, up to the first
 *   rows               └ a first changed   in which a row was first changed that is not delivered
 *
 * Only the first change of a row counts: while it is open, nothing behind it can be released anyway, and
 * with it all changes that were merged into it are delivered.
 */
import { assert } from "../core/errors.ts";
import type { Place } from "../sinks/sink.ts";

export class OpenEntries {
  readonly #acknowledge: (seq: number, places: readonly Place[]) => void;
  /** By entry: rows first changed there that are not delivered. */
  readonly #rows = new Map<number, number>();
  /** How far each partition was reached since the last acknowledgement. */
  readonly #places = new Map<string, Place>();
  /** The first entry that is not acknowledged, and the one that is read next. */
  #first = 0;
  #next = 0;

  constructor(acknowledge: (seq: number, places: readonly Place[]) => void) {
    this.#acknowledge = acknowledge;
  }

  /** A row waits that was first changed in this entry, which may be the one being read. */
  opened(seq: number): void {
    this.#rows.set(seq, (this.#rows.get(seq) ?? 0) + 1);
  }

  /** All changes of the next entry are looked at. */
  read(seq: number): void {
    assert(seq === this.#next, `entry ${seq} follows entry ${this.#next - 1}`);
    this.#next += 1;
    this.#advance();
  }

  /** Rows that were first changed in these entries are delivered. */
  delivered(seqs: readonly number[], places: readonly Place[]): void {
    for (const place of places) this.#keep(place);
    for (const seq of seqs) {
      const left = (this.#rows.get(seq) ?? 0) - 1;
      if (left > 0) this.#rows.set(seq, left);
      else this.#rows.delete(seq);
    }
    this.#advance();
  }

  #keep(place: Place): void {
    const name = `${place.partition}/${place.destination}`;
    const known = this.#places.get(name);
    if (known === undefined || known.nextOffset < place.nextOffset) this.#places.set(name, place);
  }

  #advance(): void {
    while (this.#first < this.#next && !this.#rows.has(this.#first)) {
      const places = [...this.#places.values()];
      this.#places.clear();
      this.#acknowledge(this.#first, places);
      this.#first += 1;
    }
  }
}
