/**
 * The built program, killed again and again, with a pipeline for each compression of ours and one for each
 * that a topic makes of what it is sent. Commit logs are compressed as well: whatever a restart reads back
 * has passed through the codec. Judged by what Kafka's console consumer shows.
 */
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Connection } from "mysql2/promise";
import type { Kafka, Mysql } from "../../../tools/services/services.ts";
import type { Outcome } from "../campaign.ts";
import { rounds, type Options } from "../options.ts";
import { builtBundle, Product } from "../product.ts";
import { progress } from "../progress.ts";
import { Random } from "../random.ts";
import { cdcUser, withConnection } from "../servers.ts";
import { sleep, until } from "../wait.ts";
import { compressions, writable, type CompressionName } from "../wire/cases.ts";
import type { JavaTools } from "../wire/java.ts";
import { connected, placeOf, rawBatches, segmentOf } from "../wire/log.ts";
import type { CheckContext } from "./check.ts";
import { KafkaAdmin } from "./kafka-admin.ts";

const KILLS = 20;
const KILLS_MIN = 4;
const CHANGES_MIN = 1_000;
const IN_FLIGHT_SHARE = 0.8;
const DELIVERY_TIMEOUT_MS = 120_000;
const ROWS_PER_TRANSACTION = 50;
const PAUSE_MS = 40;
const DATABASE = "v_wire";
const COMMIT_LOG_CONFIG = { "cleanup.policy": "compact" };
const CODEC_MASK = 7;
const CONTROL = 32;

interface Path {
  readonly name: string;
  readonly topic: string;
  readonly sink: CompressionName;
  readonly kept: CompressionName | "producer";
  readonly commitLog: string;
}

function makePaths(seed: number): Path[] {
  const path = (sink: CompressionName, kept: Path["kept"]): Path => {
    const name = `wire_${seed}_${sink}_${kept}`;
    return { name, topic: `${name}.rows`, sink, kept, commitLog: `${name}.commit-log` };
  };
  return [
    ...writable.map(sink => path(sink, "producer")),
    ...compressions.slice(1).map(kept => path(kept === "lz4" ? "none" : "lz4", kept)),
  ];
}

export async function wirePipelines(
  { options, servers }: CheckContext,
  java: JavaTools,
): Promise<Outcome> {
  const [mysql, kafka] = [await servers.mysql(), await servers.kafka(1)];
  const paths = makePaths(options.seed);
  await createTopics(kafka, paths);
  const dir = mkdtempSync(join(tmpdir(), "tidemark-verify-wire-"));
  const product = prepare(dir, { mysql, kafka }, paths);
  try {
    return await withConnection(mysql, async connection => {
      await createTable(connection, mysql);
      const writer = new Rows(connection);
      const killed = await killAgainAndAgain(product, { options, kafka, writer, paths });
      const outcome = await judge(kafka, java, { paths, written: writer.written });
      const killsVoid = killed.kills_in_flight < killed.kills * IN_FLIGHT_SHARE;
      return {
        ok: outcome.ok,
        void: killsVoid || writer.written < CHANGES_MIN,
        figures: { ...killed, written: writer.written, ...outcome.figures },
      };
    });
  } catch (error) {
    progress(`wire: the end of the log:\n${product.logTail()}`);
    throw error;
  } finally {
    await product.dispose();
    rmSync(dir, { recursive: true, force: true });
  }
}

async function createTopics(kafka: Kafka, paths: readonly Path[]): Promise<void> {
  await new KafkaAdmin(kafka.brokers).createTopics(
    paths.flatMap(({ topic, commitLog, kept }) => [
      { topic, partitions: 1, config: { "compression.type": kept } },
      {
        topic: commitLog,
        partitions: 1,
        config: { ...COMMIT_LOG_CONFIG, "compression.type": kept },
      },
    ]),
  );
}

function prepare(
  dir: string,
  { mysql, kafka }: { mysql: Mysql; kafka: Kafka },
  paths: readonly Path[],
): Product {
  const { host, port } = mysql;
  const config = join(dir, "tidemark.yaml");
  const content = {
    source: { host, port, ...cdcUser, start: "earliest" },
    pipelines: paths.map(({ name, topic, sink, commitLog }) => ({
      name,
      tables: [`${DATABASE}.*`],
      sink: { type: "kafka", brokers: kafka.brokers, topic, compression: sink },
      commit_log: { type: "kafka", topic: commitLog },
    })),
    log: { level: "info", format: "text" },
  };
  writeFileSync(config, JSON.stringify(content));
  const bundle = join(dir, "tidemark.mjs");
  copyFileSync(builtBundle(undefined), bundle);
  return new Product({ bundle, config, dir });
}

async function createTable(connection: Connection, mysql: Mysql): Promise<void> {
  await connection.query(`DROP DATABASE IF EXISTS ${DATABASE}`);
  const reset = mysql.version === "mysql-8" ? "RESET MASTER" : "RESET BINARY LOGS AND GTIDS";
  await connection.query(reset);
  await connection.query(`CREATE DATABASE ${DATABASE}`);
  await connection.query(`CREATE TABLE ${DATABASE}.rows_ (id BIGINT PRIMARY KEY, note TEXT)`);
}

