/**
 * Debezium Server and the program under test, which read the same binlog and write to the same Kafka.
 *
 *   MySQL ─┬─▶ Debezium Server ──▶ debezium.parity.…  ─┐
 *          └─▶ Tidemark         ──▶ tidemark.parity.… ─┴─▶ plain consumer ──▶ records by table
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  debeziumProducer,
  debeziumProperties,
  debeziumSource,
} from "../../../tools/services/debezium-properties.ts";
import {
  startDebezium,
  startKafka,
  type Debezium,
  type Kafka,
} from "../../../tools/services/services.ts";
import { Consumer } from "../consumer.ts";
import type { RawRecord } from "../kafka-wire.ts";
import { DATABASE, ParitySource } from "../parity.ts";
import { until } from "../wait.ts";

/** Debezium's topic prefix and Tidemark's pipeline: both are what `source.name` says. */
const NAME = "debezium";
/** Room for a message with two images of the longest text. */
const MESSAGE_MAX = 16_000_000;
const COMPLAINT_CHARS = 2_000;
const ARRIVAL_TIMEOUT_MS = 180_000;

/** The records of each table, in the order in which they stand in its topic. */
type ByTable = ReadonlyMap<string, readonly RawRecord[]>;

export interface BothSides {
  readonly debezium: ByTable;
  readonly tidemark: ByTable;
}

export class Sides {
  readonly source: ParitySource;
  readonly #kafka: Kafka;
  readonly #debezium: Debezium;

  private constructor(source: ParitySource, kafka: Kafka, debezium: Debezium) {
    this.source = source;
    this.#kafka = kafka;
    this.#debezium = debezium;
  }

  static async start(version: "mysql-8" | "mysql-9"): Promise<Sides> {
    const [source, kafka] = await Promise.all([
      ParitySource.start(version),
      // Debezium leaves it to the broker to make its topics.
      startKafka({
        properties: {
          "auto.create.topics.enable": "true",
          "message.max.bytes": String(MESSAGE_MAX),
        },
      }),
    ]);
    const properties = {
      ...debeziumProperties({ mysql: source.mysql, database: DATABASE, kafka, name: NAME }),
      [`${debeziumProducer}.max.request.size`]: String(MESSAGE_MAX),
      // By default it leaves out TRUNCATE.
      [`${debeziumSource}.skipped.operations`]: "none",
    };
    return new Sides(source, kafka, await startDebezium({ properties }));
  }

  /** All that both wrote of what stands in the binlog now. */
  async records(): Promise<BothSides> {
    const dir = mkdtempSync(join(tmpdir(), "tidemark-debezium-"));
    const product = this.source.product(dir, {
      name: NAME,
      format: "debezium",
      sink: { type: "kafka", brokers: this.#kafka.brokers, topic: "tidemark.{database}.{table}" },
    });
    const debezium = new Map<string, RawRecord[]>();
    const tidemark = new Map<string, RawRecord[]>();
    const consumer = new Consumer(this.#kafka.brokers, topic =>
      /^(debezium|tidemark)\.parity\./.test(topic),
    );
    try {
      product.start();
      // The second one is written when the first has been seen: then nothing is on its way any more.
      for (let marks = 1; marks <= 2; marks += 1) {
        await this.#mark();
        await until(
          async () => {
            if (product.ended) throw new Error(`Tidemark ended:\n${product.logTail(8)}`);
            if (!this.#debezium.isRunning) throw new Error(`Debezium ended:\n${this.#complaint()}`);
            await consumer.readToEnd((record, { topic }) => {
              const side = topic.startsWith("debezium") ? debezium : tidemark;
              const records = side.get(topic);
              if (records) records.push(record);
              else side.set(topic, [record]);
            });
            return Object.entries({ debezium, tidemark }).every(
              ([name, side]) => side.get(`${name}.${DATABASE}.the_end`)?.length === marks,
            );
          },
          { what: "both write everything", timeoutMs: ARRIVAL_TIMEOUT_MS, intervalMs: 200 },
        );
      }
      await product.terminate();
    } finally {
      consumer.close();
      await product.dispose();
      rmSync(dir, { recursive: true, force: true });
    }
    return { debezium: byTable(debezium), tidemark: byTable(tidemark) };
  }

  async stop(): Promise<void> {
    await this.#debezium.stop();
    await Promise.all([this.source.stop(), this.#kafka.stop()]);
  }

  /** What Debezium says about its end. */
  #complaint(): string {
    const log = readFileSync(join(this.#debezium.dir, "log"), "utf8");
    const from = log.search(/ ERROR /);
    return log.slice(from, from + COMPLAINT_CHARS);
  }

  async #mark(): Promise<void> {
    const connection = await this.source.connect();
    await connection.query(
      `CREATE TABLE IF NOT EXISTS the_end (id INT PRIMARY KEY AUTO_INCREMENT);
       INSERT INTO the_end VALUES ()`,
    );
  }
}

/** Topics are named after tables, but each side has a rule of its own for letters that Kafka refuses. */
function byTable(byTopic: ByTable): ByTable {
  return new Map(
    Array.from(byTopic, ([topic, records]) => {
      const value = records.find(record => record.value !== null)?.value;
      const { source } = JSON.parse(value?.toString() ?? "{}") as { source?: { table?: string } };
      return [source?.table ?? topic, records];
    }),
  );
}
