/**
 * Sixteen pipelines in one process, on one MySQL and one Kafka. One has a destination that takes nothing,
 * so that its queue is full, and one has halted because of a row that is refused: the others keep their
 * rate, in bounded memory. In the end everything has arrived, once.
 *
 *   brokers 1 and 2   the topics of the others, one replica each
 *   brokers 2 and 3   that of the blocked one, two replicas and both needed: blocked while 3 is down
 */
import { readFileSync } from "node:fs";
import { freePort } from "../../../tools/services/ports.ts";
import { withCampaign, type Campaign, type Outcome } from "../campaign.ts";
import { stallMs } from "../options.ts";
import { Probe, type Seen } from "../probe.ts";
import { progress } from "../progress.ts";
import { tables, type Table } from "../tables.ts";
import { sleep, until } from "../wait.ts";
import { RESERVED } from "../writer.ts";
import type { CheckContext } from "./check.ts";
import { KafkaAdmin, type TopicSpec } from "./kafka-admin.ts";
import { writeLargeRows } from "./large-rows.ts";

const PIPELINES = 16;
/** By number of its table, which is that of its pipeline. */
const BLOCKED = 0;
const REFUSED = 1;
const RATE_MIN = 0.8;
const RSS_MAX_MB = PIPELINES * 40;
const EXIT_REFUSED = 65;
const PATIENCE_MS = 120_000;
/** Little enough that catching up does not count as rate. */
const SETTLED_ROWS = 200;
const TOPIC_MAX_BYTES = 100_000;
/** Together more than the share of 4 MB. */
const FILL_BODY_BYTES: readonly number[] = Array.from({ length: 120 }, () => 60_000);

export async function pipelines(context: CheckContext): Promise<Outcome> {
  const outcome = await onThreeBrokers(context);
  await context.servers.stopThree();
  return outcome;
}

async function onThreeBrokers({ options, servers, mutant }: CheckContext): Promise<Outcome> {
  const kafka = await servers.kafka(3);
  const third = kafka.nodes[2];
  if (!third) throw new Error("A cluster without a third broker.");
  const port = await freePort();
  const setup = {
    ...{ name: "pipelines", options, mutant, kafka, mysql: await servers.mysql() },
    settings: { http: { port }, queue: { memory: `${PIPELINES * 4}MB` } },
    pipelines: PIPELINES,
    tables: ownTables(),
    sizes: "small" as const,
    rowsPerSecond: 800,
    // What one pipeline cannot deliver must not hold back the writer.
    backlogMax: 1_000_000,
    ddl: false,
    // In Kafka it would need the broker that is stopped.
    commitLog: "file" as const,
    rssMaxMb: RSS_MAX_MB,
  };
  return withCampaign(setup, async campaign => {
    const { product, writer } = campaign;
    const probe = new Probe(`http://127.0.0.1:${port}`);
    const admin = new KafkaAdmin(kafka.brokers);
    await admin.createTopics(campaign.journal.tables.map((_, table) => topicSpec(campaign, table)));
    product.start();
    writer.start();
    await probe.until(({ ready }) => ready, PATIENCE_MS);
    await caughtUp(campaign);
    const measureMs = stallMs(options, 45_000);
    const before = await rateOfOthers(campaign, measureMs);

    await third.stop();
    await writeLargeRows(campaign, rowsOf(BLOCKED, FILL_BODY_BYTES));
    await writeLargeRows(campaign, rowsOf(REFUSED, [6 * TOPIC_MAX_BYTES]));
    await probe.until(
      ({ waiting }) =>
        isWaiting(waiting, campaign, BLOCKED, "partition") &&
        isWaiting(waiting, campaign, BLOCKED, "memory") &&
        isWaiting(waiting, campaign, REFUSED, "ended"),
      PATIENCE_MS,
    );
    progress("pipelines: one is blocked, one has halted");
    const during = await rateOfOthers(campaign, measureMs);
    const after = await probe.look();
    campaign.assertRunning();

    await third.start();
    const unblockedMs = await probe.until(onlyOneHasEnded, PATIENCE_MS);
    const exit = await product.terminate();
    const timesSaid = readFileSync(product.logFile, "utf8").split("MESSAGE_REFUSED").length - 1;

    await admin.configure(campaign.topic(nameOf(campaign, REFUSED)), {
      ...topicSpec(campaign, REFUSED).config,
      "max.message.bytes": "10000000",
    });
    product.start();
    await probe.until(({ ready }) => ready, PATIENCE_MS);
    const kept = rateKept(before, during);
    return campaign.finish({
      extra: {
        pipelines: PIPELINES,
        rows_per_second: before.rowsPerSecond,
        rows_per_second_blocked: during.rowsPerSecond,
        written_per_second: before.writtenPerSecond,
        written_per_second_blocked: during.writtenPerSecond,
        rate_kept: Math.round(kept * 100) / 100,
        behind_rows: before.behind,
        behind_rows_blocked: during.behind,
        unblocked_ms: unblockedMs,
        exit_code: exit.code,
        refusal_said: timesSaid,
      },
      conditions: {
        others_keep_their_rate: kept >= RATE_MIN,
        stays_blocked: isWaiting(after.waiting, campaign, BLOCKED, "memory"),
        exits_with_65: exit.code === EXIT_REFUSED,
        refusal_said_once: timesSaid === 1,
      },
    });
  });
}

