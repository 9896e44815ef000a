/** SQS as a campaign sees it: a queue of ElasticMQ, behind a proxy that can be taken away. */
import {
  CreateQueueCommand,
  DeleteMessageBatchCommand,
  DeleteQueueCommand,
  GetQueueAttributesCommand,
  ReceiveMessageCommand,
  type SQSClient,
  type Message,
} from "@aws-sdk/client-sqs";
import type { Elasticmq } from "../../tools/services/services.ts";
import { startProxy, type Proxy } from "../../tools/services/tcp-proxy.ts";
import type { Arrival, Destination, DestinationNames } from "./destination.ts";
import { awsEnvironment, REGION, sqsClient } from "./sqs-client.ts";

/** Any are good for ElasticMQ. */
const READERS = 4;

export class SqsDestination implements Destination {
  readonly ordered: boolean;
  readonly environment = awsEnvironment;
  readonly #elasticmq: Elasticmq;
  readonly #client: SQSClient;
  readonly #inFlight: number;
  #proxy: Proxy;
  #queue = "";

  private constructor(elasticmq: Elasticmq, proxy: Proxy, { fifo, inFlight = 16 }: SqsOptions) {
    this.#elasticmq = elasticmq;
    this.#proxy = proxy;
    this.#inFlight = inFlight;
    this.ordered = fifo;
    this.#client = sqsClient(elasticmq);
  }

  static async create(elasticmq: Elasticmq, options: SqsOptions): Promise<SqsDestination> {
    return new SqsDestination(elasticmq, await startProxy(elasticmq), options);
  }

  get #url(): string {
    return `${this.#elasticmq.url}/000000000000/${this.#queue}`;
  }

  #name({ pipeline }: DestinationNames): string {
    return `${pipeline}${this.ordered ? ".fifo" : ""}`;
  }

  sink(names: DestinationNames): Readonly<Record<string, unknown>> {
    const { host, port } = this.#proxy;
    return {
      type: "sqs",
      queue: this.#name(names),
      endpoint: `http://${host}:${port}`,
      region: REGION,
      in_flight: this.#inFlight,
    };
  }

  async prepare(names: DestinationNames): Promise<void> {
    this.#queue = this.#name(names);
    const Attributes = this.ordered ? { FifoQueue: "true" } : {};
    await this.#client.send(new CreateQueueCommand({ QueueName: this.#queue, Attributes }));
  }

  /**
   * As many as are there now, which are all where nothing is sent any more. Each group is given in its
   * order: what follows in it is not seen before this is deleted.
   */
  async read(visit: (arrival: Arrival) => void): Promise<void> {
    let left = await this.#count();
    const taken = (arrival: Arrival): void => {
      left -= 1;
      visit(arrival);
    };
    await Promise.all(Array.from({ length: READERS }, () => this.#readSome(taken, () => left > 0)));
  }

  async #count(): Promise<number> {
    const names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"] as const;
    const { Attributes = {} } = await this.#client.send(
      new GetQueueAttributesCommand({ QueueUrl: this.#url, AttributeNames: [...names] }),
    );
    return names.reduce((sum, name) => sum + Number(Attributes[name] ?? 0), 0);
  }

  async #readSome(visit: (arrival: Arrival) => void, isWanted: () => boolean): Promise<void> {
    while (isWanted()) {
      const { Messages = [] } = await this.#client.send(
        new ReceiveMessageCommand({
          QueueUrl: this.#url,
          MaxNumberOfMessages: 10,
          MessageAttributeNames: ["All"],
          MessageSystemAttributeNames: ["All"],
        }),
      );
      if (Messages.length === 0) return;
      for (const message of Messages) visit(this.#arrival(message));
      await this.#client.send(
        new DeleteMessageBatchCommand({
          QueueUrl: this.#url,
          Entries: Messages.map(({ ReceiptHandle }, index) => ({
            Id: String(index),
            ReceiptHandle,
          })),
        }),
      );
    }
  }

  #arrival({ MessageId = "", Body = "", Attributes, MessageAttributes }: Message): Arrival {
    const attribute = (name: string): string | undefined => MessageAttributes?.[name]?.StringValue;
    return {
      lane: this.ordered ? (Attributes?.MessageGroupId ?? "") : MessageId,
      id: attribute("id") ?? "",
      transaction: attribute("transaction"),
      position: attribute("position"),
      value: Buffer.from(Body),
    };
  }

  down(): Promise<void> {
    return this.#proxy.close();
  }

  async up(): Promise<void> {
    this.#proxy = await startProxy(this.#elasticmq, this.#proxy.port);
  }

  freeze(signal: "SIGSTOP" | "SIGCONT"): void {
    this.#elasticmq.kill(signal);
  }

  async close(): Promise<void> {
    await this.#client.send(new DeleteQueueCommand({ QueueUrl: this.#url })).catch(() => null);
    this.#client.destroy();
    await this.#proxy.close().catch(() => undefined);
  }
}

export interface SqsOptions {
  readonly fifo: boolean;
  readonly inFlight?: number;
}
