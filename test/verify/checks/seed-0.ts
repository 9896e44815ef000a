/**
 * examples/schema-activity.yaml, as whoever used Schema Activity Monitor would run it, and then the command
 * `tidemark activity --queue-url`: changes in several schemas, MySQL's own among them, while Tidemark is
 * killed or stopped again and again and changes go on; SQS away until the queue is full. Each schema and
 * second with a change has its message, and one alone.
 */
import { readFileSync } from "node:fs";
import type { Connection } from "mysql2/promise";
import type { Mysql } from "../../../tools/services/services.ts";
import { combined, type Figure, type Outcome } from "../campaign.ts";
import type { Arrival } from "../destination.ts";
import { rounds } from "../options.ts";
import { progress } from "../progress.ts";
import { Random } from "../random.ts";
import { ActivityHand, type Commit, type Rhythm } from "../seeds/activity-hand.ts";
import { withExample, type Example } from "../seeds/example.ts";
import { cdcUser } from "../servers.ts";
import { SqsDestination } from "../sqs-destination.ts";
import { until } from "../wait.ts";
import type { CheckContext } from "./check.ts";

const NAME = "schema-activity";
const CYCLES = 12;
const COMMITS_MIN = 1_000;
const COMMITS_QUICK_MIN = 200;
/** Of the command: so few that they are all taken while SQS is away. */
const QUEUE_SIZE = 150;
const PATIENCE_MS = 60_000;
const SLOW_S = 3;

/** How often each changes. */
const busy: Rhythm = new Map([
  ["v_seed0_shop", 0.9],
  ["v_seed0_hr", 0.05],
  ["v_seed0_Zoë", 0.02],
]);
/** Changes only while Tidemark does not run. */
const NIGHT = "v_seed0_night";
const SLOW = "v_seed0_slow";
const QUIET = "v_seed0_quiet";
const schemas = [...busy.keys(), NIGHT, SLOW, QUIET];

export async function seed0(context: CheckContext): Promise<Outcome> {
  const file = await run(context, { what: "file" });
  progress(`seed-0: the file: ${JSON.stringify(file.figures)}`);
  const command = await run(context, { what: "command", queueSize: QUEUE_SIZE });
  progress(`seed-0: the command: ${JSON.stringify(command.figures)}`);
  return combined([file, command]);
}

interface Part {
  readonly what: "file" | "command";
  /** Where it is to get full. */
  readonly queueSize?: number;
}

async function run({ options, servers }: CheckContext, part: Part): Promise<Outcome> {
  const [mysql, elasticmq] = [await servers.mysql(), await servers.elasticmq()];
  const destination = await SqsDestination.create(elasticmq, { fifo: true });
  const names = { pipeline: `v_seed0_${part.what}`, database: "" };
  await destination.prepare(names);
  const { endpoint, queue, region } = destination.sink(names) as Record<string, string>;
  const url = `${endpoint}/000000000000/${queue}`;
  const setup = {
    ...{ name: NAME, mysql, tables: [] },
    environment: {
      ...destination.environment,
      ...{ AWS_REGION: region ?? "", ACTIVITY_QUEUE: url },
      TIDEMARK_MYSQL_PASSWORD: cdcUser.password,
    },
    ...(part.queueSize === undefined ? {} : { command: commandOf(mysql, url, part.queueSize) }),
  };
  const arrivals: Arrival[] = [];
  const arrive = (): Promise<void> => destination.read(arrival => arrivals.push(arrival));
  try {
    return await withExample(setup, async example => {
      const { connection, product } = example;
      const hand = new ActivityHand(connection, new Random(options.seed, `seed-0/${part.what}`));
      try {
        await ActivityHand.prepare(connection, schemas);
        product.start();
        await example.started();
        const cycles = rounds(options, CYCLES);
        const kills = await work(example, hand, { cycles, arrive });
        const everything = (): Promise<void> =>
          until(
            async () => {
              await arrive();
              return missing(hand.commits, arrivals).length === 0;
            },
            { what: "every message arrives", timeoutMs: PATIENCE_MS, intervalMs: 200 },
          ).catch(() => undefined); // What is missing is told by the figures.
        await everything();
        if (part.queueSize !== undefined) await fill(example, hand, destination);
        await everything();
        const exit = await product.terminate();
        await arrive();
        const commitsMin = options.quick ? COMMITS_QUICK_MIN : COMMITS_MIN;
        const log = readFileSync(product.logFile, "utf8");
        const facts = { hand, arrivals, log, part, seed: options.seed };
        return verdict(facts, { exit: exit.code, kills, commitsMin });
      } finally {
        for (const schema of schemas) {
          await connection.query("DROP DATABASE IF EXISTS ??", [schema]);
        }
        await connection.query("DELETE FROM sys.sys_config WHERE variable = 'v_seed0'");
      }
    });
  } finally {
    await destination.close();
  }
}

function commandOf({ host, port }: Mysql, url: string, queueSize: number): string[] {
  return [
    ...["activity", "--host", host, "--port", String(port), "--user", cdcUser.user],
    ...["--queue-url", url, "--workers", "10", "--queue-size", String(queueSize)],
    ...["--name", NAME, "--report", "1"],
  ];
}

