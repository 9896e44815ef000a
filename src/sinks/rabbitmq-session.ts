/**
 * One connection to RabbitMQ with a channel that confirms what it publishes, and one for everything else.
 *
 * While it is open it owns an exclusive queue named after the pipeline. The broker gives that to nobody
 * else before the connection is closed over there, too: what a lost connection had sent may still be
 * read from it, after the broker was frozen, say, and would come behind what a new one sends again.
 */
import type { Channel, ChannelModel, ConfirmChannel } from "amqplib";
import type { Socket } from "node:net";
import type { ConnectionOptions } from "node:tls";
import type { Clock } from "../core/clock.ts";
import { unlessAborted } from "../core/retry.ts";
import { ACCESS_REFUSED, NOT_FOUND, RESOURCE_LOCKED, replyCodeOf } from "./rabbitmq-errors.ts";

export interface RabbitmqServer {
  readonly host: string;
  readonly port: number;
  readonly vhost: string;
  readonly user: string;
  readonly password: string;
  /** Undefined: not encrypted. */
  readonly tls: ConnectionOptions | undefined;
  readonly heartbeatS: number;
}

export interface RabbitmqDeclare {
  /** Undefined: the exchange must exist. */
  readonly exchangeType: string | undefined;
  readonly queues: boolean;
  readonly queueType: "classic" | "quorum";
}

/** Where a pipeline publishes. */
export interface RabbitmqPlace {
  readonly server: RabbitmqServer;
  /** Names the connection, and its lock. */
  readonly pipeline: string;
  /** "" is the default exchange. */
  readonly exchange: string;
  readonly declare: RabbitmqDeclare;
}

export interface SessionOptions extends RabbitmqPlace {
  readonly clock: Clock;
  /** Nothing is made, and no lock taken: only whether the broker, the vhost and the exchange are there. */
  readonly looksOnly?: boolean;
}

export interface SessionEvents {
  confirmed(tag: number, multiple: boolean): void;
  /** The broker could not take it, and may be able to later. */
  rejected(tag: number, multiple: boolean): void;
  /** No queue takes the message; it is confirmed nevertheless, afterwards. */
  returned(id: string, reason: string): void;
  drained(): void;
  /** The broker takes no messages for now; undefined: it does again. */
  blocked(reason: string | undefined): void;
  /** Once. What was not confirmed may have arrived or not. */
  lost(error: Error): void;
}

const CONNECT_MS = 10_000;
const OPEN_MS = 20_000;
const CLOSE_MS = 1_000;

export class RabbitmqSession {
  /** Whether the user may not make the queue that locks the pipeline. */
  isLockRefused = false;
  readonly #options: SessionOptions;
  readonly #model: ChannelModel;
  /** For declarations: a refused one closes its channel. */
  #control: Channel | undefined;
  #publishing: ConfirmChannel | undefined;
  readonly #declared = new Set<string>();
  /** Nothing is reported any more. */
  #isOver = false;

  private constructor(options: SessionOptions, model: ChannelModel) {
    this.#options = options;
    this.#model = model;
  }

