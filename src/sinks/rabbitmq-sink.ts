/**
 * RabbitMQ as a destination: one channel, in publish order, with publisher confirms.
 *
 *   write ─▶ window ─▶ publish, mandatory ─▶ broker ─▶ confirmed, in order ─▶ delivered
 *              ▲                               ├─▶ returned (no queue), then confirmed ─▶ refused
 *              ╰── all that is not settled ────┴─▶ rejected, or the connection lost
 *
 * 1. A message is delivered when it and everything before it is confirmed, and was not returned: the
 *    broker confirms what no queue takes, too.
 * 2. After a loss, nothing is published before what is not settled, in its order; and nothing at all
 *    while the broker still reads from the connection before (rabbitmq-session.ts).
 *    A consumer may see a later message first, and then all of them again; never an older one last.
 * 3. After a rejection, or a channel that was closed because of a message, one message is open at a time
 *    until it is known which one it is; then twice as many after each round.
 * 4. While a refused message is not safe, nothing more is published.
 */
import { Backoff } from "../core/backoff.ts";
import type { NextOffsets } from "../core/checkpoint.ts";
import { sleep, type Clock } from "../core/clock.ts";
import { TidemarkError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import { retrying } from "../core/retry.ts";
import { Wake } from "../core/signal.ts";
import type { Troubles } from "../core/troubles.ts";
import {
  isOfMessage,
  replyCodeOf,
  textOf,
  toRabbitmqError,
  type Phase,
} from "./rabbitmq-errors.ts";
import { propertiesOf } from "./rabbitmq-message.ts";
import {
  isLocked,
  lockName,
  RabbitmqSession,
  type RabbitmqPlace,
  type SessionEvents,
} from "./rabbitmq-session.ts";
import { Window, type Outgoing } from "./rabbitmq-window.ts";
import type { Message, Sink, SinkEvents, SinkResume } from "./sink.ts";

/** Why nothing is published now. */
type Hold = "disconnected" | "full" | "blocked" | "rejected" | "declaring" | "refused";

export interface RabbitmqSinkOptions extends RabbitmqPlace {
  readonly persistent: boolean;
  readonly backlogBytesMax: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly troubles?: Troubles | undefined;
}

const OPEN_MAX = 4_096;
/** What a message takes beside key and value. */
const OVERHEAD_BYTES = 200;
const RETRY_FIRST_MS = 100;
const RETRY_MAX_MS = 2_000;
/**
 * The lock tells that the reader of the last connection has ended over there; what it had handed on to
 * its channel, some hundred messages at most, cannot be asked for. Only after the lock was found taken.
 */
const SETTLE_MS = 250;

export class RabbitmqSink implements Sink {
  readonly name = "rabbitmq";
  readonly #options: RabbitmqSinkOptions;
  readonly #window = new Window();
  readonly #holds = new Set<Hold>(["disconnected"]);
  readonly #room = new Wake();
  readonly #stop = new AbortController();
  readonly #backoff = new Backoff({ firstMs: RETRY_FIRST_MS, maxMs: RETRY_MAX_MS });
  /** Queues that this sink has declared, on this connection or one before. */
  readonly #queues = new Set<string>();
  /** Keys of `troubles`. */
  readonly #publishing = {};
  readonly #alarm = {};
  #events: SinkEvents | undefined;
  #session: RabbitmqSession | undefined;
  #backlogBytes = 0;
  #openMax = OPEN_MAX;
  /** Losses and rejections since a message was last settled. */
  #failures = 0;
  /** Something was rejected, and other answers are still awaited. */
  #isRejected = false;

  constructor(options: RabbitmqSinkOptions) {
    this.#options = options;
  }

  async open(resume: SinkResume, events: SinkEvents, signal: AbortSignal): Promise<NextOffsets> {
    signal.throwIfAborted();
    this.#events = events;
    const either = AbortSignal.any([signal, this.#stop.signal]);
    this.#session = await this.#connect("start", either, resume.destinations);
    if (this.#session.isLockRefused) {
      this.#options.logger.warn(
        { queue: lockName(this.#options.pipeline) },
        "The user may not make the queue that keeps other connections of the pipeline away",
      );
    }
    this.#holds.delete("disconnected");
    return {};
  }

  write(messages: readonly Message[]): void {
    if (this.#stop.signal.aborted) return;
    for (const message of messages) {
      this.#backlogBytes += message.bytes + OVERHEAD_BYTES;
      this.#window.push(message);
    }
    this.#publish();
  }

  async room(signal: AbortSignal): Promise<void> {
    const { backlogBytesMax } = this.#options;
    const hasRoom = (): boolean =>
      this.#backlogBytes < backlogBytesMax || this.#stop.signal.aborted;
    await this.#room.until(hasRoom, signal);
  }

  async close(): Promise<void> {
    this.#end(new TidemarkError("SINK_UNAVAILABLE", "The sink of RabbitMQ is closed."));
    const session = this.#session;
    this.#session = undefined;
    await session?.close();
  }

  async #connect(
    phase: Phase,
    signal: AbortSignal,
    destinations: readonly string[],
  ): Promise<RabbitmqSession> {
    const { clock, logger, troubles, server } = this.#options;
    const doing = `Connecting to RabbitMQ at ${server.host}:${server.port}`;
    let wasLocked = false;
    const attempt = async (): Promise<RabbitmqSession> => {
      const session = await RabbitmqSession.open(this.#options, this.#sessionEvents(), signal);
      try {
        for (const destination of destinations) await this.#make(session, destination);
        if (wasLocked) await sleep(clock, SETTLE_MS, signal);
        return session;
      } catch (error) {
        session.destroy();
        throw error;
      }
    };
    return retrying(attempt, {
      ...{ clock, logger, signal, doing, troubles },
      classify: thrown => toRabbitmqError(thrown, doing, phase),
      onFailure: thrown => (wasLocked ||= isLocked(thrown)),
      isUnreachable: thrown => replyCodeOf(thrown) === undefined,
    });
  }

  #sessionEvents(): SessionEvents {
    return {
      confirmed: (tag, multiple) => {
        this.#window.confirm(tag, multiple);
        this.#publish();
      },
      rejected: (tag, multiple) => {
        this.#window.reject(tag, multiple);
        this.#isRejected = true;
        this.#holds.add("rejected");
        this.#publish();
      },
      returned: (id, reason) => this.#window.return(id, reason),
      drained: () => this.#resume("full"),
      blocked: reason => this.#block(reason),
      lost: error => void this.#lose(error),
    };
  }

  /** Reports what is settled and publishes what may be, until neither is left. */
  #publish(): void {
    while (!this.#stop.signal.aborted) {
      this.#settle();
      const before = this.#window.open;
      while (this.#holds.size === 0 && this.#window.open < this.#openMax) {
        if (!this.#publishNext()) break;
      }
      if (this.#window.open === before || !this.#window.canSettle) break;
    }
    if (this.#isRejected && this.#window.unanswered === 0) void this.#publishAgain();
  }

  /** @returns false if nothing can be published. */
  #publishNext(): boolean {
    const session = this.#session;
    const { next } = this.#window;
    if (session === undefined || next === undefined) return false;
    const { destination, value } = next.message;
    if (value === null) {
      this.#window.pass(); // A tombstone is for compacted topics; here it would be an empty message.
      return true;
    }
    if (!session.isDeclared(destination)) {
      void this.#declare(session, destination);
      return false;
    }
    const properties = propertiesOf(next.message, this.#options);
    try {
      const { exchange } = this.#options;
      const goesOn = session.channel.publish(exchange, destination, value, properties);
      if (!goesOn) this.#holds.add("full");
    } catch (error) {
      session.destroy();
      void this.#lose(error as Error);
      return false;
    }
    this.#window.publish();
    return true;
  }

  #settle(): void {
    while (!this.#holds.has("refused")) {
      const outgoing = this.#window.settle();
      if (outgoing === undefined) return;
      this.#openMax = Math.min(OPEN_MAX, this.#openMax + 1);
      this.#works();
      if (outgoing.returned === undefined) {
        this.#release(outgoing.message);
        this.#events?.delivered(outgoing.message);
      } else {
        void this.#refuse(outgoing, outgoing.returned);
      }
    }
  }

  #release(message: Message): void {
    this.#backlogBytes -= message.bytes + OVERHEAD_BYTES;
    this.#room.notify();
  }

  #resume(hold: Hold): void {
    this.#holds.delete(hold);
    this.#publish();
  }

  async #refuse({ message, attempts }: Outgoing, reason: string): Promise<void> {
    this.#holds.add("refused");
    await this.#events?.refused(message, this.#refusal(message, reason), attempts);
    this.#release(message);
    this.#resume("refused");
  }

  #refusal(message: Message, reason: string): TidemarkError {
    const { exchange } = this.#options;
    const to = exchange === "" ? "the default exchange" : `exchange ${exchange}`;
    return new TidemarkError(
      "MESSAGE_REFUSED",
      `RabbitMQ refuses message ${message.id} of binlog position ${message.position} for ${to}, routing key ` +
        `${message.destination} (${message.bytes} bytes): ${reason}. Bind a queue to the routing key, or set ` +
        "sink.declare.queues; for a size, raise max_message_size, or exclude the column or table.",
    );
  }

  async #declare(session: RabbitmqSession, routingKey: string): Promise<void> {
    this.#holds.add("declaring");
    try {
      await this.#make(session, routingKey);
    } catch (error) {
      session.destroy();
      void this.#lose(error as Error);
    }
    this.#resume("declaring");
  }

  /** A broker that ends hard soon after a queue was made may forget the queue, and all it confirmed for it. */
  async #make(session: RabbitmqSession, queue: string): Promise<void> {
    if (this.#queues.has(queue) && !(await session.hasQueue(queue))) {
      this.#options.logger.error(
        { queue },
        `Queue ${queue} of RabbitMQ is gone, and with it what it held and nobody had taken: somebody deleted it, or ` +
          "the broker lost it. It is made anew. To send what it held again, set the position back.",
      );
    }
    await session.declare(queue);
    this.#queues.add(queue);
  }

  #block(reason: string | undefined): void {
    const { logger } = this.#options;
    if (reason !== undefined) {
      const message = `RabbitMQ takes no messages for now: ${reason}.`;
      logger.warn({ code: "SINK_UNAVAILABLE" }, `${message} Waiting …`);
      this.#failed(this.#alarm, message);
      this.#holds.add("blocked");
    } else if (this.#holds.has("blocked")) {
      logger.info({}, "RabbitMQ takes messages again");
      this.#over(this.#alarm);
      this.#resume("blocked");
    }
  }

  /** Everything is answered, and something was rejected. */
  async #publishAgain(): Promise<void> {
    this.#isRejected = false;
    this.#openMax = 1;
    this.#fails("RabbitMQ rejects messages, as a queue does that is full.");
    await this.#pause();
    this.#window.rewind(false);
    this.#resume("rejected");
  }

  /** The session is over; what it had not confirmed is published again on the next one. */
  async #lose(thrown: Error): Promise<void> {
    const { signal } = this.#stop;
    if (signal.aborted || this.#holds.has("disconnected")) return;
    this.#session = undefined;
    this.#holds.add("disconnected");
    const error = toRabbitmqError(thrown, "Publishing to RabbitMQ", "running");
    if (isOfMessage(thrown)) this.#findRefused(error);
    else if (error.reaction !== "retry") {
      this.#fail(error);
      return;
    }
    this.#window.rewind(true);
    if (this.#failures > 0) await this.#pause();
    this.#fails(error.message);
    try {
      this.#session = await this.#connect("running", signal, []);
    } catch (failure) {
      this.#fail(failure);
      return;
    }
    if (this.#isRejected) {
      this.#isRejected = false;
      this.#holds.delete("rejected");
    }
    this.#holds.delete("full");
    this.#block(undefined);
    this.#resume("disconnected");
  }

  /** The channel was closed because of a message: if only one was open, it is that one. */
  #findRefused({ cause, message }: TidemarkError): void {
    const reason = cause instanceof Error ? textOf(cause) : message;
    if (this.#window.open === 1 && !this.#holds.has("refused")) {
      this.#window.refuseOnly(reason);
      this.#settle();
    }
    this.#openMax = 1;
  }

  #fails(message: string): void {
    this.#failures += 1;
    // The first is usual, when a broker is restarted; the next is without progress.
    if (this.#failures === 2) {
      this.#options.logger.warn({ code: "SINK_UNAVAILABLE" }, `${message} Trying again …`);
    }
    this.#failed(this.#publishing, message);
  }

  #works(): void {
    if (this.#failures === 0) return;
    if (this.#failures > 1) this.#options.logger.info({}, "Publishing to RabbitMQ works again");
    this.#failures = 0;
    this.#backoff.reset();
    this.#over(this.#publishing);
  }

  #failed(key: object, message: string): void {
    this.#options.troubles?.failed(key, { message, unreachable: false, place: undefined });
  }

  #over(key: object): void {
    this.#options.troubles?.over(key);
  }

  async #pause(): Promise<void> {
    const { clock } = this.#options;
    await sleep(clock, this.#backoff.delayMs(), this.#stop.signal).catch(() => undefined);
  }

  #fail(thrown: unknown): void {
    if (this.#stop.signal.aborted) return;
    const error = toRabbitmqError(thrown, "Publishing to RabbitMQ", "running");
    this.#end(error);
    this.#events?.failed(error);
  }

  #end(reason: TidemarkError): void {
    this.#stop.abort(reason);
    this.#room.notify();
    for (const key of [this.#publishing, this.#alarm]) this.#over(key);
  }
}
