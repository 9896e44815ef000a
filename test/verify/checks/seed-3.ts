/**
 * examples/ordered-kafka.yaml, as whoever used MySQL Binlog would run it. First what its README explains the
 * waiting queue with: message 3 is not delivered while 4 is, and Tidemark is killed; then 3 arrives, and
 * nothing a second time. Then ten hands write engineers, and it is killed again: everything once, in order,
 * and the commit-log topic ends where MySQL does.
 */
import type { Connection, RowDataPacket } from "mysql2/promise";
import type { Kafka, KafkaNode, Mysql } from "../../../tools/services/services.ts";
import type { Figure, Outcome } from "../campaign.ts";
import { TopicCommitLogReader } from "../commit-log.ts";
import { Consumer } from "../consumer.ts";
import { GtidRanges } from "../gtids.ts";
import { rounds } from "../options.ts";
import { progress } from "../progress.ts";
import { Random } from "../random.ts";
import { compare, push, type Arrived } from "../seeds/compare.ts";
import { DATABASE, withExample, type Example } from "../seeds/example.ts";
import { anyText, byKey, counted, Hand, type Change, type Table } from "../seeds/hand.ts";
import { withConnection } from "../servers.ts";
import { sleep, until } from "../wait.ts";
import type { CheckContext } from "./check.ts";
import { KafkaAdmin, type TopicSpec } from "./kafka-admin.ts";

const CHANGES = 30_000;
const HANDS = 10;
const PATIENCE_MS = 180_000;
const WATCHED_MS = 1_000;

const engineer: Table = {
  name: "engineer",
  columns: ["id", "first_name", "last_name", "gender", "country_id", "created"],
  value: (column, random) => {
    if (column === "gender") return random.int(0, 2);
    if (column === "country_id") return random.pick([1, 2, null]);
    return column === "created" ? random.pick([...MOMENTS, null]) : anyText(random);
  },
};
const MOMENTS = ["2024-02-29 23:59:59", "2026-11-21 09:10:29"];
const tables = [
  "CREATE TABLE country (id BIGINT AUTO_INCREMENT PRIMARY KEY, country_name VARCHAR(255))",
  `CREATE TABLE engineer (
    id BIGINT AUTO_INCREMENT PRIMARY KEY, first_name VARCHAR(255), last_name VARCHAR(255),
    gender SMALLINT NOT NULL, country_id BIGINT, created TIMESTAMP NULL,
    FOREIGN KEY (country_id) REFERENCES country (id))`,
];
const LOG = "commit-log";
/** The broker that is taken away. */
const SECOND = 2;
/** As the example would make them, each on the broker that the check wants it on. */
const topicSpecs: readonly TopicSpec[] = [
  { topic: "engineer", partitions: 1, config: {}, nodes: [1] },
  { topic: "country", partitions: 1, config: {}, nodes: [SECOND] },
  { topic: LOG, partitions: 1, config: { "cleanup.policy": "compact" }, nodes: [1] },
];

export async function seed3(context: CheckContext): Promise<Outcome> {
  const outcome = await onThreeBrokers(context);
  await context.servers.stopThree();
  return outcome;
}

async function onThreeBrokers({ options, servers }: CheckContext): Promise<Outcome> {
  const [mysql, kafka] = [await servers.mysql(), await servers.kafka(3)];
  await new KafkaAdmin(kafka.brokers).createTopics(topicSpecs);
  const environment = { KAFKA_BROKER: kafka.brokers[0] ?? "" };
  const topics = new Topics(kafka);
  try {
    return await withExample(
      { name: "ordered-kafka", mysql, environment, tables },
      async example => {
        const { product, connection } = example;
        product.start();
        await until(async () => (await topics.checkpoint()) !== undefined, {
          what: "the example begins",
          timeoutMs: PATIENCE_MS,
        });
        const written: Change[] = [];
        const second = kafka.nodes[SECOND - 1];
        if (!second) throw new Error("A cluster without a second broker.");
        const gap = await killBehindGap({ example, topics, written, second });
        const { hands, inFlight } = await tenHands(mysql, {
          ...{ example, topics, written: () => messagesOf(written).size },
          changes: rounds(options, CHANGES),
          seed: options.seed,
        });
        for (const hand of hands) written.push(...hand.changes);
        const expected = messagesOf(written).lanes;
        await until(async () => (await topics.read()).length >= messagesOf(written).size, {
          what: "everything arrives",
          timeoutMs: PATIENCE_MS,
          intervalMs: 500,
        });
        const { code } = await product.terminate();
        const [executed, checkpoint] = [await executedOf(connection), await topics.checkpoint()];
        const arrived = await topics.read();
        const { firstDifference, ...figures } = compare(expected, arrived);
        if (firstDifference !== undefined) progress(`seed-3: ${firstDifference}`);
        const conditions = {
          as_written: figures.lost + figures.wrong + figures.outOfOrder + figures.repeated === 0,
          binlog_order: topics.backwards === 0,
          commit_log_at_end: checkpoint?.gtid_set === executed,
          exit: code === 0,
        };
        const kinds = written.map(({ table, kind }) => `${table}.${kind}`);
        const rolledBack = hands.reduce((sum, hand) => sum + hand.rolledBack, 0);
        const line: Record<string, Figure> = {
          seed: options.seed,
          written: `${counted("changes", kinds)}; ${rolledBack} rolled back`,
          arrived: counted(
            "messages",
            arrived.map(({ text }) => kindOf(text)),
          ),
          message_3_missing_at_kill: gap.isMissing,
          committed_before_3: gap.isBefore,
          kills_in_flight: (gap.isMissing ? 1 : 0) + (inFlight > 0 ? 1 : 0),
          ...{ lost: figures.lost, wrong: figures.wrong, out_of_order: figures.outOfOrder },
          ...{ duplicated: figures.repeated, against_binlog_order: topics.backwards },
          ...{ commit_log_at_end: conditions.commit_log_at_end, exit_code: code },
        };
        return {
          ok: Object.values(conditions).every(Boolean) && gap.isBefore,
          void: inFlight <= 0 || !gap.isMissing || written.length < 1_000,
          figures: line,
        };
      },
    );
  } finally {
    topics.close();
  }
}

