/** Arrays of numbers that grow on writing. A campaign holds facts about millions of changes. */
export class GrowingArray {
  #items: Uint32Array | Uint8Array;

  constructor(kind: "bytes" | "numbers") {
    this.#items = kind === "bytes" ? new Uint8Array(1024) : new Uint32Array(1024);
  }

  /** Places there are; those never written hold 0. */
  get length(): number {
    return this.#items.length;
  }

  get(index: number): number {
    return this.#items[index] ?? 0;
  }

  set(index: number, value: number): void {
    if (index >= this.#items.length) {
      const length = Math.max(index + 1, this.#items.length * 2);
      const larger =
        this.#items instanceof Uint8Array ? new Uint8Array(length) : new Uint32Array(length);
      larger.set(this.#items);
      this.#items = larger;
    }
    this.#items[index] = value;
  }

  /** Adds bits and returns those that stood there before. */
  mark(index: number, bits: number): number {
    const before = this.get(index);
    this.set(index, before | bits);
    return before;
  }
}