/** @returns how often it was killed. */
async function work(
  { product, connection }: Example,
  hand: ActivityHand,
  { cycles, arrive }: { cycles: number; arrive: () => Promise<void> },
): Promise<number> {
  let kills = 0;
  for (let cycle = 0; cycle < cycles; cycle += 1) {
    await systemChange(connection, cycle);
    await hand.work(busy, 2_500);
    if (cycle === 0) await hand.changeSlowly(SLOW, SLOW_S);
    const writing = hand.work(busy, 1_500);
    if (cycle % 2 === 0) {
      await product.kill();
      kills += 1;
    } else {
      await product.terminate();
    }
    await writing;
    await hand.change(NIGHT);
    await hand.work(busy, 1_000);
    product.start();
    await arrive();
  }
  return kills;
}

/** MySQL's own schemas are written too, and never told of. */
async function systemChange(connection: Connection, value: number): Promise<void> {
  await connection.query(
    "INSERT INTO sys.sys_config (variable, value) VALUES ('v_seed0', ?) ON DUPLICATE KEY UPDATE value = ?",
    [value, value],
  );
}

async function fill(
  { product }: Example,
  hand: ActivityHand,
  destination: SqsDestination,
): Promise<void> {
  await destination.down();
  const isFull = (): boolean => starts(readFileSync(product.logFile, "utf8")) > 0;
  await until(
    async () => {
      await hand.work(busy, 200);
      return isFull();
    },
    { what: "the queue is full", timeoutMs: PATIENCE_MS },
  );
  await hand.work(busy, 2_000);
  await destination.up();
  await hand.work(busy, 500);
}

const starts = (log: string): number => log.split("applying backpressure").length - 1;
const ends = (log: string): number => log.split("backpressure is over").length - 1;

interface Facts {
  readonly hand: ActivityHand;
  readonly arrivals: readonly Arrival[];
  readonly log: string;
  readonly part: Part;
  readonly seed: number;
}

function verdict(
  { hand, arrivals, log, part, seed }: Facts,
  { exit, kills, commitsMin }: { exit: number | null; kills: number; commitsMin: number },
): Outcome {
  const { commits } = hand;
  const told = arrivals.flatMap(arrival => pairOf(arrival) ?? []);
  const possible = new Set(commits.flatMap(secondsOf));
  const lost = missing(commits, arrivals);
  const phantom = told.filter(pair => !possible.has(pair));
  const repeated = told.length - new Set(told).size;
  for (const pair of [...lost.slice(0, 3), ...phantom.slice(0, 3)]) {
    progress(`seed-0: ${lost.includes(pair) ? "lost" : "nobody wrote"} ${pair}`);
  }
  const figures: Record<string, Figure> = {
    seed,
    [`${part.what}_written`]: `${commits.length} transactions in ${bySchema(commits.map(({ schema }) => schema))}; sys and ${hand.rolledBack} rolled back beside them`,
    [`${part.what}_arrived`]: `${told.length} messages: ${bySchema(told.map(schemaOf))}`,
    [`${part.what}_kills`]: kills,
    [`${part.what}_lost`]: lost.length,
    [`${part.what}_phantom`]: phantom.length,
    [`${part.what}_repeated`]: repeated,
    [`${part.what}_wrong_shape`]: arrivals.length - told.length,
    [`${part.what}_backpressure`]: starts(log),
    [`${part.what}_exit`]: exit,
  };
  const conditions = [
    lost.length + phantom.length + repeated === 0,
    arrivals.length === told.length,
    part.queueSize === undefined || (starts(log) > 0 && ends(log) === starts(log)),
    exit === 0,
  ];
  const isVoid = commits.length < commitsMin || kills === 0;
  return { ok: conditions.every(Boolean), void: isVoid, figures };
}

/** Of commits that lie in one second for certain. */
function missing(commits: readonly Commit[], arrivals: readonly Arrival[]): string[] {
  const told = new Set(arrivals.flatMap(arrival => pairOf(arrival) ?? []));
  const certain = commits.filter(({ first, last }) => first === last).flatMap(secondsOf);
  return [...new Set(certain)].filter(pair => !told.has(pair));
}

function secondsOf({ schema, first, last }: Commit): string[] {
  return [...new Set([first, last])].map(second => pair(schema, second));
}

const pair = (schema: string, second: number): string =>
  `${schema} ${new Date(second * 1000).toISOString().replace(".000Z", "Z")}`;

const schemaOf = (told: string): string => told.slice(0, told.lastIndexOf(" "));

/** Undefined for what is not, letter by letter, what the README of Schema Activity Monitor shows. */
function pairOf({ value }: Arrival): string | undefined {
  const text = value.toString();
  const [, schema, timestamp] =
    /^\{"schema":"([^"\\]+)","timestamp":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)"\}$/.exec(text) ?? [];
  return schema === undefined ? undefined : `${schema} ${timestamp}`;
}

/** `shop 512, hr 40`. */
function bySchema(names: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return Array.from(counts, ([name, count]) => `${name.replace("v_seed0_", "")} ${count}`)
    .sort()
    .join(", ");
}