/** What a plain consumer finds in the topics. */
class Topics {
  /** Messages that stand behind one of a later position of the binlog. */
  backwards = 0;
  readonly #arrived: Arrived[] = [];
  readonly #consumers: ReadonlyMap<string, Consumer>;
  readonly #log: TopicCommitLogReader;
  readonly #last = new Map<string, readonly [file: string, offset: number]>();

  constructor({ brokers }: Kafka) {
    const names = topicSpecs.map(({ topic }) => topic);
    this.#consumers = new Map(
      names.map(name => [name, new Consumer(brokers, topic => topic === name)]),
    );
    this.#log = new TopicCommitLogReader(this.#consumer(LOG), "ordered-kafka");
  }

  checkpoint(): ReturnType<TopicCommitLogReader["read"]> {
    return this.#log.read();
  }

  /** What has arrived in both, or what is seen of it without asking for other topics than `names`. */
  async read(names: readonly string[] = ["engineer", "country"]): Promise<readonly Arrived[]> {
    for (const name of names) {
      await this.#consumer(name).readToEnd(({ key, value, headers }) => {
        const { id = "", position = "" } = headers;
        const text = value?.toString() ?? "";
        this.#arrived.push({ lane: `${name} ${key?.toString() ?? ""}`, id, text });
        const [file = "", offset = ""] = position.split(":");
        const last = this.#last.get(name);
        if (last?.[0] === file && last[1] > Number(offset)) this.backwards += 1;
        this.#last.set(name, [file, Number(offset)]);
      });
    }
    return this.#arrived;
  }

  async has(topic: string, text: string): Promise<boolean> {
    return (await this.read([topic])).some(arrived => arrived.text === text);
  }

  close(): void {
    for (const consumer of this.#consumers.values()) consumer.close();
  }

  #consumer(topic: string): Consumer {
    const consumer = this.#consumers.get(topic);
    if (!consumer) throw new Error(`No topic ${topic}.`);
    return consumer;
  }
}

interface GapSetup {
  readonly example: Example;
  readonly topics: Topics;
  readonly written: Change[];
  readonly second: KafkaNode;
}

interface Gap {
  /** 4 was there and 3 was not. */
  readonly isMissing: boolean;
  /** The commit log stood before 3. */
  readonly isBefore: boolean;
}

