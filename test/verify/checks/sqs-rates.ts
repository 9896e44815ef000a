/**
 * How fast Tidemark fills a FIFO queue, beside bare loops of SendMessageBatch that send the same messages.
 *
 *   product: binlog ─▶ Tidemark ─▶ queue       loops: what the product sent ─▶ 16 loops ─▶ another queue
 *
 * Both are measured at the queue, in turn and with a queue of their own, once they are warm: the product is
 * a new process each time.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  CreateQueueCommand,
  DeleteMessageBatchCommand,
  DeleteQueueCommand,
  GetQueueAttributesCommand,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  type SQSClient,
  type SendMessageBatchRequestEntry,
} from "@aws-sdk/client-sqs";
import type { Elasticmq, Mysql } from "../../../tools/services/services.ts";
import type { Outcome } from "../campaign.ts";
import { builtBundle, Product } from "../product.ts";
import { progress } from "../progress.ts";
import { cdcUser, withConnection } from "../servers.ts";
import { sleep } from "../wait.ts";
import { REGION, sqsClient } from "../sqs-client.ts";
import type { CheckContext } from "./check.ts";
import { median } from "../../../bench/round.ts";
import { fillOrders } from "./rates-rows.ts";

const IN_FLIGHT = 16;
/** Fewer end before a new process is warm. */
const MESSAGES = 20_000;
const SHARE_MIN = 0.8;
const WARM_SHARE = 0.4;
const DATABASE = "v_sqs_rates";
const FILL_TIMEOUT_MS = 180_000;
const environment = { AWS_ACCESS_KEY_ID: "x", AWS_SECRET_ACCESS_KEY: "x" };

export async function ratesSqs({ options, servers, mutant }: CheckContext): Promise<Outcome> {
  const mysql = await servers.mysql();
  const elasticmq = await servers.elasticmq();
  const rounds = options.quick ? 3 : 5;
  const bench = new Bench(elasticmq, MESSAGES);
  const dir = mkdtempSync(join(tmpdir(), "tidemark-verify-sqs-rates-"));
  try {
    await fillOrders(mysql, DATABASE, MESSAGES);
    const product: number[] = [];
    const loops: number[] = [];
    let entries: readonly SendMessageBatchRequestEntry[] = [];
    const fillByProduct = async (round: number): Promise<void> => {
      const place = { dir: join(dir, String(round)), name: `rates_${round}.fifo` };
      product.push(await bench.product(place, mysql, mutant));
      if (entries.length === 0) entries = await bench.take(place.name);
      await bench.remove(place.name);
    };
    const fillByLoops = async (round: number): Promise<void> => {
      loops.push(await bench.loops(`loops_${round}.fifo`, entries));
    };
    // The first round is not counted: it warms up the server, which goes on getting faster for a while, to
    // the loss of whoever comes first. So they take turns in that too.
    for (let round = 0; round <= rounds; round += 1) {
      const turns = [fillByProduct, fillByLoops];
      for (const turn of round % 2 === 0 ? turns : turns.reverse()) await turn(round);
      progress(`rates: sqs ${product.at(-1)}/s, bare loops ${loops.at(-1)}/s`);
    }
    product.shift();
    loops.shift();
    const share = median(product) / median(loops);
    const figures = {
      sqs_messages: MESSAGES,
      sqs_per_second: median(product),
      sqs_loops_per_second: median(loops),
      sqs_share: Math.round(share * 100) / 100,
    };
    return { ok: share >= SHARE_MIN, void: false, figures };
  } finally {
    bench.close();
    rmSync(dir, { recursive: true, force: true });
    await withConnection(mysql, connection => connection.query(`DROP DATABASE ${DATABASE}`));
  }
}

class Bench {
  readonly #elasticmq: Elasticmq;
  readonly #client: SQSClient;
  readonly #messages: number;

  constructor(elasticmq: Elasticmq, messages: number) {
    this.#elasticmq = elasticmq;
    this.#messages = messages;
    const requestHandler = { httpAgent: { keepAlive: true, maxSockets: IN_FLIGHT } };
    this.#client = sqsClient(elasticmq, { requestHandler });
  }

  close(): void {
    this.#client.destroy();
  }

