/**
 * One producer and the lanes it serves in turn. It has one batch under way; what arrives meanwhile goes
 * into the next ones, so batches grow with the load by themselves.
 */
import { TidemarkError } from "../core/errors.ts";
import { unlessAborted } from "../core/retry.ts";
import type { Message } from "../sinks/sink.ts";
import { messageBytes, type BatchLimits, type Lane } from "./lane.ts";
import type { Producer } from "./producer.ts";
import type { OutgoingRecord } from "./record-batch.ts";

export interface SenderOptions {
  readonly producer: Pick<Producer, "send">;
  readonly pipeline: string;
  readonly limits: BatchLimits;
  readonly signal: AbortSignal;
  /** Called for each message, in the order of its lane. */
  readonly delivered: (lane: Lane, message: Message, nextOffset: number) => void;
  /** Resolves when a message that Kafka refuses is safe elsewhere. */
  readonly refused: (message: Message, error: TidemarkError) => Promise<void>;
  readonly failed: (error: unknown) => void;
}

/** Only in a build that is wrong on purpose: what was lost is said to have arrived. */
const DROPPED = -1;

export class Sender {
  readonly #options: SenderOptions;
  readonly #ready = new Set<Lane>();
  #running: Promise<void> | undefined;

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  /** The lane has messages to send. */
  wake(lane: Lane): void {
    this.#ready.add(lane);
    this.#running ??= this.#run();
  }

  /** Resolves when nothing is under way any more. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal, limits, failed } = this.#options;
    try {
      await Promise.resolve(); // So that a whole write goes into the first batch.
      for (const lane of this.#ready) {
        this.#ready.delete(lane);
        if (signal.aborted) break;
        await this.#send(lane, lane.take(limits));
        if (lane.length > 0) this.#ready.add(lane); // Behind the others: a set keeps their order.
      }
    } catch (error) {
      failed(error);
    } finally {
      this.#running = undefined;
    }
  }

  async #send(lane: Lane, messages: readonly Message[]): Promise<void> {
    const { signal, delivered } = this.#options;
    let offset: number;
    try {
      offset = await this.#produce(lane, messages);
    } catch (error) {
      const refused = error instanceof TidemarkError && error.code === "MESSAGE_REFUSED";
      if (!refused) throw error;
      if (messages.length === 1) {
        await this.#refuse(lane, messages[0] as Message, error);
        return;
      }
      // Kafka refuses a batch as a whole: halves are sent until the message is found, or all fit.
      const half = messages.length >> 1;
      await this.#send(lane, messages.slice(0, half));
      await this.#send(lane, messages.slice(half));
      return;
    }
    if (__MUTANT__ === "drop-on-error" && offset === DROPPED) {
      for (const message of messages) delivered(lane, message, lane.nextOffset);
      return;
    }
    if (offset < lane.nextOffset) throw movedBack(lane, offset);
    if (signal.aborted) return;
    for (const message of messages) delivered(lane, message, ++offset);
  }

  /** The lane, and others of this sender, wait until the message is safe. */
  #refuse(lane: Lane, message: Message, error: TidemarkError): Promise<void> {
    const { refused, signal } = this.#options;
    return unlessAborted(() => refused(message, refusal(error, lane, message)), signal);
  }

  #produce(lane: Lane, messages: readonly Message[]): Promise<number> {
    const { producer, pipeline, signal } = this.#options;
    const records = messages.map(message => toRecord(message, pipeline));
    const sent = producer.send(lane, records, signal);
    if (__MUTANT__ === "drop-on-error") return sent.catch(() => DROPPED);
    return sent;
  }
}

function toRecord(message: Message, pipeline: string): OutgoingRecord {
  const { id, transaction, position, key, value } = message;
  const headers = [
    ["id", id],
    ["pipeline", pipeline],
    ["transaction", transaction],
    ["position", position],
  ] as const;
  return { key, value, headers };
}

function refusal(error: TidemarkError, lane: Lane, message: Message): TidemarkError {
  const cause = error.cause as Error;
  return new TidemarkError(
    "MESSAGE_REFUSED",
    `Kafka refuses message ${message.id} of binlog position ${message.position} for topic ` +
      `${lane.topic}, partition ${lane.partition} (${messageBytes(message)} bytes): ${cause.message}. ` +
      "Nothing after it was delivered there. Change the setting of the topic, such as max.message.bytes, " +
      "or exclude the column or table.",
    { cause },
  );
}

function movedBack(lane: Lane, offset: number): TidemarkError {
  return new TidemarkError(
    "SINK_OUTCOME_UNKNOWN",
    `Topic ${lane.topic}, partition ${lane.partition}, answered with offset ${offset} after ` +
      `${lane.nextOffset}: it was made anew or has lost records.`,
  );
}