/** A country is 3, an engineer is 4; the only broker that holds the topic of countries has ended. */
async function killBehindGap({ example, topics, written, second }: GapSetup): Promise<Gap> {
  const { connection, product } = example;
  const pair = async (id: number): Promise<readonly [three: string, four: string]> => {
    const country: Change = {
      table: "country",
      kind: "insert",
      after: { id, country_name: `c${id}` },
    };
    const after = {
      ...{ id, first_name: "f", last_name: "l", gender: 0, country_id: null, created: null },
    };
    await connection.query("INSERT INTO country SET ?", [country.after]);
    await connection.query("INSERT INTO engineer SET ?", [after]);
    written.push(country, { table: "engineer", kind: "insert", after });
    return [textOf(country), textOf({ table: "engineer", kind: "insert", after })];
  };
  const [one, two] = await pair(1);
  const arrive = (messages: readonly (readonly [topic: string, text: string])[]): Promise<void> => {
    const areThere = async (): Promise<boolean> => {
      for (const [topic, text] of messages) if (!(await topics.has(topic, text))) return false;
      return true;
    };
    const what = `they arrive: ${messages.map(([, text]) => text).join(", ")}`;
    return until(areThere, { what, timeoutMs: PATIENCE_MS });
  };
  await arrive([
    ["country", one],
    ["engineer", two],
  ]);
  const before = await executedOf(connection);
  second.kill("SIGKILL");
  const [three, four] = await pair(2);
  await arrive([["engineer", four]]);
  const released = async (transactions: number): Promise<boolean> =>
    new GtidRanges((await topics.checkpoint())?.gtid_set ?? "").has(lastOf(before, transactions));
  await until(() => released(0), {
    what: "1 and 2 are in the commit log",
    timeoutMs: PATIENCE_MS,
  });
  // It would move on within this time if it did not wait for 3.
  await sleep(WATCHED_MS);
  await product.kill();
  const isBefore = !(await released(1));
  await second.start();
  const isMissing = !(await topics.has("country", three));
  progress(`seed-3: killed; 3 is missing: ${isMissing}; the commit log is before it: ${isBefore}`);
  product.start();
  await until(async () => (await topics.read()).length >= written.length, {
    what: "3 arrives",
    timeoutMs: PATIENCE_MS,
  });
  return { isMissing, isBefore };
}

interface TenHands {
  readonly example: Example;
  readonly topics: Topics;
  /** Messages that had to arrive before. */
  readonly written: () => number;
  readonly changes: number;
  readonly seed: number;
}

/** Each on a connection and with rows of its own; killed under way, and half is written meanwhile. */
async function tenHands(
  mysql: Mysql,
  { example, topics, written, changes, seed }: TenHands,
): Promise<{ readonly hands: readonly Hand[]; readonly inFlight: number }> {
  const { product } = example;
  const hands: Hand[] = [];
  const each = Math.ceil(changes / HANDS);
  const work = Array.from({ length: HANDS }, (_, number) =>
    withConnection(mysql, async connection => {
      await connection.query(`USE ${DATABASE}`);
      await connection.query("SET time_zone = '+00:00'");
      const random = new Random(seed, `seed-3 hand ${number}`);
      const firstId = (number + 1) * 1_000_000;
      const hand = new Hand({ connection, tables: [engineer], random, firstId });
      hands.push(hand);
      await hand.write(each);
    }),
  );
  const all = Promise.all(work);
  await until(async () => (await topics.read()).length > written() + changes / 3, {
    what: "messages arrive",
    timeoutMs: PATIENCE_MS,
    intervalMs: 5,
  });
  await product.kill();
  const committed = hands.flatMap(hand => hand.changes);
  const inFlight = written() + messagesOf(committed).size - (await topics.read()).length;
  progress(`seed-3: killed with ${inFlight} messages on their way`);
  await all;
  product.start();
  return { hands, inFlight };
}

/** The last transaction of a set that has one server's alone, or one that many behind it. */
function lastOf(gtids: string, behind: number): string {
  const [, server, number] = /^([^:,]+):(?:\d+-)?(\d+)$/.exec(gtids) ?? [];
  if (server === undefined) throw new Error(`Not the transactions of one server: ${gtids}`);
  return `${server}:${Number(number) + behind}`;
}

async function executedOf(connection: Connection): Promise<string> {
  const [rows] = await connection.query<RowDataPacket[]>("SELECT @@gtid_executed AS gtids");
  return String(rows[0]?.["gtids"]).replaceAll(/\s/g, "");
}

/** By topic and key. */
function messagesOf(changes: readonly Change[]): {
  readonly lanes: ReadonlyMap<string, readonly string[]>;
  readonly size: number;
} {
  const lanes = new Map<string, string[]>();
  let size = 0;
  for (const change of changes.flatMap(byKey)) {
    const row = change.kind === "insert" ? change.after : change.before;
    push(lanes, `${change.table} ${JSON.stringify({ id: row["id"] })}`, textOf(change));
    size += 1;
  }
  return { lanes, size };
}

function textOf(change: Change): string {
  const { kind, table } = change;
  const after = kind === "delete" ? {} : change.after;
  return JSON.stringify({
    ...{ kind, schema: DATABASE, table },
    ...{ columnnames: Object.keys(after), columnvalues: Object.values(after) },
    oldkeys:
      kind === "insert"
        ? {}
        : { keynames: Object.keys(change.before), keyvalues: Object.values(change.before) },
  });
}

function kindOf(text: string): string {
  const { table, kind } = JSON.parse(text) as { table: string; kind: string };
  return `${table}.${kind}`;
}