  #url(name: string): string {
    return `${this.#elasticmq.url}/000000000000/${name}`;
  }

  async #create(name: string): Promise<void> {
    const Attributes = { FifoQueue: "true" };
    await this.#client.send(new CreateQueueCommand({ QueueName: name, Attributes }));
  }

  async remove(name: string): Promise<void> {
    await this.#client.send(new DeleteQueueCommand({ QueueUrl: this.#url(name) }));
  }

  /** Messages a second. */
  async product(
    { dir, name }: { dir: string; name: string },
    mysql: Mysql,
    mutant: string | undefined,
  ): Promise<number> {
    await this.#create(name);
    mkdirSync(dir);
    const config = join(dir, "tidemark.yaml");
    const { host, port } = mysql;
    const sink = {
      ...{ type: "sqs", queue: name, endpoint: this.#elasticmq.url, region: REGION },
      in_flight: IN_FLIGHT,
    };
    const source = { host, port, user: cdcUser.user, password: cdcUser.password };
    writeFileSync(
      config,
      JSON.stringify({
        source: { ...source, start: "earliest" },
        pipelines: [{ name: "rates", tables: [`${DATABASE}.*`], sink }],
      }),
    );
    const bundle = builtBundle(mutant);
    const product = new Product({ bundle, config, dir, environment });
    product.start();
    try {
      return await this.#rate(name);
    } finally {
      await product.dispose();
    }
  }

  /** The same messages, in batches of ten, by so many loops as the product has requests under way. */
  async loops(name: string, entries: readonly SendMessageBatchRequestEntry[]): Promise<number> {
    await this.#create(name);
    let next = 0;
    const loop = async (): Promise<void> => {
      while (next < entries.length) {
        const Entries = entries.slice(next, next + 10);
        next += 10;
        await this.#client.send(
          new SendMessageBatchCommand({ QueueUrl: this.#url(name), Entries }),
        );
      }
    };
    const rate = this.#rate(name);
    await Promise.all(Array.from({ length: IN_FLIGHT }, loop));
    const found = await rate;
    await this.remove(name);
    return found;
  }

  /** Of the messages behind the first ones. */
  async #rate(name: string): Promise<number> {
    const command = new GetQueueAttributesCommand({
      QueueUrl: this.#url(name),
      AttributeNames: ["ApproximateNumberOfMessages"],
    });
    const deadlineMs = performance.now() + FILL_TIMEOUT_MS;
    let first: { readonly ms: number; readonly count: number } | undefined;
    for (;;) {
      const { Attributes = {} } = await this.#client.send(command);
      const count = Number(Attributes["ApproximateNumberOfMessages"]);
      const ms = performance.now();
      if (count >= this.#messages * WARM_SHARE) first ??= { ms, count };
      if (first && count >= this.#messages) {
        return Math.round(((count - first.count) / (ms - first.ms)) * 1000);
      }
      if (ms > deadlineMs) throw new Error(`Only ${count} messages have arrived in ${name}.`);
      await sleep(50);
    }
  }

  /** Everything in the queue, as entries to send. */
  async take(name: string): Promise<readonly SendMessageBatchRequestEntry[]> {
    const QueueUrl = this.#url(name);
    const entries: SendMessageBatchRequestEntry[] = [];
    for (;;) {
      const { Messages = [] } = await this.#client.send(
        new ReceiveMessageCommand({
          ...{ QueueUrl, MaxNumberOfMessages: 10 },
          MessageAttributeNames: ["All"],
          MessageSystemAttributeNames: ["All"],
        }),
      );
      if (Messages.length === 0) return entries;
      for (const { Body, MessageAttributes, Attributes = {} } of Messages) {
        entries.push({
          Id: String(entries.length % 10),
          MessageBody: Body,
          MessageAttributes,
          MessageGroupId: Attributes.MessageGroupId,
          MessageDeduplicationId: Attributes.MessageDeduplicationId,
        });
      }
      const Entries = Messages.map(({ ReceiptHandle }, n) => ({ Id: String(n), ReceiptHandle }));
      await this.#client.send(new DeleteMessageBatchCommand({ QueueUrl, Entries }));
    }
  }
}
