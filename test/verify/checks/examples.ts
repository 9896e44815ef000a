/**
 * The files of examples/ that no seed's check runs, as they stand: each writes the same hundred rows to
 * wherever it delivers, and `many.yaml` to six kinds of destinations at once.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  CreateQueueCommand,
  DeleteMessageCommand,
  DeleteQueueCommand,
  ReceiveMessageCommand,
} from "@aws-sdk/client-sqs";
import { connect } from "amqplib";
import { freePort } from "../../../tools/services/ports.ts";
import type { Elasticmq, Kafka, Rabbitmq } from "../../../tools/services/services.ts";
import { WebhookServer } from "../../support/webhook-server.ts";
import type { Figure, Outcome } from "../campaign.ts";
import { Consumer } from "../consumer.ts";
import { progress } from "../progress.ts";
import { withExample, type Example } from "../seeds/example.ts";
import { awsEnvironment, REGION, sqsClient } from "../sqs-client.ts";
import { until } from "../wait.ts";
import type { CheckContext } from "./check.ts";

const ROWS = 100;
const PATIENCE_MS = 120_000;
const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const TABLE = "CREATE TABLE orders (id INT PRIMARY KEY, item VARCHAR(50))";

/** Reads what is new at a destination, as text. */
interface Reader {
  readonly destination: string;
  read(): Promise<string>;
  close?(): Promise<void>;
}

interface Servers {
  readonly kafka: Kafka;
  readonly elasticmq: Elasticmq;
  readonly rabbitmq: Rabbitmq;
}

export async function examples(context: CheckContext): Promise<Outcome> {
  const servers: Servers = {
    kafka: await context.servers.kafka(1),
    elasticmq: await context.servers.elasticmq(),
    rabbitmq: await context.servers.rabbitmq(),
  };
  const webhook = await WebhookServer.start();
  const arrived: Record<string, Figure> = {};
  try {
    const environment = await environmentOf(servers, webhook);
    const mysql = await context.servers.mysql();
    for (const name of ["file", "kafka", "stdout", "many"]) {
      await withExample({ name, mysql, environment, tables: [TABLE] }, async example => {
        const readers = await readersOf(name, { ...servers, webhook, example });
        const counts = await deliver(name, example, readers);
        for (const [destination, count] of counts) arrived[`${name}_${destination}`] = count;
      });
    }
  } finally {
    await webhook.stop();
  }
  const ok = Object.values(arrived).every(count => count === ROWS);
  return { ok, void: false, figures: { seed: context.options.seed, written: ROWS, ...arrived } };
}

async function environmentOf(
  { kafka, elasticmq, rabbitmq }: Servers,
  webhook: WebhookServer,
): Promise<Record<string, string>> {
  return {
    KAFKA_BROKER: kafka.brokers[0] ?? "",
    RABBITMQ_URL: rabbitmq.url,
    SQS_QUEUE: queueUrl(elasticmq),
    ...{ AWS_REGION: REGION, ...awsEnvironment },
    ...{ WEBHOOK: webhook.url, WEBHOOK_LOCAL: "true", WEBHOOK_SECRET: SECRET },
    HTTP_PORT: String(await freePort()),
  };
}

