/**
 * The requests to SQS that Tidemark makes, each with a time limit. The AWS client is loaded when it is first
 * needed: other pipelines do not pay for it.
 */
import type { SQSClient } from "@aws-sdk/client-sqs";
import type { Clock } from "../core/clock.ts";
import { TidemarkError } from "../core/errors.ts";
import { toSqsError } from "./sqs-errors.ts";
import { SqsHttp } from "./sqs-http.ts";

export interface SqsClientOptions {
  /** Undefined: from the queue's URL, the environment or the profile. */
  readonly region: string | undefined;
  /** Undefined: AWS's own. */
  readonly endpoint: string | undefined;
  /** Requests at the same time. */
  readonly inFlightMax: number;
  readonly clock: Clock;
}

export interface SqsEntry {
  readonly body: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** Both for a FIFO queue only. */
  readonly group: string | undefined;
  readonly deduplication: string | undefined;
}

/** Why an entry was not taken. */
export interface SqsRejection {
  readonly code: string;
  readonly message: string;
  readonly senderFault: boolean;
}

export interface QueueAttributes {
  readonly fifo: boolean;
  readonly maximumMessageSize: number;
}

const REQUEST_TIMEOUT_MS = 10_000;
const CONNECT_TIMEOUT_MS = 5_000;

type Sdk = typeof import("@aws-sdk/client-sqs");

export class SqsClient {
  readonly #options: SqsClientOptions;
  #loading: Promise<{ sdk: Sdk; client: SQSClient }> | undefined;
  #client: SQSClient | undefined;

  constructor(options: SqsClientOptions) {
    this.#options = options;
  }

  /** @throws TidemarkError SINK_SETTING if no region is known. */
  async load(): Promise<void> {
    await this.#loaded();
  }

  async queueUrl(name: string, signal: AbortSignal): Promise<string> {
    const { sdk, client } = await this.#loaded();
    const command = new sdk.GetQueueUrlCommand({ QueueName: name });
    const { QueueUrl } = await client.send(command, { abortSignal: signal });
    if (QueueUrl !== undefined) return QueueUrl;
    throw new TidemarkError("SINK_UNAVAILABLE", `SQS gives no URL for queue ${name}.`);
  }

  async attributes(url: string, signal: AbortSignal): Promise<QueueAttributes> {
    const { sdk, client } = await this.#loaded();
    // A standard queue refuses to be asked for FifoQueue by name.
    const command = new sdk.GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: ["All"] });
    const { Attributes = {} } = await client.send(command, { abortSignal: signal });
    return {
      fifo: Attributes["FifoQueue"] === "true",
      maximumMessageSize: Number(Attributes["MaximumMessageSize"] ?? Infinity),
    };
  }

  /** Returns, by their places in the list, the entries that were not taken. Nothing but `close` ends it. */
  async send(
    url: string,
    entries: readonly SqsEntry[],
  ): Promise<ReadonlyMap<number, SqsRejection>> {
    const { sdk, client } = await this.#loaded();
    const command = new sdk.SendMessageBatchCommand({
      QueueUrl: url,
      Entries: entries.map(({ body, attributes, group, deduplication }, index) => ({
        Id: String(index),
        MessageBody: body,
        MessageAttributes: Object.fromEntries(
          Object.entries(attributes).map(([name, value]) => [
            name,
            { DataType: "String", StringValue: value },
          ]),
        ),
        MessageGroupId: group,
        MessageDeduplicationId: deduplication,
      })),
    });
    // With settings of its own, a request has its middleware put together anew.
    const { Successful = [], Failed = [] } = await client.send(command);
    const rejections = new Map<number, SqsRejection>();
    for (const { Id, Code = "", Message = "", SenderFault = false } of Failed) {
      rejections.set(Number(Id), { code: Code, message: Message, senderFault: SenderFault });
    }
    // What the answer does not name is not known to be there.
    const taken = new Set(Successful.map(({ Id }) => Number(Id)));
    for (const index of entries.keys()) {
      if (taken.has(index) || rejections.has(index)) continue;
      rejections.set(index, { code: "InternalError", message: "no answer", senderFault: false });
    }
    return rejections;
  }

  close(): void {
    this.#client?.destroy();
  }

  #loaded(): Promise<{ sdk: Sdk; client: SQSClient }> {
    this.#loading ??= this.#load();
    return this.#loading;
  }

  async #load(): Promise<{ sdk: Sdk; client: SQSClient }> {
    const { region, endpoint, inFlightMax, clock } = this.#options;
    const sdk = await import("@aws-sdk/client-sqs");
    const requestHandler = await SqsHttp.load({
      ...{ connections: inFlightMax, clock },
      ...{ connectTimeoutMs: CONNECT_TIMEOUT_MS, timeoutMs: REQUEST_TIMEOUT_MS },
    });
    const client = new sdk.SQSClient({
      ...(region === undefined ? {} : { region }),
      // With an endpoint of its own, a queue is not asked for at the host in its URL.
      ...(endpoint === undefined ? {} : { endpoint, useQueueUrlAsEndpoint: false }),
      maxAttempts: 1, // Repeats are ours: they must not overtake each other.
      md5: false,
      cacheMiddleware: true,
      requestHandler,
    });
    // It goes through every message for a log that nobody keeps.
    client.middlewareStack.remove("loggerMiddleware");
    this.#client = client;
    try {
      await client.config.region();
    } catch (cause) {
      throw new TidemarkError(
        "SINK_SETTING",
        "It is not known which AWS region the queue is in. Set sink.region, or AWS_REGION.",
        { cause },
      );
    }
    return { sdk, client };
  }
}

/** `https://sqs.eu-west-1.amazonaws.com/…` names its region. */
export function regionOf(url: string): string | undefined {
  return /^https?:\/\/(?:sqs\.)?([a-z]{2}(?:-[a-z]+)+-\d+)\.(?:queue\.)?amazonaws\.com/.exec(
    url,
  )?.[1];
}

/** Reads attributes for `tidemark check`, with errors as ours. */
export async function lookAtQueue(
  client: SqsClient,
  queue: { name: string; url: string | undefined },
  signal: AbortSignal,
): Promise<QueueAttributes> {
  const doing = `Looking at queue ${queue.name}`;
  try {
    const url = queue.url ?? (await client.queueUrl(queue.name, signal));
    return await client.attributes(url, signal);
  } catch (thrown) {
    signal.throwIfAborted();
    throw toSqsError(thrown, doing);
  }
}
