/** What the tests against a real RabbitMQ share. */
import { randomUUID } from "node:crypto";
import { connect, type Channel, type ChannelModel, type GetMessage, type Options } from "amqplib";
import { systemClock } from "../../src/core/clock.ts";
import { silentLogger } from "../../src/core/logger.ts";
import { RabbitmqSink, type RabbitmqSinkOptions } from "../../src/sinks/rabbitmq-sink.ts";
import type { RabbitmqServer } from "../../src/sinks/rabbitmq-session.ts";
import type { Rabbitmq } from "../../tools/services/services.ts";

export const never = new AbortController().signal;
/**
 * For `rabbitmqctl eval`: writes down which queues there are. Otherwise a broker that is killed within
 * seconds may come back without them.
 */
export const keepQueues = "mnesia:sync_log().";
export const uniqueName = (prefix: string): string => `${prefix}.${randomUUID().slice(0, 8)}`;

export function serverOf(
  { host, port, user, password }: Pick<Rabbitmq, "host" | "port" | "user" | "password">,
  changes: Partial<RabbitmqServer> = {},
): RabbitmqServer {
  const server = { host, port, user, password, vhost: "/", tls: undefined, heartbeatS: 30 };
  return { ...server, ...changes };
}

export function makeSink(
  rabbitmq: Rabbitmq,
  changes: Partial<RabbitmqSinkOptions> = {},
): RabbitmqSink {
  return new RabbitmqSink({
    server: serverOf(rabbitmq),
    exchange: "",
    declare: { exchangeType: undefined, queues: true, queueType: "classic" },
    persistent: true,
    pipeline: uniqueName("shop"),
    backlogBytesMax: 1024 * 1024,
    clock: systemClock,
    logger: silentLogger,
    ...changes,
  });
}

/** Looks at queues and changes them, beside what is tested. */
export class Observer {
  readonly #model: ChannelModel;
  readonly channel: Channel;

  private constructor(model: ChannelModel, channel: Channel) {
    this.#model = model;
    this.channel = channel;
  }

  static async open(rabbitmq: Pick<Rabbitmq, "url">): Promise<Observer> {
    const model = await connect(rabbitmq.url);
    model.on("error", () => undefined);
    const channel = await model.createChannel();
    channel.on("error", () => undefined);
    return new Observer(model, channel);
  }

  async queue(name: string, options: Options.AssertQueue = {}): Promise<string> {
    await this.channel.assertQueue(name, { durable: true, ...options });
    return name;
  }

  /** Takes everything that the queue holds; nothing if there is none. */
  async take(queue: string): Promise<GetMessage[]> {
    const messages: GetMessage[] = [];
    for (;;) {
      const message = await this.channel.get(queue, { noAck: true });
      if (message === false) return messages;
      messages.push(message);
    }
  }

  async values(queue: string): Promise<string[]> {
    return (await this.take(queue)).map(({ content }) => content.toString());
  }

  async close(): Promise<void> {
    await this.#model.close().catch(() => undefined);
  }
}
