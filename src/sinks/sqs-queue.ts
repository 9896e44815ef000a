/**
 * The messages on their way to one queue, by group.
 *
 *   push ─▶ group ─▶ ready, if nothing of the group is under way ─▶ take ─▶ settle ─▶ ready again
 *
 * A batch holds one message of a group at most, and a group has one message under way at most: whatever
 * part of a batch SQS takes, and however often the rest is sent again, a group keeps its order.
 */
import { assert } from "../core/errors.ts";
import type { Message } from "./sink.ts";

export interface Item {
  readonly message: Message;
  readonly group: string;
  /** What it counts in a batch. */
  readonly bytes: number;
}

export interface BatchMax {
  readonly messages: number;
  readonly bytes: number;
}

export class SqsQueue {
  /** Its name, or its URL. */
  readonly name: string;
  /** Where it is, once that was asked for. */
  url: string | undefined;
  /** By group, what waits behind the message under way or, if it is ready, all of it. */
  readonly #groups = new Map<string, Item[]>();
  /** In the order in which they became ready. */
  readonly #ready = new Set<string>();

  constructor(name: string) {
    this.name = name;
  }

  get isReady(): boolean {
    return this.#ready.size > 0;
  }

  push(item: Item): void {
    const waiting = this.#groups.get(item.group);
    if (waiting !== undefined) {
      waiting.push(item);
      return;
    }
    this.#groups.set(item.group, [item]);
    this.#ready.add(item.group);
  }

  /** The first messages of ready groups that fit into one batch; one that is too large for it goes alone. */
  take(max: BatchMax): Item[] {
    const taken: Item[] = [];
    let bytes = 0;
    for (const group of this.#ready) {
      const [first] = this.#groups.get(group) ?? [];
      assert(first !== undefined, "a group without messages is ready");
      bytes += first.bytes;
      if (taken.length > 0 && bytes > max.bytes) break;
      this.#ready.delete(group);
      taken.push(first);
      if (taken.length === max.messages) break;
    }
    return taken;
  }

  /** The message is done with: the next of its group may go. */
  settle({ group }: Item): void {
    const waiting = this.#groups.get(group) ?? [];
    waiting.shift();
    if (waiting.length > 0) this.#ready.add(group);
    else this.#groups.delete(group);
  }
}
