/**
 * Destinations of each kind that can be made to take nothing for a while, and that say how many different
 * rows have arrived.
 */
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import {
  CreateQueueCommand,
  DeleteQueueCommand,
  GetQueueAttributesCommand,
  PurgeQueueCommand,
  type SQSClient,
} from "@aws-sdk/client-sqs";
import { connect, type ChannelModel } from "amqplib";
import type { Elasticmq, Kafka, Rabbitmq } from "../../tools/services/services.ts";
import { Consumer } from "./consumer.ts";
import { FileLines } from "./file-lines.ts";
import { awsEnvironment, REGION, sqsClient } from "./sqs-client.ts";

export interface Counted {
  readonly kind: "kafka" | "sqs" | "rabbitmq" | "webhook" | "file";
  /** `sink` of the pipeline; what it needs of the environment. */
  sink(): Readonly<Record<string, unknown>>;
  readonly environment?: Readonly<Record<string, string>>;
  prepare(): Promise<void>;
  /** Until `unblock`, it takes nothing. Undefined where nothing can bring that about. */
  readonly block?: () => void;
  readonly unblock?: () => void;
  /** Different rows so far. Not to be asked while it is blocked. */
  count(): Promise<number>;
  /** All that was written has arrived: what is kept of it may go. */
  forget?(): Promise<void>;
  close(): Promise<void>;
}

export class CountedKafka implements Counted {
  readonly kind = "kafka";
  readonly #kafka: Kafka;
  readonly #topic: string;
  readonly #consumer: Consumer;
  readonly #ids = new Set<string>();

  constructor(kafka: Kafka, topic: string) {
    this.#kafka = kafka;
    this.#topic = topic;
    this.#consumer = new Consumer(kafka.brokers, name => name === topic);
  }

  sink(): Readonly<Record<string, unknown>> {
    return { type: "kafka", brokers: this.#kafka.brokers, topic: this.#topic };
  }

  prepare(): Promise<void> {
    return Promise.resolve();
  }

  readonly block = (): void => this.#signal("SIGSTOP");
  readonly unblock = (): void => this.#signal("SIGCONT");

  #signal(signal: NodeJS.Signals): void {
    for (const node of this.#kafka.nodes) node.kill(signal);
  }

  async count(): Promise<number> {
    await this.#consumer.readToEnd(({ headers }) => this.#ids.add(headers["id"] ?? ""));
    return this.#ids.size;
  }

  close(): Promise<void> {
    this.#consumer.close();
    return Promise.resolve();
  }
}

/** A FIFO queue drops what comes again under the same id, so what it holds are different rows. */
export class CountedSqs implements Counted {
  readonly kind = "sqs";
  readonly environment = awsEnvironment;
  readonly #elasticmq: Elasticmq;
  readonly #queue: string;
  readonly #client: SQSClient;
  #forgotten = 0;

  constructor(elasticmq: Elasticmq, name: string) {
    this.#elasticmq = elasticmq;
    this.#queue = `${name}.fifo`;
    this.#client = sqsClient(elasticmq);
  }

  get #url(): string {
    return `${this.#elasticmq.url}/000000000000/${this.#queue}`;
  }

  sink(): Readonly<Record<string, unknown>> {
    const place = { endpoint: this.#elasticmq.url, region: REGION };
    return { type: "sqs", queue: this.#queue, ...place, max_message_bytes: 262_144 };
  }

  async prepare(): Promise<void> {
    const Attributes = { FifoQueue: "true" };
    await this.#client.send(new CreateQueueCommand({ QueueName: this.#queue, Attributes }));
  }

  readonly block = (): void => this.#elasticmq.kill("SIGSTOP");
  readonly unblock = (): void => this.#elasticmq.kill("SIGCONT");

  async count(): Promise<number> {
    return this.#forgotten + (await this.#held());
  }

  async #held(): Promise<number> {
    const { Attributes = {} } = await this.#client.send(
      new GetQueueAttributesCommand({
        QueueUrl: this.#url,
        AttributeNames: ["ApproximateNumberOfMessages"],
      }),
    );
    return Number(Attributes["ApproximateNumberOfMessages"]);
  }

