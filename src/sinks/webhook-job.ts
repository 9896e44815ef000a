/** A message on its way over one or more routes: it is done with when all of them are. */
import type { TidemarkError } from "../core/errors.ts";
import type { Message } from "./sink.ts";

export interface Refusal {
  readonly error: TidemarkError;
  readonly attempts: number;
}

export interface JobEvents {
  /** Every route has taken the message. */
  delivered(message: Message): void;
  /** At least one has refused it, and no other still tries. Resolves when it is safe elsewhere. */
  refused(message: Message, refusal: Refusal): Promise<void>;
}

export class Job {
  readonly message: Message;
  readonly #events: JobEvents;
  #routesLeft: number;
  #refusal: Refusal | undefined;
  /** Routes that have refused it. */
  readonly #waiting: (() => void)[] = [];

  constructor(message: Message, routes: number, events: JobEvents) {
    this.message = message;
    this.#routesLeft = routes;
    this.#events = events;
  }

  /** A route is done with it. */
  taken(): void {
    this.#routesLeft -= 1;
    if (this.#routesLeft > 0) return;
    if (this.#refusal === undefined) this.#events.delivered(this.message);
    else void this.#bury(this.#refusal);
  }

  /** Resolves when the route may go on with what follows. */
  refused(refusal: Refusal): Promise<void> {
    this.#refusal ??= refusal;
    const buried = new Promise<void>(resolve => this.#waiting.push(resolve));
    this.taken();
    return buried;
  }

  async #bury(refusal: Refusal): Promise<void> {
    await this.#events.refused(this.message, refusal);
    for (const goOn of this.#waiting) goOn();
  }
}
