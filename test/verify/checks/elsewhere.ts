/**
 * A snapshot into the destinations other than Kafka, with kills inside it, and into Kafka from a source that is lost in
 * the middle of the copy. Delivery may repeat where it says so; nothing may be lost, and what arrived has to lead to
 * the tables.
 */
import { ask } from "../../../tools/services/mysql-statements.ts";
import {
  executed,
  follow,
  promote,
  replicaArgs,
  whenExecuted,
} from "../../../tools/services/replication.ts";
import { combined, type Outcome } from "../campaign.ts";
import { Consumer } from "../consumer.ts";
import type { Destination } from "../destination.ts";
import { FileLines } from "../file-lines.ts";
import { CopyRun, type Arrived, type CopyOptions } from "../handover/copy-run.ts";
import { DATABASE, tables } from "../handover/tables.ts";
import { MovingServer } from "../moving-server.ts";
import { rounds } from "../options.ts";
import { progress, progressError } from "../progress.ts";
import { RabbitmqDestination } from "../rabbitmq-destination.ts";
import { Random } from "../random.ts";
import { startSource } from "../servers.ts";
import { SqsDestination } from "../sqs-destination.ts";
import { sleep } from "../wait.ts";
import { WebhookDestination } from "../webhook-destination.ts";
import type { CheckContext } from "./check.ts";

const ROWS = 2_500;
const QUICK_ROWS = 1_000;
const KILLS = 6;
const QUICK_KILLS = 3;
const CHUNKS = 20;
/** As many as the slowest of them takes. */
const TRANSACTIONS_PER_SECOND = 20;
const CHANGES_MIN = 1_000;
const QUICK_CHANGES_MIN = 200;
/** From here on a kill may come too late. */
const NEARLY_ALL = 0.85;
const WRITTEN_AGAIN = /lines behind the checkpoint are written again/;

export async function elsewhere(context: CheckContext): Promise<Outcome> {
  const { servers } = context;
  const names = tables.map(({ name }) => name);
  const rabbitmq = await servers.rabbitmq();
  const outcomes = [
    await killedInto(context, { name: "file" }),
    await killedInto(context, {
      name: "webhook",
      destination: await new WebhookDestination().start(),
    }),
    await killedInto(context, {
      name: "rabbitmq",
      destination: new RabbitmqDestination(rabbitmq, names),
    }),
    await killedInto(context, {
      name: "dedupe",
      destination: new RabbitmqDestination(rabbitmq, names),
      pipeline: { dedupe: { window_ms: 300 } },
    }),
    await sourceLost(context),
    await killedInto(context, {
      name: "sqs",
      destination: await SqsDestination.create(await servers.elasticmq(), { fifo: true }),
    }),
  ];
  return combined(outcomes);
}

interface Into {
  readonly name: string;
  /** Undefined for a file. */
  readonly destination?: Destination;
  readonly pipeline?: Readonly<Record<string, unknown>>;
}

function settings({
  options,
}: CheckContext): Pick<CopyOptions, "rows" | "batchRows" | "transactionsPerSecond" | "seed"> {
  const rows = options.quick ? QUICK_ROWS : ROWS;
  const batchRows = Math.ceil(rows / CHUNKS);
  return { rows, batchRows, transactionsPerSecond: TRANSACTIONS_PER_SECOND, seed: options.seed };
}

function changesMin({ options }: CheckContext): number {
  return options.quick ? QUICK_CHANGES_MIN : CHANGES_MIN;
}

async function killedInto(context: CheckContext, into: Into): Promise<Outcome> {
  const { options, servers } = context;
  const { name, destination, pipeline } = into;
  const names = { pipeline: `copy_${name}_${process.pid}`, database: DATABASE };
  let lines: FileLines | undefined;
  const sink = destination?.sink(names) ?? { type: "file", path: "out.jsonl", envelope: true };
  const run = new CopyRun({
    ...settings(context),
    ...{ name: names.pipeline, mysql: await servers.mysql() },
    pipeline: { sink, commit_log: { type: "file", dir: "state" }, ...pipeline },
    merges: isMerged(into),
    environment: destination?.environment,
    read: async visit => {
      if (destination !== undefined) await destination.read(visit);
      else (lines ??= new FileLines(run.path("out.jsonl"))).readToEnd(text => visit(lineOf(text)));
    },
  });
  const kills = options.kills ?? rounds(options, KILLS, QUICK_KILLS);
  try {
    await destination?.prepare(names);
    await run.prepare();
    await run.start();
    const inside = await killInside(run, {
      kills,
      seed: options.seed,
      all: settings(context).rows,
    });
    const faults = await run.judged();
    const { repeated, isRight } = verdict(faults, run, into);
    const figures = {
      ...{ kills, kills_in_flight: inside, written: run.ledger.committed.size },
      ...{ delivered: run.oracle.delivered, reads: run.oracle.reads, repeated },
      ...{ lost: isMerged(into) ? faults.lost_rows : faults.lost, stale: faults.stale },
      phantom: faults.phantom,
    };
    for (const example of isRight ? [] : run.oracle.examples) progress(`  ${example}`);
    const isVoid = inside < kills * 0.8 || figures.written < changesMin(context);
    return named(name, { ok: isRight, void: isRight && isVoid, figures });
  } catch (error) {
    progressError(`elsewhere: ${name}`, error);
    return named(name, { ok: false, void: false, figures: { error: String(error) } });
  } finally {
    await run.close();
    await destination?.close();
  }
}

