/**
 * How many messages a second RabbitMQ is given: by Tidemark, out of a binlog that is already there, and by a
 * bare loop of amqplib that publishes the same messages to queues of the same kind, in turns.
 */
import { once } from "node:events";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type Channel, type GetMessage, type Options } from "amqplib";
import type { Mysql, Rabbitmq } from "../../../tools/services/services.ts";
import type { Outcome } from "../campaign.ts";
import { builtBundle, Product } from "../product.ts";
import { progress } from "../progress.ts";
import { cdcUser, withConnection } from "../servers.ts";
import { until } from "../wait.ts";
import type { CheckContext } from "./check.ts";
import { median } from "../../../bench/round.ts";

const DATABASE = "rates_rabbitmq";
const TABLES = ["a", "b", "c", "d"];
const PAYLOAD = "p".repeat(40);
/** Messages of the bare loop that are not confirmed, at most: as many as Tidemark's. */
const OPEN_MAX = 4_096;
const SHARE_MIN = 0.8;
/** Tidemark is a new process each time: both are measured once they are warm. */
const WARM_SHARE = 0.4;
const ROWS_A_STATEMENT = 500;
const TIMEOUT_MS = 180_000;

export async function ratesRabbitmq({ options, servers }: CheckContext): Promise<Outcome> {
  const rabbitmq = await servers.rabbitmq();
  const mysql = await servers.mysql();
  const rows = options.quick ? 24_000 : 80_000;
  const turns = options.quick ? 1 : 3;
  const dir = mkdtempSync(join(tmpdir(), "tidemark-verify-rates-rabbitmq-"));
  const model = await connect(rabbitmq.url);
  model.on("error", () => undefined);
  const channel = await model.createChannel();
  try {
    await writeRows(mysql, rows);
    const ours: number[] = [];
    const bare: number[] = [];
    for (let turn = 0; turn < turns; turn += 1) {
      const queues = TABLES.map(table => `rates.${turn}.${table}`);
      for (const queue of queues) await channel.assertQueue(queue, { durable: true });
      ours.push(await ofTidemark({ mysql, rabbitmq, dir, turn, channel, queues, rows }));
      const messages = await takeAll(channel, queues);
      bare.push(await ofBareLoop({ rabbitmq, channel, queues, messages }));
      for (const queue of queues) await channel.deleteQueue(queue);
      progress(`rates-rabbitmq: ${ours.at(-1)} messages a second, bare ${bare.at(-1)}`);
    }
    const share = median(ours.map((rate, turn) => rate / (bare[turn] ?? Infinity)));
    const figures = {
      rabbitmq_messages: rows,
      rabbitmq_per_second: median(ours),
      rabbitmq_loop_per_second: median(bare),
      rabbitmq_share: Math.round(share * 100) / 100,
    };
    return { ok: share >= SHARE_MIN, void: false, figures };
  } finally {
    await model.close().catch(() => undefined);
    rmSync(dir, { recursive: true, force: true });
    await withConnection(mysql, connection =>
      connection.query(`DROP DATABASE IF EXISTS ${DATABASE}`),
    );
  }
}

async function writeRows(mysql: Mysql, rows: number): Promise<void> {
  await withConnection(mysql, async connection => {
    const reset = mysql.version === "mysql-8" ? "RESET MASTER" : "RESET BINARY LOGS AND GTIDS";
    await connection.query(`DROP DATABASE IF EXISTS ${DATABASE}`);
    await connection.query(reset);
    await connection.query(`CREATE DATABASE ${DATABASE}`);
    for (const table of TABLES) {
      await connection.query(
        `CREATE TABLE ${DATABASE}.${table} (id INT PRIMARY KEY, name VARCHAR(100), at DATETIME)`,
      );
    }
    for (let first = 0; first < rows; first += ROWS_A_STATEMENT) {
      const table = TABLES[(first / ROWS_A_STATEMENT) % TABLES.length] ?? "";
      const values = Array.from(
        { length: ROWS_A_STATEMENT },
        (_, row) => `(${first + row}, '${PAYLOAD}', '2026-11-21 09:10:29')`,
      );
      await connection.query(`INSERT INTO ${DATABASE}.${table} VALUES ${values.join()}`);
    }
  });
}

