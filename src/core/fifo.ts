/** First in, first out, in constant time whatever its length. */
export class Fifo<T> {
  #items: (T | undefined)[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  get first(): T | undefined {
    return this.#items[this.#head];
  }

  push(item: T): void {
    this.#items.push(item);
  }

  shift(): T | undefined {
    const item = this.#items[this.#head];
    if (this.length === 0) return undefined;
    this.#items[this.#head] = undefined; // So that it is not kept in memory.
    this.#head += 1;
    if (this.#head * 2 >= this.#items.length && this.#head >= COMPACT_AT) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    } else if (this.length === 0) {
      this.#items.length = 0;
      this.#head = 0;
    }
    return item;
  }

  /** What is in it, without taking it out. */
  items(): readonly T[] {
    return this.#items.slice(this.#head) as T[];
  }

  /** Takes everything out. */
  takeAll(): T[] {
    const items = this.#items.slice(this.#head) as T[];
    this.#items = [];
    this.#head = 0;
    return items;
  }
}

/** Below this, what was taken out may stay in the array. */
const COMPACT_AT = 32;