function lineOf(text: string): Arrived {
  const { id, value } = JSON.parse(text) as { id: string; value: unknown };
  return { id, value: value === null ? "" : JSON.stringify(value) };
}

/** Changes that were merged into later ones do not arrive, as they should not. */
function isMerged({ pipeline }: Into): boolean {
  return pipeline?.["dedupe"] !== undefined;
}

function verdict(
  faults: Awaited<ReturnType<CopyRun["judged"]>>,
  run: CopyRun,
  into: Into,
): { readonly repeated: number; readonly isRight: boolean } {
  const repeated = faults.duplicated + faults.out_of_order;
  const lost = isMerged(into) ? faults.lost_rows : faults.lost;
  const mayRepeat = into.destination !== undefined || WRITTEN_AGAIN.test(run.log);
  const isRight =
    lost + faults.stale + faults.phantom === 0 &&
    (mayRepeat || repeated === 0) &&
    run.product.ended?.code === 0;
  return { repeated, isRight };
}

/** @returns how many hit while something had not arrived. */
async function killInside(
  run: CopyRun,
  { kills, seed, all }: { kills: number; seed: number; all: number },
): Promise<number> {
  const random = new Random(seed, "elsewhere");
  let inFlight = 0;
  for (let kill = 0; kill < kills; kill += 1) {
    const share = ((kill + random.next()) / kills) * NEARLY_ALL;
    const isThere = (): boolean => run.oracle.reads >= share * all * tables.length;
    await run.until(isThere, `${share} of the snapshot`);
    const isCopying = !run.isCopied;
    await run.product.kill();
    await run.read();
    if (isCopying || run.oracle.missing > 0) inFlight += 1;
    run.product.start();
  }
  await run.until(() => run.isCopied, "the end of the snapshot");
  return inFlight;
}

/** The server that is read is gone in the middle of the copy, while the program has rows in hand. */
async function sourceLost(context: CheckContext): Promise<Outcome> {
  const kafka = await context.servers.kafka(1);
  const [first, second] = await Promise.all([
    startSource("mysql-9", []),
    startSource("mysql-9", replicaArgs(2)),
  ]);
  const current = new MovingServer(first);
  const name = `copy_moved_${process.pid}`;
  const consumer = new Consumer(kafka.brokers, topic => topic.startsWith(`${name}.`));
  const run = new CopyRun({
    ...settings(context),
    ...{ name, mysql: current },
    source: { hosts: [first, second].map(({ host, port }) => `${host}:${port}`) },
    pipeline: {
      sink: {
        ...{ type: "kafka", brokers: kafka.brokers, topic: `${name}.{database}.{table}` },
        create_topics: { partitions: 3 },
      },
    },
    read: async visit => {
      await consumer.readToEnd(({ value, headers }) =>
        visit({ id: headers["id"] ?? "", value: value ?? "" }),
      );
    },
  });
  try {
    // Each has made its users by itself.
    for (const server of [first, second]) await ask(server, "RESET BINARY LOGS AND GTIDS");
    await follow(second, first);
    await run.prepare();
    await run.start();
    const half = (settings(context).rows * tables.length) / 2;
    await run.until(() => run.oracle.reads >= half, "half of the snapshot");
    const isInside = !run.isCopied;
    run.product.signal("SIGSTOP");
    await sleep(1_000);
    await run.writer.stop();
    await whenExecuted(second, await executed(first));
    first.kill("SIGKILL");
    run.product.signal("SIGCONT");
    await promote(second);
    current.now = second;
    run.writer.start();
    await run.until(() => run.isCopied, "the end of the snapshot");
    await sleep(2_000);
    const faults = await run.judged();
    const isMoved = /SOURCE_CHANGED/.test(run.log);
    const none = Object.values(faults).every(count => count === 0);
    for (const example of none ? [] : run.oracle.examples) progress(`  ${example}`);
    return named("source_lost", {
      ok: none && isMoved,
      void: none && (!isInside || run.ledger.committed.size < changesMin(context)),
      figures: { ...faults, moved: isMoved, written: run.ledger.committed.size },
    });
  } catch (error) {
    progressError("elsewhere: source lost", error);
    return named("source_lost", { ok: false, void: false, figures: { error: String(error) } });
  } finally {
    await run.close();
    consumer.close();
    await Promise.all([first.stop(), second.stop()]);
  }
}

function named(name: string, { ok, void: isVoid, figures }: Outcome): Outcome {
  progress(`elsewhere: ${name}: ${JSON.stringify(figures)}`);
  const entries = Object.entries(figures).map(([key, value]) => [`${name} ${key}`, value] as const);
  return { ok, void: isVoid, figures: Object.fromEntries(entries) };
}
