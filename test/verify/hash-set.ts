/**
 * A set of strings that keeps 64 bits of each. Two of ten million differing strings fall together with a
 * probability below one in a hundred thousand, and each costs 11 to 23 bytes instead of a hundred.
 */
export class HashSet {
  #low = new Uint32Array(1024);
  #high = new Uint32Array(1024);
  #count = 0;

  get size(): number {
    return this.#count;
  }

  /** Returns false if it was there already. */
  add(text: string): boolean {
    // FNV-1a twice, over the text and over its reverse with another beginning, mixed at the end.
    let low = 0x811c9dc5;
    let high = 0x9747b28c;
    for (let i = 0; i < text.length; i += 1) {
      const code = text.charCodeAt(i);
      low = Math.imul(low ^ code, 0x01000193);
      high = Math.imul(high ^ code, 0x85ebca6b);
      high ^= high >>> 13;
    }
    low ^= low >>> 15;
    low = Math.imul(low, 0x2c1b3c6d) >>> 0;
    // A pair of zeros stands for an empty place.
    high = high >>> 0 || 1;
    if (this.#count * 3 > this.#low.length * 2) this.#grow();
    return this.#insert(low, high);
  }

  #insert(low: number, high: number): boolean {
    const mask = this.#low.length - 1;
    let place = (low ^ (high >>> 7)) & mask;
    while (this.#high[place] !== 0) {
      if (this.#low[place] === low && this.#high[place] === high) return false;
      place = (place + 1) & mask;
    }
    this.#low[place] = low;
    this.#high[place] = high;
    this.#count += 1;
    return true;
  }

  #grow(): void {
    const low = this.#low;
    const high = this.#high;
    this.#low = new Uint32Array(low.length * 2);
    this.#high = new Uint32Array(low.length * 2);
    this.#count = 0;
    for (let i = 0; i < high.length; i += 1) {
      const value = high[i] ?? 0;
      if (value !== 0) this.#insert(low[i] ?? 0, value);
    }
  }
}
