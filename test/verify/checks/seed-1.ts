/**
 * examples/rabbitmq-monitor.yaml, as whoever used MySQL Monitor would run it: its three messages to the
 * letter, then inserts, updates, deletes, changes of keys and NULLs, while the connection to RabbitMQ is cut
 * and Tidemark is killed and started again; everything in two queues of the exchange, in order; heartbeats
 * when it is quiet.
 */
import { connect, type Channel, type ConsumeMessage } from "amqplib";
import { startProxy, type Proxy } from "../../../tools/services/tcp-proxy.ts";
import type { Figure, Outcome } from "../campaign.ts";
import { rounds } from "../options.ts";
import { progress } from "../progress.ts";
import { Random } from "../random.ts";
import { compare, type Arrived } from "../seeds/compare.ts";
import { withExample, type Example } from "../seeds/example.ts";
import { anyText, byKey, counted, Hand, type Change, type Row, type Table } from "../seeds/hand.ts";
import { sleep, until } from "../wait.ts";
import type { CheckContext } from "./check.ts";

const EXCHANGE = "mysql-monitor";
/** The one that the example makes, and one of a subscriber. */
const QUEUES = ["monitor", "subscriber"] as const;
const CHANGES = 10_000;
const SILENCE_S = 30;
/** A busy machine may be late, and the clocks of two programs are read. */
const LATE_MAX_S = 20;
const PATIENCE_MS = 120_000;
/** Several times as long as between two writes of the commit log. */
const STALLED_MS = 1_000;

const employee: Table = {
  name: "employee",
  columns: ["fname", "lname", "id"],
  value: (_, random) => anyText(random),
};

/** With the moment that README 1 shows, in seconds since 1970. */
const THEN_S = 1_539_710_709;
const shown = [
  `INSERT INTO employee VALUES ('abc', 'def', 2760), ('Ldurlqgfqv', 'x', 1903), ('y', 'z', 5)`,
  `UPDATE employee SET fname = 'Ldurlqgfqvsdf' WHERE id = 1903`,
  `DELETE FROM employee WHERE id = 5`,
];
const shownMessages = [
  { type: "row_insert", keys: { id: 2760 }, values: { fname: "abc", lname: "def", id: 2760 } },
  { type: "row_insert", keys: { id: 1903 }, values: { fname: "Ldurlqgfqv", lname: "x", id: 1903 } },
  { type: "row_insert", keys: { id: 5 }, values: { fname: "y", lname: "z", id: 5 } },
  {
    type: "row_update",
    keys: { id: 1903 },
    before_values: { fname: "Ldurlqgfqv" },
    after_values: { fname: "Ldurlqgfqvsdf" },
  },
  { type: "row_delete", keys: { id: 5 } },
].map(({ type, ...rest }) => ({
  ...{ timestamp: 0, binlog_timestamp: THEN_S, type, table_name: "employee" },
  ...rest,
}));

export async function seed1({ options, servers }: CheckContext): Promise<Outcome> {
  const [mysql, rabbitmq] = [await servers.mysql(), await servers.rabbitmq()];
  const proxy = await startProxy(rabbitmq);
  const model = await connect(rabbitmq.url);
  const channel = await model.createChannel();
  const setup = {
    ...{ name: "rabbitmq-monitor", mysql },
    environment: { RABBITMQ_URL: `amqp://127.0.0.1:${proxy.port}` },
    tables: ["CREATE TABLE employee (fname VARCHAR(50), lname VARCHAR(50), id INT PRIMARY KEY)"],
  };
  try {
    return await withExample(setup, async example => {
      const { connection, product } = example;
      product.start();
      await example.started();
      await exists(rabbitmq.url, asked => asked.checkExchange(EXCHANGE));
      await channel.assertQueue(QUEUES[1], { durable: true });
      await channel.bindQueue(QUEUES[1], EXCHANGE, "");
      const subscriber = await consume(channel, QUEUES[1]);

      progress("seed-1: Tidemark reads, and two queues are bound");
      await connection.query(`SET timestamp = ${THEN_S}`);
      for (const statement of shown) await connection.query(statement);
      await connection.query("SET timestamp = DEFAULT");
      // It is made for the first message.
      await exists(rabbitmq.url, asked => asked.checkQueue(QUEUES[0]));
      const hand = new Hand({
        ...{ connection, tables: [employee], firstId: 10_000 },
        random: new Random(options.seed, "seed-1"),
      });
      const inFlight = await work(example, hand, {
        changes: rounds(options, CHANGES),
        arrived: () => distinct(channel, subscriber),
        proxy,
      });
      const queues = [await consume(channel, QUEUES[0]), subscriber];
      const beats = options.quick ? 1 : 2;
      await heartbeats(queues, expectedOf(hand).length + beats, beats);
      const exit = await product.terminate();
      return verdict(queues, { hand, inFlight, seed: options.seed, exit: exit.code });
    });
  } finally {
    for (const queue of QUEUES) await channel.deleteQueue(queue);
    await channel.deleteExchange(EXCHANGE);
    await model.close();
    await proxy.close();
  }
}