/** Rows with the ids 1, 2, 3 and so on, until it is told to stop. */
class Rows {
  readonly #connection: Connection;
  #stopped = false;
  written = 0;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  async run(random: Random): Promise<void> {
    while (!this.#stopped) {
      const rows = Array.from({ length: ROWS_PER_TRANSACTION }, (_, i) => [
        this.written + i + 1,
        "as ever ".repeat(random.int(0, 60)) + random.int(0, 1e9).toString(36),
      ]);
      await this.#connection.query(`INSERT INTO ${DATABASE}.rows_ VALUES ?`, [rows]);
      this.written += ROWS_PER_TRANSACTION;
      await sleep(PAUSE_MS);
    }
  }

  stop(): void {
    this.#stopped = true;
  }
}

interface Running {
  readonly options: Options;
  readonly kafka: Kafka;
  readonly writer: Rows;
  readonly paths: readonly Path[];
}

async function killAgainAndAgain(
  product: Product,
  { options, kafka, writer, paths }: Running,
): Promise<{ kills: number; kills_in_flight: number }> {
  const random = new Random(options.seed, "wire pipelines");
  const kills = options.kills ?? rounds(options, KILLS, KILLS_MIN);
  const writing = writer.run(new Random(options.seed, "wire rows"));
  const ends = (): Promise<number[]> =>
    connected(kafka, async connection => [
      ...(await connection.ends(paths.map(({ topic }) => placeOf(topic)))).values(),
    ]);
  const ended = (): Error => new Error(`Tidemark ended by itself (${product.ended?.code ?? "?"}).`);
  let inFlight = 0;
  for (let kill = 0; kill < kills; kill += 1) {
    const before = await ends();
    product.start();
    await until(
      async () => {
        if (product.ended) throw ended();
        return (await ends()).every((end, i) => end > (before[i] ?? 0));
      },
      { what: "every topic receives records", timeoutMs: DELIVERY_TIMEOUT_MS, intervalMs: 100 },
    );
    await sleep(random.int(50, 2_000));
    await product.kill();
    if ((await ends()).some(end => end < writer.written)) inFlight += 1;
  }
  product.start();
  writer.stop();
  await writing;
  let last = "";
  await until(
    async () => {
      if (product.ended) throw ended();
      const now = await ends();
      const isSettled = now.every(end => end >= writer.written) && last === now.join();
      last = now.join();
      return isSettled;
    },
    { what: "all rows arrive", timeoutMs: DELIVERY_TIMEOUT_MS, intervalMs: 3_000 },
  );
  const { code } = await product.terminate();
  if (code !== 0) throw ended();
  return { kills, kills_in_flight: inFlight };
}

async function judge(
  kafka: Kafka,
  java: JavaTools,
  { paths, written }: { paths: readonly Path[]; written: number },
): Promise<Pick<Outcome, "ok" | "figures">> {
  const figures = {
    pipelines: paths.length,
    lost: 0,
    duplicated: 0,
    out_of_order: 0,
    complaints: 0,
  };
  for (const { topic, sink, kept } of paths) {
    const batches = await rawBatches(kafka, topic);
    const data = batches.filter(batch => (batch.readInt16BE(21) & CONTROL) === 0);
    const messages = data.reduce((sum, batch) => sum + batch.readInt32BE(57), 0);
    const shown = shownRows(await java.consume(kafka.brokers, topic, messages));
    figures.lost += written - new Set(shown).size;
    figures.duplicated += shown.length - new Set(shown).size;
    figures.out_of_order += shown.filter((id, i) => id < (shown[i - 1] ?? 0)).length;
    const { valid, complaints } = await java.dump(segmentOf(kafka, topic));
    const codec = compressions.indexOf(kept === "producer" ? sink : kept);
    const others = data.filter(batch => (batch.readInt16BE(21) & CODEC_MASK) !== codec).length;
    figures.complaints += complaints.length + others + (valid === batches.length ? 0 : 1);
    const text = `${messages} messages, ${batches.length} batches, ${others} of another codec`;
    progress(`wire: ${topic}: ${text} ${complaints.slice(0, 3).join("; ")}`);
  }
  const { lost, duplicated, out_of_order, complaints } = figures;
  return { ok: lost + duplicated + out_of_order + complaints === 0, figures };
}

/** The ids of the rows, as the console consumer shows them: time, offset, headers, key, value. */
function shownRows(output: Buffer): number[] {
  const lines = output.toString().split("\n").slice(0, -1);
  return lines.map(line => {
    const [, , , key = ""] = line.split("\t");
    const id = Number(/^\{"id":(\d+)\}$/.exec(key)?.[1]);
    if (!Number.isInteger(id)) throw new Error(`The console consumer shows ${line.slice(0, 300)}`);
    return id;
  });
}