interface Turn {
  readonly mysql: Mysql;
  readonly rabbitmq: Rabbitmq;
  readonly dir: string;
  readonly turn: number;
  readonly channel: Channel;
  readonly queues: readonly string[];
  readonly rows: number;
}

async function ofTidemark({ turn, dir, channel, queues, rows, ...servers }: Turn): Promise<number> {
  const { mysql, rabbitmq } = servers;
  const folder = join(dir, String(turn));
  mkdirSync(folder);
  const bundle = join(folder, "tidemark.mjs");
  copyFileSync(builtBundle(undefined), bundle);
  const config = join(folder, "tidemark.yaml");
  const { host, port } = mysql;
  writeFileSync(
    config,
    JSON.stringify({
      source: { host, port, ...cdcUser, start: "earliest" },
      pipelines: [
        {
          name: `rates-${turn}`,
          tables: [`${DATABASE}.*`],
          sink: { type: "rabbitmq", url: rabbitmq.url, routing_key: `rates.${turn}.{table}` },
          commit_log: { type: "file", dir: "state" },
        },
      ],
    }),
  );
  const product = new Product({ bundle, config, dir: folder });
  product.start();
  try {
    return await rateOf(channel, queues, rows);
  } finally {
    await product.dispose();
  }
}

/** The same bodies and properties, to the same queues, which are empty again. */
async function ofBareLoop(turn: {
  readonly rabbitmq: Rabbitmq;
  readonly channel: Channel;
  readonly queues: readonly string[];
  readonly messages: readonly GetMessage[];
}): Promise<number> {
  const { rabbitmq, channel, queues, messages } = turn;
  const model = await connect(rabbitmq.url);
  const publisher = await model.createConfirmChannel();
  let open = 0;
  let wake = (): void => undefined;
  const publish = async (): Promise<void> => {
    for (const { fields, properties, content } of messages) {
      const same: Options.Publish = {
        messageId: String(properties.messageId),
        contentType: "application/json",
        headers: properties.headers,
        ...{ persistent: true, mandatory: true },
      };
      open += 1;
      const goesOn = publisher.publish("", fields.routingKey, content, same, () => {
        open -= 1;
        wake();
      });
      if (!goesOn) await once(publisher, "drain");
      while (open >= OPEN_MAX) await new Promise<void>(resolve => (wake = resolve));
    }
  };
  const [rate] = await Promise.all([rateOf(channel, queues, messages.length), publish()]);
  await model.close();
  return rate;
}

/** Messages a second that the queues come to hold. */
async function rateOf(
  channel: Channel,
  queues: readonly string[],
  messages: number,
): Promise<number> {
  const held = async (): Promise<number> => {
    let sum = 0;
    for (const queue of queues) sum += (await channel.checkQueue(queue)).messageCount;
    return sum;
  };
  const reaches = async (share: number): Promise<{ count: number; ms: number }> => {
    let count = 0;
    await until(async () => (count = await held()) >= messages * share, {
      what: "the messages are in their queues",
      timeoutMs: TIMEOUT_MS,
      intervalMs: 20,
    });
    return { count, ms: performance.now() };
  };
  const warm = await reaches(WARM_SHARE);
  const all = await reaches(1);
  return Math.round(((all.count - warm.count) / (all.ms - warm.ms)) * 1_000);
}

/** In the order in which Tidemark published them: that of the tables' turns does not matter here. */
async function takeAll(channel: Channel, queues: readonly string[]): Promise<GetMessage[]> {
  const messages: GetMessage[] = [];
  for (;;) {
    const round: GetMessage[] = [];
    for (const queue of queues) {
      for (let taken = 0; taken < ROWS_A_STATEMENT; taken += 1) {
        const message = await channel.get(queue, { noAck: true });
        if (message === false) break;
        round.push(message);
      }
    }
    if (round.length === 0) return messages;
    messages.push(...round);
  }
}
