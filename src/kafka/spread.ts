/** A message that goes to each partition of its topic: it is done with when all of them are. */
import type { Message, Place } from "../sinks/sink.ts";

export class Spread {
  readonly message: Message;
  /** Where it arrived so far. */
  readonly places: Place[] = [];
  readonly #partitions: number;
  #refusal: Promise<void> | undefined;

  constructor(message: Message, partitions: number) {
    this.message = message;
    this.#partitions = partitions;
  }

  /** True if it is delivered with that. */
  arrivedAt(place: Place): boolean {
    this.places.push(place);
    return this.places.length === this.#partitions;
  }

  /** What one partition refuses is refused, and said once. Resolves when the lane may go on. */
  refusedBy(refuse: (message: Message) => Promise<void> | undefined): Promise<void> {
    this.#refusal ??= refuse(this.message) ?? Promise.resolve();
    return this.#refusal;
  }
}
