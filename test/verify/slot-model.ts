/** What one hand of the writer knows of its rows in one table, with an undo log for rollbacks. */
import { GrowingArray } from "./grow.ts";
import type { Random } from "./random.ts";

interface Undo {
  readonly slot: number;
  readonly version: number;
  readonly alive: boolean;
}

export class SlotModel {
  readonly #versions = new GrowingArray("numbers");
  /** One more than the place in `#alive`; 0 for a row that does not live. */
  readonly #places = new GrowingArray("numbers");
  readonly #alive: number[] = [];
  /** Slots that were left; some of them live again, and are passed over. */
  readonly #dead: number[] = [];
  #undo: Undo[] = [];
  #end = 0;

  get aliveCount(): number {
    return this.#alive.length;
  }

  /** Where `undo` can go back to. */
  get mark(): number {
    return this.#undo.length;
  }

  begin(): void {
    this.#undo = [];
  }

  undo(mark: number): void {
    while (this.#undo.length > mark) {
      const entry = this.#undo.pop();
      if (!entry) return;
      this.#versions.set(entry.slot, entry.version);
      if (entry.alive) this.#revive(entry.slot);
      else this.#bury(entry.slot);
    }
  }

  takeNew(): number {
    this.#end += 1;
    return this.#end - 1;
  }

  /** A slot whose row was deleted, or a new one. */
  takeDead(random: Random): number {
    while (this.#dead.length > 0) {
      const index = random.int(0, this.#dead.length - 1);
      const slot = this.#dead[index] ?? 0;
      this.#dead[index] = this.#dead[this.#dead.length - 1] ?? 0;
      this.#dead.pop();
      if (!this.#isAlive(slot)) return slot;
    }
    return this.takeNew();
  }

  pickAlive(random: Random): number {
    return random.pick(this.#alive);
  }

  pickAliveDistinct(random: Random, count: number): readonly number[] {
    if (count >= this.#alive.length) return [...this.#alive];
    const start = random.int(0, this.#alive.length - count);
    return this.#alive.slice(start, start + count);
  }

  write(slot: number, version: number): void {
    this.#undo.push({ slot, version: this.#versions.get(slot), alive: this.#isAlive(slot) });
    this.#versions.set(slot, version);
    this.#revive(slot);
  }

  /** Returns the version that the row had. */
  kill(slot: number): number {
    const version = this.#versions.get(slot);
    this.#undo.push({ slot, version, alive: this.#isAlive(slot) });
    this.#bury(slot);
    return version;
  }

  #isAlive(slot: number): boolean {
    return this.#places.get(slot) !== 0;
  }

  #revive(slot: number): void {
    if (this.#isAlive(slot)) return;
    this.#alive.push(slot);
    this.#places.set(slot, this.#alive.length);
  }

  #bury(slot: number): void {
    if (!this.#isAlive(slot)) return;
    const place = this.#places.get(slot) - 1;
    const last = this.#alive.pop() ?? slot;
    if (last !== slot) {
      this.#alive[place] = last;
      this.#places.set(last, place + 1);
    }
    this.#places.set(slot, 0);
    this.#dead.push(slot);
  }
}
