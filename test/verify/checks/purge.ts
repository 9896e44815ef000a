/**
 * The binlog behind the checkpoint is removed: once while the program is stopped, and once between the end of
 * its dump thread and its reconnect. It has to end with 65, and its message must name the place and just those
 * transactions which are gone and were not delivered. `tidemark position set earliest` then goes on with what is
 * left, and nothing else is missing. With `on_lost_position: snapshot` it mends that by itself (purge-mended.ts).
 */
import type { RowDataPacket } from "mysql2/promise";
import type { Mysql } from "../../../tools/services/services.ts";
import { combined, withCampaign, type Campaign, type Outcome } from "../campaign.ts";
import { GtidRanges } from "../gtids.ts";
import { Product } from "../product.ts";
import { progress } from "../progress.ts";
import { withConnection } from "../servers.ts";
import { sleep, until } from "../wait.ts";
import type { CheckContext } from "./check.ts";
import { purgeMended, type Moment } from "./purge-mended.ts";

const LOAD_MS = 15_000;
const QUICK_LOAD_MS = 4_000;
const LOST_MS = 2_000;
const END_TIMEOUT_MS = 120_000;

export async function purge(context: CheckContext): Promise<Outcome> {
  const outcomes: Outcome[] = [];
  for (const moment of ["stopped", "reconnect"] as const) {
    outcomes.push(await purgedWhen(context, moment));
    outcomes.push(await purgeMended(context, moment));
  }
  return combined(outcomes);
}

async function purgedWhen({ options, servers }: CheckContext, moment: Moment): Promise<Outcome> {
  const [mysql, kafka] = await Promise.all([servers.mysql(), servers.kafka(1)]);
  const setup = { name: `purge_${moment}`, options, mysql, kafka, ddl: false };
  const loadMs = options.quick ? QUICK_LOAD_MS : LOAD_MS;
  return withCampaign(setup, async campaign => {
    const { product, writer } = campaign;
    product.start();
    writer.start();
    await campaign.awaitDelivery(product.startedAtMs);
    await observeFor(campaign, loadMs);
    if (moment === "stopped") await product.kill();
    else await holdUp(campaign);
    await campaign.countKill();
    await sleep(LOST_MS);
    await writer.pause();
    await purgeAll(mysql);
    writer.resume();
    if (moment === "stopped") product.start();
    else product.signal("SIGCONT");
    await until(() => product.ended !== undefined, {
      what: "the program ends",
      timeoutMs: END_TIMEOUT_MS,
    });
    const exit = product.ended?.code ?? null;
    const message = product.logTail(1);
    progress(`${setup.name}: ended with ${exit}: ${message.slice(0, 500)}`);
    const record = await campaign.commitRecord();
    const lost = await difference(mysql, record?.gtid_set ?? "");
    await campaign.observe();
    const forgotten = forget(campaign, lost);
    await goOn(campaign);
    await campaign.awaitDelivery(product.startedAtMs);
    return campaign.finish({
      extra: { purged_changes: forgotten, exits_with_65: exit === 65 ? 1 : 0 },
      conditions: {
        ends_with_65: exit === 65,
        names_what_is_lost: lost !== "" && message.includes(`(transactions ${lost})`),
        names_the_place: /from \S+\.\d{6}:\d+ up to the start of \S+\.\d{6}/.test(message),
        names_the_choices: /position set earliest.*position set latest/.test(message),
        something_was_lost: forgotten > 0,
      },
    });
  });
}

/** It stands still while its dump thread is ended, so that it comes back late. */
async function holdUp(campaign: Campaign): Promise<void> {
  campaign.product.signal("SIGSTOP");
  const threads = await campaign.dumpThreads();
  await withConnection(campaign.setup.mysql, async connection => {
    for (const id of threads) await connection.query(`KILL ${id}`);
  });
  await until(async () => (await campaign.dumpThreads()).length === 0, {
    what: "the dump thread is gone",
    timeoutMs: END_TIMEOUT_MS,
  });
}

async function purgeAll(mysql: Mysql): Promise<void> {
  await withConnection(mysql, async connection => {
    await connection.query("FLUSH BINARY LOGS");
    const [files] = await connection.query<RowDataPacket[]>("SHOW BINARY LOGS");
    const newest = String(files.at(-1)?.["Log_name"]);
    await until(
      async () => {
        await connection.query(`PURGE BINARY LOGS TO '${newest}'`);
        const [left] = await connection.query<RowDataPacket[]>("SHOW BINARY LOGS");
        return left[0]?.["Log_name"] === newest;
      },
      { what: "the binlog is purged", timeoutMs: END_TIMEOUT_MS, intervalMs: 500 },
    );
  });
}

/** What the server has no longer and the commit log does not have either. */
function difference(mysql: Mysql, delivered: string): Promise<string> {
  return withConnection(mysql, async connection => {
    const [[row]] = await connection.query<RowDataPacket[]>(
      `SELECT GTID_SUBTRACT(@@GLOBAL.gtid_purged, '${delivered}') AS lost`,
    );
    return String(row?.["lost"]).replace(/\s/g, "");
  });
}

/** Takes the changes of these transactions for delivered: nothing can bring them any more. */
function forget({ journal, oracle }: Campaign, gtidSet: string): number {
  const lost = new GtidRanges(gtidSet);
  let changes = 0;
  for (const transaction of journal.transactions) {
    if (transaction.gtid === undefined || !lost.has(transaction.gtid)) continue;
    oracle.forgive(transaction);
    changes += transaction.end - transaction.first;
  }
  return changes;
}

async function goOn({ product, dir, pipeline }: Campaign): Promise<void> {
  const config = `${dir}/tidemark.yaml`;
  const words = ["position", "set", "earliest", "--config", config, "--pipeline", pipeline];
  const set = new Product({ bundle: product.bundle, config, dir, command: words });
  set.start();
  const { code } = await set.exit();
  await set.dispose();
  if (code !== 0) throw new Error(`position set ended with ${code}:\n${set.logTail(5)}`);
  product.start();
}

async function observeFor(campaign: Campaign, ms: number): Promise<void> {
  const endMs = performance.now() + ms;
  while (performance.now() < endMs) {
    await campaign.observe();
    await sleep(200);
  }
}