/** @returns how many rows have reached each destination. */
async function deliver(
  name: string,
  { product, connection }: Example,
  readers: readonly Reader[],
): Promise<ReadonlyMap<string, number>> {
  const seen = new Map(readers.map(({ destination }) => [destination, new Set<string>()]));
  const read = async (): Promise<void> => {
    for (const reader of readers) {
      const found = (await reader.read()).matchAll(new RegExp(`${name}-\\d+-item`, "g"));
      for (const [item] of found) seen.get(reader.destination)?.add(item);
    }
  };
  try {
    product.start();
    // The first row again and again, until each destination has it: then every pipeline reads.
    let spare = 0;
    const isReached = async (): Promise<boolean> => {
      spare -= 1;
      await connection.query("INSERT INTO orders VALUES (?, ?)", [spare, `${name}-0-item`]);
      await read();
      return product.ended !== undefined || [...seen.values()].every(({ size }) => size > 0);
    };
    await until(isReached, {
      what: `${name}.yaml reaches every destination`,
      timeoutMs: PATIENCE_MS,
      intervalMs: 250,
    });
    for (let id = 1; id < ROWS; id += 1) {
      await connection.query("INSERT INTO orders VALUES (?, ?)", [id, `${name}-${id}-item`]);
    }
    const areThere = async (): Promise<boolean> => {
      await read();
      return product.ended !== undefined || [...seen.values()].every(({ size }) => size === ROWS);
    };
    await until(areThere, { what: `all rows of ${name}.yaml`, timeoutMs: PATIENCE_MS });
    const { code } = await product.terminate();
    if (code !== 0) throw new Error(`${name}.yaml ended with ${code}.`);
  } finally {
    for (const reader of readers) await reader.close?.();
  }
  const counts = Array.from(seen, ([destination, { size }]) => [destination, size] as const);
  progress(`examples: ${name}.yaml: ${counts.map(([to, size]) => `${to} ${size}`).join(", ")}`);
  return new Map(counts);
}

interface Place extends Servers {
  readonly webhook: WebhookServer;
  readonly example: Example;
}

async function readersOf(name: string, place: Place): Promise<readonly Reader[]> {
  const { example } = place;
  const file = (destination: string, path: string): Reader => ({
    destination,
    read: () => Promise.resolve(existsSync(path) ? readFileSync(path, "utf8") : ""),
  });
  switch (name) {
    case "file":
      return [file("file", join(example.dir, "changes.jsonl"))];
    case "stdout":
      return [file("stdout", example.product.logFile)];
    case "kafka":
      return [kafkaReader(place.kafka, "shop.orders")];
    default:
      return [
        kafkaReader(place.kafka, "many.shop.orders"),
        await sqsReader(place.elasticmq),
        await rabbitmqReader(place.rabbitmq),
        { destination: "webhook", read: () => Promise.resolve(place.webhook.bodies.join("\n")) },
        file("file", join(example.dir, "many.jsonl")),
        file("stdout", example.product.logFile),
      ];
  }
}

function kafkaReader({ brokers }: Kafka, name: string): Reader {
  const consumer = new Consumer(brokers, topic => topic === name);
  return {
    destination: "kafka",
    read: async () => {
      const texts: string[] = [];
      await consumer.readToEnd(({ value }) => texts.push(value?.toString() ?? ""));
      return texts.join("\n");
    },
    close: () => {
      consumer.close();
      return Promise.resolve();
    },
  };
}

function queueUrl({ url }: Elasticmq): string {
  return `${url}/000000000000/changes.fifo`;
}

async function sqsReader(elasticmq: Elasticmq): Promise<Reader> {
  const client = sqsClient(elasticmq);
  const QueueUrl = queueUrl(elasticmq);
  const Attributes = { FifoQueue: "true" };
  await client.send(new CreateQueueCommand({ QueueName: "changes.fifo", Attributes }));
  return {
    destination: "sqs",
    read: async () => {
      const texts: string[] = [];
      const ask = new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10 });
      const { Messages = [] } = await client.send(ask);
      for (const { Body = "", ReceiptHandle } of Messages) {
        texts.push(Body);
        await client.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle }));
      }
      return texts.join("\n");
    },
    close: async () => {
      await client.send(new DeleteQueueCommand({ QueueUrl }));
      client.destroy();
    },
  };
}

/** A queue of its own beside the one that the example makes. */
async function rabbitmqReader({ url }: Rabbitmq): Promise<Reader> {
  const model = await connect(url);
  const channel = await model.createChannel();
  await channel.assertExchange("changes", "topic", { durable: true });
  const { queue } = await channel.assertQueue("", { exclusive: true });
  await channel.bindQueue(queue, "changes", "#");
  const texts: string[] = [];
  await channel.consume(queue, message => texts.push(message?.content.toString() ?? ""));
  return {
    destination: "rabbitmq",
    read: () => Promise.resolve(texts.splice(0).join("\n")),
    close: async () => {
      await channel.deleteQueue("shop.orders");
      await channel.deleteExchange("changes");
      await model.close();
    },
  };
}
