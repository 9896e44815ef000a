/**
 * The messages on their way to RabbitMQ, in the order in which they are published.
 *
 *   settled │ published ───────── │ waiting
 *           └ the first that is   └ `next`
 *             not confirmed
 *
 * A message is settled when it and everything before it is confirmed. When a connection is lost, or a
 * message is rejected, everything that is not settled is published again: what was confirmed behind a
 * gap is then repeated, and so never followed by something older.
 */
import { assert } from "../core/errors.ts";
import type { Message } from "./sink.ts";

export interface Outgoing {
  readonly message: Message;
  attempts: number;
  state: "waiting" | "published" | "rejected" | "confirmed";
  /** Why no queue took it, if so. */
  returned: string | undefined;
}

const COMPACT_AT = 4_096;

export class Window {
  #messages: Outgoing[] = [];
  #settled = 0;
  #published = 0;
  /** Those that have a delivery tag of the channel, from `#firstTag` on. */
  #tagged: Outgoing[] = [];
  #firstTag = 1;
  /** All of `#tagged` before it are answered. */
  #answered = 0;
  #unanswered = 0;

  push(message: Message): void {
    this.#messages.push({ message, attempts: 0, state: "waiting", returned: undefined });
  }

  /** How many are published and not settled. */
  get open(): number {
    return this.#published - this.#settled;
  }

  /** How many are published, and neither confirmed nor rejected. */
  get unanswered(): number {
    return this.#unanswered;
  }

  /** The message to publish next. */
  get next(): Outgoing | undefined {
    return this.#messages[this.#published];
  }

  /** `next` was published. A channel numbers what it publishes from 1 on. */
  publish(): void {
    const outgoing = this.#advance("published");
    outgoing.attempts += 1;
    this.#tagged.push(outgoing);
    this.#unanswered += 1;
  }

  /** `next` has nothing to publish. */
  pass(): void {
    this.#advance("confirmed");
  }

  confirm(tag: number, multiple: boolean): void {
    this.#answer(tag, multiple, "confirmed");
  }

  /** They are not settled before they are published again. */
  reject(tag: number, multiple: boolean): void {
    this.#answer(tag, multiple, "rejected");
  }

  /** The broker returns a message just before it confirms it. */
  return(id: string, reason: string): void {
    for (let i = this.#answered; i < this.#tagged.length; i += 1) {
      const outgoing = this.#tagged[i] as Outgoing;
      if (outgoing.message.id !== id || outgoing.state !== "published") continue;
      outgoing.returned = reason;
      return;
    }
  }

  /** The broker refuses the only message that is open. */
  refuseOnly(reason: string): void {
    const outgoing = this.#messages[this.#settled];
    assert(this.open === 1 && outgoing !== undefined, "not one message is open");
    outgoing.state = "confirmed";
    outgoing.returned = reason;
  }

  get canSettle(): boolean {
    return this.open > 0 && this.#messages[this.#settled]?.state === "confirmed";
  }

  /** The next message that can be settled, once. */
  settle(): Outgoing | undefined {
    if (!this.canSettle) return undefined;
    const outgoing = this.#messages[this.#settled];
    this.#settled += 1;
    if (this.#settled > COMPACT_AT) {
      this.#messages = this.#messages.slice(this.#settled);
      this.#published -= this.#settled;
      this.#settled = 0;
    }
    return outgoing;
  }

  /** Everything that is not settled is to be published again; on a new channel, tags begin again too. */
  rewind(isNewChannel: boolean): void {
    for (let i = this.#settled; i < this.#published; i += 1) {
      const outgoing = this.#messages[i] as Outgoing;
      outgoing.state = "waiting";
      outgoing.returned = undefined;
    }
    this.#firstTag = isNewChannel ? 1 : this.#firstTag + this.#tagged.length;
    this.#tagged = [];
    this.#answered = 0;
    this.#unanswered = 0;
    this.#published = this.#settled;
  }

  #advance(state: Outgoing["state"]): Outgoing {
    const outgoing = this.next;
    assert(outgoing !== undefined, "no message waits");
    outgoing.state = state;
    this.#published += 1;
    return outgoing;
  }

  #answer(tag: number, multiple: boolean, state: "confirmed" | "rejected"): void {
    const index = tag - this.#firstTag;
    assert(index < this.#tagged.length, "the broker answers to a message that it was not given");
    for (let i = multiple ? this.#answered : index; i <= index; i += 1) {
      const outgoing = this.#tagged[i];
      if (outgoing?.state !== "published") continue;
      outgoing.state = state;
      this.#unanswered -= 1;
    }
    while (this.#answered < this.#tagged.length && this.#isAnswered()) this.#answered += 1;
    if (this.#answered > COMPACT_AT) {
      this.#tagged = this.#tagged.slice(this.#answered);
      this.#firstTag += this.#answered;
      this.#answered = 0;
    }
  }

  #isAnswered(): boolean {
    return this.#tagged[this.#answered]?.state !== "published";
  }
}
