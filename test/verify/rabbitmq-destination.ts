/** RabbitMQ as a campaign sees it: a durable queue for each table, and a consumer that takes all of it. */
import { connect, type Channel, type ChannelModel, type ConsumeMessage } from "amqplib";
import type { Rabbitmq } from "../../tools/services/services.ts";
import type { Arrival, Destination, DestinationNames } from "./destination.ts";
import { tables } from "./tables.ts";
import { sleep } from "./wait.ts";

const AGAIN_MS = 50;

export class RabbitmqDestination implements Destination {
  readonly ordered = true;
  readonly #rabbitmq: Rabbitmq;
  readonly #names: readonly string[];
  readonly #queues: string[] = [];
  #model: ChannelModel | undefined;
  #channel: Channel | undefined;
  #consumers: string[] = [];
  #arrived: Arrival[] = [];

  /** @param names of the tables that get a queue. */
  constructor(rabbitmq: Rabbitmq, names = tables.map(({ name }) => name)) {
    this.#rabbitmq = rabbitmq;
    this.#names = names;
  }

  sink({ pipeline }: DestinationNames): Readonly<Record<string, unknown>> {
    // A broker that stands still for 30 s is given up, which is the harder case.
    const routing_key = `${pipeline}.{database}.{table}`;
    return { type: "rabbitmq", url: this.#rabbitmq.url, routing_key, heartbeat_s: 5 };
  }

  async prepare({ pipeline, database }: DestinationNames): Promise<void> {
    for (const name of this.#names) this.#queues.push(`${pipeline}.${database}.${name}`);
    const channel = await this.#open();
    for (const queue of this.#queues) await channel.assertQueue(queue, { durable: true });
    await this.#consume(channel);
  }

  async read(visit: (arrival: Arrival) => void): Promise<void> {
    const channel = await this.#open();
    if (this.#consumers.length === 0) await this.#consume(channel);
    for (const queue of this.#queues) {
      while ((await channel.checkQueue(queue)).messageCount > 0) await sleep(AGAIN_MS);
    }
    // What the queues had handed to the channel by then comes before its next answer.
    await channel.checkQueue(this.#queues[0] ?? "");
    for (const arrival of this.#arrived.splice(0)) visit(arrival);
  }

  async down(): Promise<void> {
    const channel = await this.#open();
    for (const consumer of this.#consumers.splice(0)) await channel.cancel(consumer);
    await this.#close();
    this.#rabbitmq.kill("SIGKILL");
  }

  up(): Promise<void> {
    return this.#rabbitmq.start();
  }

  freeze(signal: "SIGSTOP" | "SIGCONT"): void {
    this.#rabbitmq.kill(signal);
  }

  async close(): Promise<void> {
    const channel = await this.#open();
    for (const queue of this.#queues) await channel.deleteQueue(queue);
    await this.#close();
  }

  async #open(): Promise<Channel> {
    if (this.#channel !== undefined) return this.#channel;
    this.#model = await connect(this.#rabbitmq.url);
    this.#model.on("error", () => undefined); // Without us the broker is only ended on purpose.
    this.#channel = await this.#model.createChannel();
    this.#channel.on("error", () => undefined);
    return this.#channel;
  }

  async #consume(channel: Channel): Promise<void> {
    for (const queue of this.#queues) {
      const take = (message: ConsumeMessage | null): void => {
        if (message !== null) this.#arrived.push(arrivalOf(queue, message));
      };
      const { consumerTag } = await channel.consume(queue, take, { noAck: true });
      this.#consumers.push(consumerTag);
    }
  }

  async #close(): Promise<void> {
    await this.#model?.close().catch(() => undefined);
    this.#model = undefined;
    this.#channel = undefined;
  }
}

function arrivalOf(lane: string, { properties, content }: ConsumeMessage): Arrival {
  const headers = (properties.headers ?? {}) as Readonly<Record<string, string>>;
  const { transaction, position } = headers;
  return { lane, id: String(properties.messageId), transaction, position, value: content };
}