/** Each question on a connection of its own: that for something missing ends it. */
async function exists(url: string, ask: (channel: Channel) => PromiseLike<unknown>): Promise<void> {
  const isThere = async (): Promise<boolean> => {
    const model = await connect(url);
    try {
      const channel = await model.createChannel();
      channel.on("error", () => undefined);
      await ask(channel);
      return true;
    } catch {
      return false;
    } finally {
      await model.close();
    }
  };
  await until(isThere, { what: "the example makes exchange and queue", timeoutMs: PATIENCE_MS });
}

interface Queue {
  readonly name: string;
  readonly messages: readonly Message[];
}

interface Message {
  readonly id: string;
  readonly text: string;
  readonly atMs: number;
}

async function consume(channel: Channel, name: string): Promise<Queue> {
  const messages: Message[] = [];
  const take = (message: ConsumeMessage | null): void => {
    if (message === null) return;
    const { content, properties } = message;
    messages.push({ id: String(properties.messageId), text: content.toString(), atMs: Date.now() });
  };
  await channel.consume(name, take, { noAck: true });
  return { name, messages };
}

/** Messages but for repeats, of all that the queue has. */
async function distinct(channel: Channel, { name, messages }: Queue): Promise<number> {
  while ((await channel.checkQueue(name)).messageCount > 0) await sleep(50);
  // What the queue had handed to the channel by then comes before its next answer.
  await channel.checkQueue(name);
  return new Set(messages.map(({ id }) => id)).size;
}

interface Work {
  readonly changes: number;
  /** Messages but for repeats. */
  readonly arrived: () => Promise<number>;
  readonly proxy: Proxy;
}

/** @returns changes that were committed and not yet in the queue when Tidemark was killed. */
async function work({ product }: Example, hand: Hand, part: Work): Promise<number> {
  const third = Math.ceil(part.changes / 3);
  const arrives = (least: number): Promise<void> =>
    until(async () => (await part.arrived()) > least, {
      what: "messages arrive",
      timeoutMs: PATIENCE_MS,
      intervalMs: 5,
    });
  const first = hand.write(third);
  await arrives(third / 3);
  part.proxy.reset();
  progress("seed-1: the connection to RabbitMQ is cut");
  await first;
  await arrives(third);

  const second = hand.write(third);
  await arrives(third + third / 3);
  // What is confirmed to nobody must not be in the commit log, however long it takes.
  part.proxy.blackhole(true);
  await sleep(STALLED_MS);
  await product.kill();
  part.proxy.reset();
  part.proxy.blackhole(false);
  const arrived = await part.arrived();
  const inFlight = expectedOf(hand).length - arrived;
  progress(`seed-1: killed with ${inFlight} changes on their way`);
  // What is written meanwhile must not be missing.
  await second;
  product.start();
  await hand.write(part.changes - 2 * third);
  return inFlight;
}

/** Until so many messages have come to each queue, and the last of them are heartbeats. */
function heartbeats(queues: readonly Queue[], least: number, beats: number): Promise<void> {
  const isQuiet = ({ messages }: Queue): boolean =>
    messages.length >= least && messages.slice(-beats).every(isHeartbeat);
  return until(() => queues.every(isQuiet), {
    what: `${least} messages, the last of them heartbeats`,
    timeoutMs: PATIENCE_MS + beats * (SILENCE_S + LATE_MAX_S) * 1_000,
    intervalMs: 200,
  });
}

