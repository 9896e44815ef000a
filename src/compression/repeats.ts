/**
 * Finds what LZ4 and snappy leave out: bytes that stood before, within one block. Greedy, as both
 * formats are meant to be packed: the first repeat that is met is taken, and what looks as if it had none
 * is passed over in growing steps.
 */

/** Neither format refers back further than this. */
export const REPEAT_BLOCK_MAX = 64 * 1024;

const REPEAT_MIN = 4;
/** LZ4 wants the last bytes to be literals, and no repeat to begin right before them. */
const LITERALS_AT_END = 5;
const NO_BEGIN_AT_END = 12;
const HASH_BITS = 13;
const HASH_PRIME = 0x9e37_79b1;
const PATIENCE_BITS = 6;

export class Repeats {
  /** By the hash of four bytes: where in the block they stood last. */
  readonly #places = new Uint16Array(1 << HASH_BITS);
  /** For each repeat: how many bytes stand before it, how far back it refers, and how long it is. */
  readonly found = new Int32Array((3 * REPEAT_BLOCK_MAX) / REPEAT_MIN);

  /** Returns how many numbers of `found` are filled; what follows the last repeat is literals. */
  find(view: DataView, start: number, end: number): number {
    const places = this.#places.fill(0);
    const { found } = this;
    const beginMax = end - NO_BEGIN_AT_END;
    const endMax = end - LITERALS_AT_END;
    let count = 0;
    let literals = start;
    let patience = 1 << PATIENCE_BITS;
    for (let at = start + 1; at <= beginMax;) {
      const word = view.getInt32(at, true);
      const hash = Math.imul(word, HASH_PRIME) >>> (32 - HASH_BITS);
      const from = start + (places[hash] ?? 0);
      places[hash] = at - start;
      if (view.getInt32(from, true) !== word) {
        at += patience++ >> PATIENCE_BITS;
        continue;
      }
      const back = at - from;
      let first = at;
      while (first > literals && first - back > start && same(view, first - 1, back)) first -= 1;
      let after = at + REPEAT_MIN;
      while (after + 4 <= endMax && sameWord(view, after, back)) after += 4;
      while (after < endMax && same(view, after, back)) after += 1;
      found[count++] = first - literals;
      found[count++] = back;
      found[count++] = after - first;
      at = after;
      literals = after;
      patience = 1 << PATIENCE_BITS;
    }
    return count;
  }
}

function same(view: DataView, at: number, back: number): boolean {
  return view.getUint8(at) === view.getUint8(at - back);
}

function sameWord(view: DataView, at: number, back: number): boolean {
  return view.getInt32(at, true) === view.getInt32(at - back, true);
}