  /** @throws what amqplib or the broker says; toRabbitmqError knows it. */
  static async open(
    options: SessionOptions,
    events: SessionEvents | undefined,
    signal: AbortSignal,
  ): Promise<RabbitmqSession> {
    const model = await connect(options, signal);
    const session = new RabbitmqSession(options, model);
    const late = new AbortController();
    const cancel = options.clock.after(OPEN_MS, () =>
      late.abort(new Error(`no answer within ${OPEN_MS} ms`)),
    );
    try {
      const inTime = AbortSignal.any([signal, late.signal]);
      await unlessAborted(() => session.#open(), inTime);
      if (events !== undefined) session.#report(events);
      return session;
    } catch (error) {
      destroy(model);
      throw error;
    } finally {
      cancel();
    }
  }

  get channel(): ConfirmChannel {
    return this.#publishing as ConfirmChannel;
  }

  isDeclared(routingKey: string): boolean {
    return !this.#options.declare.queues || this.#declared.has(routingKey);
  }

  /** Makes the queue of a routing key and binds it, if that is wanted. */
  async declare(routingKey: string): Promise<void> {
    const { exchange, declare } = this.#options;
    const control = this.#control;
    if (control === undefined || this.isDeclared(routingKey)) return;
    const { queueType } = declare;
    await control.assertQueue(routingKey, {
      durable: true,
      arguments: { "x-queue-type": queueType },
    });
    if (exchange !== "") await control.bindQueue(routingKey, exchange, routingKey);
    this.#declared.add(routingKey);
  }

  async hasQueue(name: string): Promise<boolean> {
    const channel = await this.#model.createChannel();
    channel.on("error", () => undefined); // The broker closes the channel that asks for what is not there.
    try {
      await channel.checkQueue(name);
      await channel.close();
      return true;
    } catch (error) {
      if (replyCodeOf(error) === NOT_FOUND) return false;
      throw error;
    }
  }

  /** Says goodbye, so that the broker lets go of the lock at once. */
  async close(): Promise<void> {
    const { clock } = this.#options;
    this.#isOver = true;
    let cancel = (): void => undefined;
    const late = new Promise<void>(resolve => (cancel = clock.after(CLOSE_MS, resolve)));
    await Promise.race([this.#model.close().catch(() => undefined), late]);
    cancel();
    destroy(this.#model);
  }

  /** Ends the connection without a word: nothing more of it is sent. */
  destroy(): void {
    this.#isOver = true;
    destroy(this.#model);
  }

  async #open(): Promise<void> {
    const { exchange, declare, looksOnly = false } = this.#options;
    if (!looksOnly) await this.#lock();
    const control = await this.#model.createChannel();
    control.on("error", () => undefined); // Told to whoever asked.
    if (exchange !== "" && declare.exchangeType !== undefined && !looksOnly) {
      await control.assertExchange(exchange, declare.exchangeType, { durable: true });
    } else if (exchange !== "" && declare.exchangeType === undefined) {
      await control.checkExchange(exchange);
    }
    this.#control = control;
    this.#publishing = await this.#model.createConfirmChannel();
  }

  async #lock(): Promise<void> {
    const channel = await this.#model.createChannel();
    channel.on("error", () => undefined);
    const name = lockName(this.#options.pipeline);
    try {
      await channel.assertQueue(name, { exclusive: true, durable: false });
    } catch (error) {
      if (replyCodeOf(error) !== ACCESS_REFUSED) throw error;
      this.isLockRefused = true;
    }
  }

  #report(events: SessionEvents): void {
    const channel = this.channel;
    const lost = (error: Error): void => {
      if (this.#isOver) return;
      this.destroy();
      events.lost(error);
    };
    const unless =
      <T>(report: (value: T) => void) =>
      (value: T): void => {
        if (!this.#isOver) report(value);
      };
    channel.on(
      "ack",
      unless(({ deliveryTag, multiple }) => events.confirmed(deliveryTag, multiple)),
    );
    channel.on(
      "nack",
      unless(({ deliveryTag, multiple }) => events.rejected(deliveryTag, multiple)),
    );
    channel.on(
      "return",
      unless(({ fields, properties }) => {
        const { id } = (properties.headers ?? {}) as { id?: unknown };
        events.returned(String(id), String((fields as { replyText?: unknown }).replyText));
      }),
    );
    channel.on(
      "drain",
      unless(() => events.drained()),
    );
    channel.on("error", lost);
    channel.on("close", () => lost(new Error("the channel was closed")));
    this.#model.on("blocked", unless(events.blocked.bind(events)));
    this.#model.on("unblocked", () => unless(() => events.blocked(undefined))(undefined));
    this.#model.on("error", lost);
    this.#model.on("close", (error?: Error) =>
      lost(error ?? new Error("the connection was closed")),
    );
  }
}

export function lockName(pipeline: string): string {
  return `tidemark.lock.${pipeline}`;
}

export function isLocked(thrown: unknown): boolean {
  return replyCodeOf(thrown) === RESOURCE_LOCKED;
}

async function connect(options: SessionOptions, signal: AbortSignal): Promise<ChannelModel> {
  const { server, pipeline } = options;
  const amqplib = await import("amqplib"); // Only whoever uses it pays for loading it.
  const connecting = amqplib.connect(
    {
      protocol: server.tls === undefined ? "amqp" : "amqps",
      hostname: server.host,
      port: server.port,
      username: server.user,
      password: server.password,
      vhost: encodeURIComponent(server.vhost),
      heartbeat: server.heartbeatS,
    },
    {
      ...server.tls,
      timeout: CONNECT_MS,
      noDelay: true,
      keepAlive: true,
      clientProperties: { connection_name: `tidemark ${pipeline}` },
    },
  );
  try {
    const model = await unlessAborted(() => connecting, signal);
    model.on("error", () => undefined); // A "close" follows each; without a listener it would be a crash.
    return model;
  } catch (error) {
    connecting.then(
      model => {
        model.on("error", () => undefined);
        destroy(model);
      },
      () => undefined,
    );
    throw error;
  }
}

/** amqplib only ends the socket, which sends on what waits in it, and hears of an error but not of a close. */
function destroy(model: ChannelModel): void {
  const { stream } = model.connection as unknown as { readonly stream: Socket };
  if (!stream.destroyed) stream.destroy(new Error("the connection was given up"));
}
