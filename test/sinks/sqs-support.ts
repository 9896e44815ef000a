/** What the tests against ElasticMQ share: queues, a plain reader, and a proxy that answers for it. */
import { createServer, request, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { randomUUID } from "node:crypto";
import {
  CreateQueueCommand,
  DeleteMessageBatchCommand,
  ReceiveMessageCommand,
  SQSClient,
  type Message as Received,
} from "@aws-sdk/client-sqs";
import { systemClock } from "../../src/core/clock.ts";
import { silentLogger } from "../../src/core/logger.ts";
import { SqsSink, type SqsSinkOptions } from "../../src/sinks/sqs-sink.ts";

export const REGION = "elasticmq";

/** Any are good for ElasticMQ, but AWS's client insists on some. */
export function useCredentials(): void {
  process.env["AWS_ACCESS_KEY_ID"] = "x";
  process.env["AWS_SECRET_ACCESS_KEY"] = "x";
}

export const uniqueQueue = (suffix = ""): string => `q-${randomUUID().slice(0, 8)}${suffix}`;

export function makeSink(endpoint: string, changes: Partial<SqsSinkOptions> = {}): SqsSink {
  return new SqsSink({
    client: { region: REGION, endpoint, inFlightMax: 4, clock: systemClock },
    pipeline: "shop",
    grouping: "key",
    maxMessageBytes: 262_144,
    backlogBytesMax: 16 * 1024 * 1024,
    clock: systemClock,
    logger: silentLogger,
    ...changes,
  });
}

export class QueueReader {
  readonly #client: SQSClient;
  readonly #endpoint: string;
  readonly received: Received[] = [];

  constructor(endpoint: string) {
    this.#endpoint = endpoint;
    this.#client = new SQSClient({ endpoint, region: REGION, useQueueUrlAsEndpoint: false });
  }

  async create(name: string): Promise<void> {
    const Attributes = name.endsWith(".fifo") ? { FifoQueue: "true" } : {};
    await this.#client.send(new CreateQueueCommand({ QueueName: name, Attributes }));
  }

  /** Takes everything that is there; a FIFO queue gives each group in its order. */
  async read(name: string): Promise<readonly Received[]> {
    const QueueUrl = `${this.#endpoint}/000000000000/${name}`;
    for (;;) {
      const { Messages = [] } = await this.#client.send(
        new ReceiveMessageCommand({
          QueueUrl,
          MaxNumberOfMessages: 10,
          MessageAttributeNames: ["All"],
          MessageSystemAttributeNames: ["All"],
        }),
      );
      if (Messages.length === 0) return this.received;
      this.received.push(...Messages);
      const Entries = Messages.map(({ ReceiptHandle }, index) => ({
        Id: String(index),
        ReceiptHandle,
      }));
      await this.#client.send(new DeleteMessageBatchCommand({ QueueUrl, Entries }));
    }
  }

  close(): void {
    this.#client.destroy();
  }
}

/** What stands in the body of a request for a batch. */
export interface Batch {
  QueueUrl: string;
  Entries: { Id: string; MessageBody: string; MessageDeduplicationId?: string }[];
}

type Answer = { readonly status: number; readonly body: unknown } | undefined;

/** Passes requests on, unless a test answers for the server; can be away altogether. */
export class SqsProxy {
  readonly url: string;
  readonly #server;
  readonly #target: URL;
  isAway = false;
  /** The number of requests that are answered at the moment, and the most there ever were. */
  inFlight = 0;
  inFlightMax = 0;
  batches = 0;
  /** Answers a batch itself, or changes it before it is passed on. */
  onBatch: ((batch: Batch) => Answer) | undefined;
  /** Answers any request. */
  onAny: (() => Answer) | undefined;
  /** Changes the answer to a batch that was passed on. */
  onAnswer: ((answer: { Successful?: unknown[]; Failed?: unknown[] }) => void) | undefined;

  private constructor(server: ReturnType<typeof createServer>, target: string) {
    this.#server = server;
    this.#target = new URL(target);
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on("request", (incoming: IncomingMessage, response: ServerResponse) => {
      void this.#serve(incoming, response);
    });
  }

  static async start(target: string): Promise<SqsProxy> {
    const server = createServer();
    await new Promise<void>(resolve => server.listen(0, "127.0.0.1", resolve));
    return new SqsProxy(server, target);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise(resolve => this.#server.close(resolve));
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    this.inFlight += 1;
    this.inFlightMax = Math.max(this.inFlightMax, this.inFlight);
    response.once("close", () => (this.inFlight -= 1));
    const parts: Buffer[] = [];
    for await (const part of incoming) parts.push(part as Buffer);
    if (this.isAway) {
      incoming.socket.destroy();
      return;
    }
    const own = this.onAny?.();
    if (own !== undefined) {
      reply(response, own.status, own.body);
      return;
    }
    let body = Buffer.concat(parts);
    const isBatch = String(incoming.headers["x-amz-target"]).endsWith("SendMessageBatch");
    if (isBatch) {
      this.batches += 1;
      const batch = JSON.parse(body.toString()) as Batch;
      const answer = this.onBatch?.(batch);
      if (answer !== undefined) {
        reply(response, answer.status, answer.body);
        return;
      }
      body = Buffer.from(JSON.stringify(batch));
    }
    const { status, text } = await this.#forward(incoming, body);
    const answer = JSON.parse(text) as { Successful?: unknown[]; Failed?: unknown[] };
    if (isBatch && status === 200) this.onAnswer?.(answer);
    reply(response, status, answer);
  }

  #forward(
    { headers, method, url }: IncomingMessage,
    body: Buffer,
  ): Promise<{ status: number; text: string }> {
    return new Promise((resolve, reject) => {
      const { hostname, port } = this.#target;
      const forwarded = { ...headers, "content-length": String(body.length) };
      const outgoing = request(
        { hostname, port, method, path: url, headers: forwarded },
        answer => {
          const parts: Buffer[] = [];
          answer.on("data", (part: Buffer) => parts.push(part));
          answer.on("end", () =>
            resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(parts).toString() }),
          );
        },
      );
      outgoing.on("error", reject);
      outgoing.end(body);
    });
  }
}

function reply(response: ServerResponse, status: number, body: unknown): void {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  response.writeHead(status, { "content-type": "application/x-amz-json-1.0" });
  response.end(text);
}

/** An error as SQS gives it. */
export function failure(name: string, status = 400): { status: number; body: unknown } {
  return { status, body: { __type: `com.amazonaws.sqs#${name}`, message: `${name} happened` } };
}