const isHeartbeat = ({ text }: Message): boolean =>
  /^\{"timestamp":\d+,"type":"heartbeat"\}$/.test(text);

interface Facts {
  readonly hand: Hand;
  readonly inFlight: number;
  readonly seed: number;
  readonly exit: number | null;
}

function verdict(queues: readonly Queue[], facts: Facts): Outcome {
  const { hand, inFlight, seed, exit } = facts;
  const changes = hand.changes.flatMap(byKey);
  const expected = new Map(queues.map(({ name }) => [name, expectedOf(hand)]));
  const arrived = queues.flatMap(({ name, messages }) =>
    messages.filter(message => !isHeartbeat(message)).map(message => arrivedOf(name, message)),
  );
  const { firstDifference, ...figures } = compare(expected, arrived);
  if (firstDifference !== undefined) progress(`seed-1: ${firstDifference}`);
  const monitor = queues[1]?.messages ?? [];
  const silences = monitor.flatMap((message, index) => {
    const before = monitor[index - 1];
    if (!isHeartbeat(message) || before === undefined) return [];
    return [secondOf(message) - secondOf(before)];
  });
  const soundTimes = monitor.every(isMadeNow);
  const conditions = [
    figures.lost + figures.wrong + figures.outOfOrder === 0,
    silences.length > 0,
    silences.every(seconds => seconds >= SILENCE_S - 1 && seconds <= SILENCE_S + LATE_MAX_S),
    soundTimes,
    exit === 0,
  ];
  const kinds = monitor.map(({ text }) => (JSON.parse(text) as { type: string }).type);
  const summary: Record<string, Figure> = {
    seed,
    written: `${counted(
      "changes",
      changes.map(({ kind }) => kind),
    )}; ${shownMessages.length} of the README; ${hand.rolledBack} rolled back`,
    arrived: `${counted("messages", kinds)}; the same in ${QUEUES.length} queues`,
    kills_in_flight: inFlight > 0 ? 1 : 0,
    ...{ lost: figures.lost, wrong: figures.wrong, out_of_order: figures.outOfOrder },
    repeated: figures.repeated,
    heartbeat_after_s: silences.join(", "),
    times_sound: soundTimes,
    exit_code: exit,
  };
  return {
    ok: conditions.every(Boolean),
    void: inFlight <= 0 || changes.length < 1_000,
    figures: summary,
  };
}

function secondOf({ text }: Message): number {
  return (JSON.parse(text) as { timestamp: number }).timestamp;
}

/** `timestamp` is when the message was made: in seconds, and not after it arrived. */
function isMadeNow(message: Message): boolean {
  const made = secondOf(message);
  return (
    Number.isInteger(made) && made <= message.atMs / 1000 && made > message.atMs / 1000 - 3_600
  );
}

/** But for the two moments that nobody can know: those of README 1 keep the one in the binlog. */
function arrivedOf(lane: string, { id, text }: Message): Arrived {
  const message = JSON.parse(text) as { timestamp: number; binlog_timestamp: number };
  message.timestamp = 0;
  if (message.binlog_timestamp !== THEN_S) message.binlog_timestamp = 0;
  return { lane, id, text: JSON.stringify(message) };
}

function expectedOf({ changes }: Hand): readonly string[] {
  return [...shownMessages, ...changes.flatMap(byKey).map(messageOf)].map(message =>
    JSON.stringify(message),
  );
}

function messageOf(change: Change): object {
  const head = { timestamp: 0, binlog_timestamp: 0, type: `row_${change.kind}` };
  const row = change.kind === "insert" ? change.after : change.before;
  const rest = { ...head, table_name: change.table, keys: { id: row["id"] } };
  if (change.kind === "delete") return rest;
  if (change.kind === "insert") return { ...rest, values: change.after };
  const { before, after } = change;
  const changed = Object.keys(after).filter(column => after[column] !== before[column]);
  const only = (image: Row): Row =>
    Object.fromEntries(changed.map(column => [column, image[column] ?? null]));
  return { ...rest, before_values: only(before), after_values: only(after) };
}