/** One for each pipeline: of each kind in turn, with `notes` for the two that get large rows. */
function ownTables(): readonly Table[] {
  const [orders, lines, notes, events] = tables as readonly [Table, Table, Table, Table];
  const kinds = [orders, lines, notes, events];
  return Array.from({ length: PIPELINES }, (_, index) => {
    const kind = isOther(index) ? (kinds[index % kinds.length] ?? notes) : notes;
    return { ...kind, name: `t${index}_${kind.name}` };
  });
}

function isOther(table: number): boolean {
  return table !== BLOCKED && table !== REFUSED;
}

function nameOf({ journal }: Campaign, table: number): string {
  return journal.tables[table]?.name ?? "";
}

function topicSpec(campaign: Campaign, table: number): TopicSpec {
  const topic = campaign.topic(nameOf(campaign, table));
  if (table === BLOCKED) {
    // One partition, led by the broker that stays: a new leader that may not commit tells nobody its end.
    const config = { "min.insync.replicas": "2" };
    return { topic, partitions: 1, config, nodes: [2, 3], replicas: 2 };
  }
  const limit = table === REFUSED ? { "max.message.bytes": String(TOPIC_MAX_BYTES) } : {};
  const config = { "min.insync.replicas": "1", ...limit };
  return { topic, partitions: 2, config, nodes: [1, 2] };
}

/** Each table has numbers of its own below all that the writer uses. */
function rowsOf(
  table: number,
  bodyBytes: readonly number[],
): { table: number; first: number; bodyBytes: readonly number[] } {
  return { table, first: 1 + table * (RESERVED / 2), bodyBytes };
}

function isWaiting(
  waiting: readonly string[],
  campaign: Campaign,
  pipeline: number,
  cause: string,
): boolean {
  const name = `pipeline="${campaign.pipeline}_${pipeline}"`;
  return waiting.some(line => line.includes(name) && line.includes(`cause="${cause}"`));
}

function onlyOneHasEnded({ waiting }: Seen): boolean {
  return waiting.length === 1 && waiting.every(line => line.includes('cause="ended"'));
}

/** Each pipeline delivers, and not much is left of what was written before. */
function caughtUp(campaign: Campaign): Promise<void> {
  const { journal, oracle } = campaign;
  const isCaughtUp = async (): Promise<boolean> => {
    await campaign.observe();
    const delivers = journal.tables.every((_, table) => oracle.deliveredOf(table) > 0);
    return delivers && campaign.backlog < SETTLED_ROWS;
  };
  return until(isCaughtUp, { what: "each pipeline delivers", timeoutMs: PATIENCE_MS });
}

/** What reached the others' topics, and what was written to their tables. */
interface Rate {
  readonly rowsPerSecond: number;
  readonly writtenPerSecond: number;
  /** Rows that were written and not delivered, at the end. */
  readonly behind: number;
}

async function rateOfOthers(campaign: Campaign, forMs: number): Promise<Rate> {
  await campaign.observe();
  const delivered = deliveredOfOthers(campaign);
  const written = writtenOfOthers(campaign);
  const sinceMs = performance.now();
  while (performance.now() - sinceMs < forMs) {
    await sleep(500);
    await campaign.observe();
  }
  const seconds = (performance.now() - sinceMs) / 1_000;
  const rate = {
    rowsPerSecond: Math.round((deliveredOfOthers(campaign) - delivered) / seconds),
    writtenPerSecond: Math.round((writtenOfOthers(campaign) - written) / seconds),
    behind: writtenOfOthers(campaign) - deliveredOfOthers(campaign),
  };
  progress(`pipelines: ${JSON.stringify(rate)}`);
  return rate;
}

/** On a busy machine the writer may slow down; nobody can deliver more than it writes. */
function rateKept(before: Rate, during: Rate): number {
  const load = Math.min(1, during.writtenPerSecond / before.writtenPerSecond);
  return during.rowsPerSecond / (before.rowsPerSecond * load);
}

function deliveredOfOthers({ journal, oracle }: Campaign): number {
  return journal.tables.reduce(
    (sum, _, table) => sum + (isOther(table) ? oracle.deliveredOf(table) : 0),
    0,
  );
}

function writtenOfOthers({ journal }: Campaign): number {
  let written = 0;
  for (const transaction of journal.transactions) {
    for (const [version] of journal.changes(transaction)) {
      if (isOther(journal.tableNumber(version))) written += 1;
    }
  }
  return written;
}
