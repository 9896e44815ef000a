/**
 * Destinations of each kind that take the rows of one table and refuse those of another for good, until
 * they are mended; and a plain reader of what they took.
 */
import { connect, type Channel, type ChannelModel } from "amqplib";
import type { Elasticmq, Kafka, Rabbitmq } from "../../tools/services/services.ts";
import { accept, answer, WebhookServer } from "../support/webhook-server.ts";
import { KafkaAdmin } from "./checks/kafka-admin.ts";
import { Consumer } from "./consumer.ts";
import type { DestinationNames } from "./destination.ts";
import { SqsDestination } from "./sqs-destination.ts";

export const TAKEN = "orders";
export const REFUSED = "poison";
/** A row of this size is above what SQS and Kafka are told to take, and below what they can. */
export const LARGE_BYTES = 60_000;
const TAKES_BYTES = 50_000;

export interface Taken {
  readonly id: string;
  readonly value: Buffer;
}

export interface Refusing {
  readonly kind: "kafka" | "sqs" | "rabbitmq" | "webhook";
  /** Whether nothing may arrive twice, whatever happens. */
  readonly once: boolean;
  /** `sink` of the pipeline, as it refuses and as it is mended. */
  sink(isMended: boolean): Readonly<Record<string, unknown>>;
  prepare(): Promise<void>;
  mend(): Promise<void>;
  /** What it took since the last time, of each row in its order. */
  read(visit: (taken: Taken) => void): Promise<void>;
  close(): Promise<void>;
}

export class RefusingKafka implements Refusing {
  readonly kind = "kafka";
  readonly once = true;
  readonly #kafka: Kafka;
  readonly #names: DestinationNames;
  readonly #consumer: Consumer;

  constructor(kafka: Kafka, names: DestinationNames) {
    this.#kafka = kafka;
    this.#names = names;
    this.#consumer = new Consumer(kafka.brokers, topic => topic.startsWith(this.#topic("")));
  }

  #topic(table: string): string {
    return `${this.#names.pipeline}.${this.#names.database}.${table}`;
  }

  sink(): Readonly<Record<string, unknown>> {
    return { type: "kafka", brokers: this.#kafka.brokers, topic: this.#topic("{table}") };
  }

  prepare(): Promise<void> {
    const config = { "max.message.bytes": String(TAKES_BYTES) };
    return new KafkaAdmin(this.#kafka.brokers).createTopics(
      [TAKEN, REFUSED].map(table => ({ topic: this.#topic(table), partitions: 2, config })),
    );
  }

  mend(): Promise<void> {
    const config = { "max.message.bytes": "1000000" };
    return new KafkaAdmin(this.#kafka.brokers).configure(this.#topic(REFUSED), config);
  }

  async read(visit: (taken: Taken) => void): Promise<void> {
    await this.#consumer.readToEnd(({ headers, value }) => {
      const id = headers["id"] ?? "";
      if (value !== null) visit({ id, value });
    });
  }

  close(): Promise<void> {
    this.#consumer.close();
    return Promise.resolve();
  }
}

export class RefusingSqs implements Refusing {
  readonly kind = "sqs";
  readonly once = true;
  readonly #names: DestinationNames;
  readonly #destination: SqsDestination;

  private constructor(destination: SqsDestination, names: DestinationNames) {
    this.#destination = destination;
    this.#names = names;
  }

  static async create(elasticmq: Elasticmq, names: DestinationNames): Promise<RefusingSqs> {
    return new RefusingSqs(await SqsDestination.create(elasticmq, { fifo: true }), names);
  }

  get environment(): Readonly<Record<string, string>> {
    return this.#destination.environment;
  }

  sink(isMended: boolean): Readonly<Record<string, unknown>> {
    const limit = isMended ? {} : { max_message_bytes: TAKES_BYTES };
    return { ...this.#destination.sink(this.#names), ...limit };
  }

  prepare(): Promise<void> {
    return this.#destination.prepare(this.#names);
  }

  mend(): Promise<void> {
    return Promise.resolve();
  }

  read(visit: (taken: Taken) => void): Promise<void> {
    return this.#destination.read(visit);
  }

  close(): Promise<void> {
    return this.#destination.close();
  }
}

/** No queue takes the one table's rows: they are returned. */
export class RefusingRabbitmq implements Refusing {
  readonly kind = "rabbitmq";
  readonly once = false;
  readonly #url: string;
  readonly #names: DestinationNames;
  readonly #queues: string[] = [];
  #model: ChannelModel | undefined;
  #channel: Channel | undefined;

  constructor(rabbitmq: Rabbitmq, names: DestinationNames) {
    this.#url = rabbitmq.url;
    this.#names = names;
  }

  #queue(table: string): string {
    return `${this.#names.pipeline}.${table}`;
  }

  sink(): Readonly<Record<string, unknown>> {
    return { type: "rabbitmq", url: this.#url, routing_key: this.#queue("{table}") };
  }

  async prepare(): Promise<void> {
    this.#model = await connect(this.#url);
    this.#channel = await this.#model.createChannel();
    await this.#declare(TAKEN);
  }

  mend(): Promise<void> {
    return this.#declare(REFUSED);
  }

  async #declare(table: string): Promise<void> {
    const queue = this.#queue(table);
    await this.#channel?.assertQueue(queue, { durable: true });
    this.#queues.push(queue);
  }

  async read(visit: (taken: Taken) => void): Promise<void> {
    for (const queue of this.#queues) {
      for (;;) {
        const message = (await this.#channel?.get(queue, { noAck: true })) ?? false;
        if (message === false) break;
        visit({ id: String(message.properties.messageId), value: message.content });
      }
    }
  }

  async close(): Promise<void> {
    for (const queue of this.#queues) await this.#channel?.deleteQueue(queue);
    await this.#model?.close();
  }
}

export class RefusingWebhook implements Refusing {
  readonly kind = "webhook";
  readonly once = false;
  readonly #server: WebhookServer;

  private constructor(server: WebhookServer) {
    this.#server = server;
    server.behave = (request, response) => {
      const { source } = JSON.parse(request.body) as { source: { table: string } };
      (source.table === REFUSED ? answer(410) : accept)(request, response);
    };
  }

  static async create(): Promise<RefusingWebhook> {
    return new RefusingWebhook(await WebhookServer.start());
  }

  sink(): Readonly<Record<string, unknown>> {
    const allowed = { allow_http: true, allow_private: true };
    return { type: "webhook", routes: [{ id: "all", url: this.#server.url }], ...allowed };
  }

  prepare(): Promise<void> {
    return Promise.resolve();
  }

  mend(): Promise<void> {
    this.#server.behave = accept;
    return Promise.resolve();
  }

  read(visit: (taken: Taken) => void): Promise<void> {
    for (const { headers, body } of this.#server.taken.splice(0)) {
      visit({ id: String(headers["webhook-id"]), value: Buffer.from(body) });
    }
    return Promise.resolve();
  }

  close(): Promise<void> {
    return this.#server.stop();
  }
}