  async forget(): Promise<void> {
    this.#forgotten += await this.#held();
    await this.#client.send(new PurgeQueueCommand({ QueueUrl: this.#url }));
  }

  async close(): Promise<void> {
    await this.#client.send(new DeleteQueueCommand({ QueueUrl: this.#url }));
    this.#client.destroy();
  }
}

export class CountedRabbitmq implements Counted {
  readonly kind = "rabbitmq";
  readonly #rabbitmq: Rabbitmq;
  readonly #queue: string;
  readonly #ids = new Set<string>();
  #model: ChannelModel | undefined;

  constructor(rabbitmq: Rabbitmq, queue: string) {
    this.#rabbitmq = rabbitmq;
    this.#queue = queue;
  }

  sink(): Readonly<Record<string, unknown>> {
    return { type: "rabbitmq", url: this.#rabbitmq.url, routing_key: this.#queue };
  }

  async prepare(): Promise<void> {
    this.#model = await connect(this.#rabbitmq.url);
    this.#model.on("error", () => undefined);
    const channel = await this.#model.createChannel();
    await channel.assertQueue(this.#queue, { durable: true });
    const take = (id: unknown): unknown => this.#ids.add(String(id));
    await channel.consume(this.#queue, message => take(message?.properties.messageId), {
      noAck: true,
    });
  }

  readonly block = (): void => this.#rabbitmq.kill("SIGSTOP");
  readonly unblock = (): void => this.#rabbitmq.kill("SIGCONT");

  count(): Promise<number> {
    return Promise.resolve(this.#ids.size);
  }

  async close(): Promise<void> {
    const channel = await this.#model?.createChannel();
    await channel?.deleteQueue(this.#queue);
    await this.#model?.close();
  }
}

/** Blocked, it reads a request and never answers. */
export class CountedWebhook implements Counted {
  readonly kind = "webhook";
  readonly #server: Server;
  readonly #ids = new Set<string>();
  readonly #held = new Set<ServerResponse>();
  #isBlocked = false;

  constructor() {
    this.#server = createServer((request, response) => {
      request.on("error", () => undefined);
      request.resume();
      request.on("end", () => {
        if (this.#isBlocked) {
          this.#held.add(response);
          return;
        }
        this.#ids.add(String(request.headers["webhook-id"]));
        response.writeHead(204).end();
      });
    });
  }

  sink(): Readonly<Record<string, unknown>> {
    const { port } = this.#server.address() as AddressInfo;
    const allowed = { allow_http: true, allow_private: true };
    const routes = [{ id: "all", url: `http://127.0.0.1:${port}/` }];
    return { type: "webhook", routes, ...allowed, timeout_ms: 5_000 };
  }

  async prepare(): Promise<void> {
    await new Promise<void>(resolve => this.#server.listen(0, "127.0.0.1", resolve));
  }

  readonly block = (): void => {
    this.#isBlocked = true;
  };

  readonly unblock = (): void => {
    this.#isBlocked = false;
    for (const response of this.#held) response.destroy();
    this.#held.clear();
  };

  count(): Promise<number> {
    return Promise.resolve(this.#ids.size);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise(resolve => this.#server.close(resolve));
  }
}

/** Nothing blocks a file; it is there to be slowed down by the others. */
export class CountedFile implements Counted {
  readonly kind = "file";
  readonly #path: string;
  readonly #lines: FileLines;
  #count = 0;

  constructor(path: string) {
    this.#path = path;
    this.#lines = new FileLines(path);
  }

  sink(): Readonly<Record<string, unknown>> {
    return { type: "file", path: this.#path };
  }

  prepare(): Promise<void> {
    return Promise.resolve();
  }

  count(): Promise<number> {
    this.#lines.readToEnd(() => (this.#count += 1));
    return Promise.resolve(this.#count);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
