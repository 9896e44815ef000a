/**
 * A snapshot of four tables while a writer changes them, with kills inside the snapshot and at its end: the
 * rows that were read and the changes that were streamed must together be the tables, each thing once. Then
 * the same with rows from a replica that lags. A fifth table has no key, and is equal as a multiset.
 */
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RowDataPacket } from "mysql2/promise";
import { ask } from "../../../tools/services/mysql-statements.ts";
import { delay, follow, replicaArgs } from "../../../tools/services/replication.ts";
import type { Kafka, Mysql } from "../../../tools/services/services.ts";
import type { Outcome } from "../campaign.ts";
import { Consumer } from "../consumer.ts";
import { Ledger } from "../handover/ledger.ts";
import { HandoverOracle, type Selected, type Seen } from "../handover/oracle.ts";
import { createLoose, LOOSE, LooseCopy, LooseWriter, selectLoose } from "../handover/loose.ts";
import { DATABASE, createTable, fillTable, tables } from "../handover/tables.ts";
import { HandoverWriter } from "../handover/writer.ts";
import type { RawRecord } from "../kafka-wire.ts";
import { rounds } from "../options.ts";
import { Product, builtBundle } from "../product.ts";
import { progress, progressError } from "../progress.ts";
import { Random } from "../random.ts";
import { cdcUser, startSource, withConnection } from "../servers.ts";
import { sleep, until } from "../wait.ts";
import type { CheckContext } from "./check.ts";

const TRANSACTIONS_PER_SECOND = 500;
const PARTITIONS = 3;
const LOOK_MS = 100;
/** All rows are compared each time. */
const WHOLE_LOOK_MS = 1_000;
/** From here on a kill is one at the hand-over. */
const NEARLY_ALL = 0.96;
/** While a replica is waited for, many rows change or go, and come as changes alone. */
const NEARLY_ALL_THERE = 0.7;
const PATIENCE_MS = 300_000;
/** So that its copy takes long enough to be killed in it. */
const LOOSE_ROWS_MIN = 100_000;
/** In the table without a key. */
const LOOSE_KILLS = 3;
/** It takes seconds only. */
const LOOSE_LOOK_MS = 20;
/** At most so long after its turn has come, it is killed first. */
const FIRST_LOOSE_MS = 400;
/** What a wrong build has not brought by then, it will not bring. */
const MUTANT_PATIENCE_MS = 20_000;
const RSS_MAX_MB = 300;

let serial = 0;

/** The first row of a chunk is found by its key. */
const READ_SHARE = 0.9;
/** How much older what the replica shows is. */
const LAG_S = 5;

export async function handover(context: CheckContext): Promise<Outcome> {
  const { options, servers, mutant } = context;
  const [mysql, kafka] = await Promise.all([servers.mysql(), servers.kafka(1)]);
  const { seed } = options;
  const rows = options.quick ? 25_000 : 250_000;
  const here = await handedOver(context, new Handover({ mysql, kafka, rows, seed, mutant }));
  if (mutant !== undefined) return here;
  const there = await fromReplica(context, kafka);
  return {
    ok: here.ok && there.ok,
    void: here.void || there.void,
    figures: { ...here.figures, replica: there.figures },
  };
}

/** Each chunk waits for the replica, so a quick run has fewer. */
async function fromReplica(context: CheckContext, kafka: Kafka): Promise<Outcome> {
  const { options } = context;
  const [mysql, replica] = await Promise.all([
    startSource("mysql-9", []),
    startSource("mysql-9", replicaArgs(2)),
  ]);
  try {
    // Each has made its users by itself.
    for (const server of [mysql, replica]) await ask(server, "RESET BINARY LOGS AND GTIDS");
    await follow(replica, mysql);
    await delay(replica, LAG_S);
    const rows = options.quick ? 10_000 : 250_000;
    const { seed } = options;
    const run = new Handover({ mysql, replica, kafka, rows, seed, mutant: undefined });
    const outcome = await handedOver(context, run);
    const shown = await readThere(replica);
    const isThere = shown >= rows * tables.length * READ_SHARE;
    return {
      ok: outcome.ok && isThere,
      void: outcome.void || (outcome.ok && run.lagS < LAG_S - 1),
      figures: { ...outcome.figures, lag_s: run.lagS, rows_read_there: shown },
    };
  } finally {
    await Promise.all([mysql.stop(), replica.stop()]);
  }
}

/** Rows in the order of an index: what it replicates it finds by their keys. */
async function readThere(replica: Mysql): Promise<number> {
  const [row] = await ask(replica, "SHOW GLOBAL STATUS LIKE 'Handler_read_next'");
  return Number(row?.["Value"]);
}

async function handedOver({ options }: CheckContext, run: Handover): Promise<Outcome> {
  const kills = options.kills ?? rounds(options, 20);
  try {
    await run.prepare();
    const hit = await run.killed(kills, rounds(options, 5, 1));
    const outcome = await run.judged({ ...hit, kills });
    return outcome;
  } catch (error) {
    progressError("handover", error);
    return { ok: false, void: false, figures: { ...run.soFar(), error: String(error) } };
  } finally {
    await run.close();
  }
}

interface HandoverOptions {
  readonly mysql: Mysql;
  /** Where the rows are read, if not there. */
  readonly replica?: Mysql;
  readonly kafka: Kafka;
  /** In each table. */
  readonly rows: number;
  readonly seed: number;
  readonly mutant: string | undefined;
}

interface Hits {
  readonly inside: number;
  readonly atHandover: number;
  /** While the table without a key was copied. */
  readonly insideLoose: number;
}

class Handover {
  readonly #options: HandoverOptions;
  readonly #name: string;
  readonly #dir = mkdtempSync(join(tmpdir(), "tidemark-handover-"));
  readonly #ledger: Ledger;
  readonly #oracle: HandoverOracle;
  readonly #writer: HandoverWriter;
  readonly #loose = new LooseCopy();
  readonly #looseWriter: LooseWriter;
  readonly #looseRows: number;
  readonly #product: Product;
  readonly #consumer: Consumer;
  readonly #random: Random;
  readonly #startedAtMs = performance.now();
  /** Most that was seen of how far the replica is behind. */
  lagS = 0;

  constructor(options: HandoverOptions) {
    const { mysql, kafka, rows, seed, mutant } = options;
    serial += 1;
    this.#options = options;
    this.#name = `handover_${process.pid}_${serial}`;
    this.#ledger = new Ledger(tables.length, rows);
    this.#oracle = new HandoverOracle(this.#ledger, tables.length);
    this.#random = new Random(seed, "handover");
    this.#writer = new HandoverWriter({
      ...{ mysql, seed, ledger: this.#ledger },
      transactionsPerSecond: TRANSACTIONS_PER_SECOND,
    });
    this.#looseRows = Math.max(rows, LOOSE_ROWS_MIN);
    this.#looseWriter = new LooseWriter({ mysql, rows: this.#looseRows, seed });
    this.#consumer = new Consumer(kafka.brokers, topic => topic.startsWith(`${this.#name}.`));
    const config = join(this.#dir, "tidemark.yaml");
    writeFileSync(config, JSON.stringify(this.#config(), null, 2));
    // A copy: a build in the middle of the check must not change what is tested.
    const bundle = join(this.#dir, "tidemark.mjs");
    copyFileSync(builtBundle(mutant), bundle);
    this.#product = new Product({ bundle, config, dir: this.#dir });
  }

  #config(): unknown {
    const { mysql, replica, kafka } = this.#options;
    const from = replica === undefined ? {} : { host: replica.host, port: replica.port };
    return {
      source: {
        ...{ host: mysql.host, port: mysql.port, ...cdcUser },
        snapshot: { mode: "initial", no_key: "lock", ...from },
      },
      pipelines: [
        {
          name: this.#name,
          tables: [`${DATABASE}.*`],
          sink: {
            type: "kafka",
            brokers: kafka.brokers,
            topic: `${this.#name}.{database}.{table}`,
            create_topics: { partitions: PARTITIONS },
          },
        },
      ],
      log: { format: "text" },
    };
  }

  async prepare(): Promise<void> {
    const { mysql, rows } = this.#options;
    await withConnection(mysql, async connection => {
      await connection.query(`DROP DATABASE IF EXISTS ${DATABASE}`);
      await connection.query(`CREATE DATABASE ${DATABASE}`);
      await connection.query(`GRANT LOCK TABLES ON ${DATABASE}.* TO '${cdcUser.user}'@'%'`);
      await connection.query(`GRANT SELECT ON ${DATABASE}.* TO '${cdcUser.user}'@'%'`);
      for (const [index, table] of tables.entries()) {
        await connection.query(createTable(table));
        await connection.query(fillTable(table, rows, this.#ledger.firstVersion(index)));
      }
      await createLoose(connection, this.#looseRows);
    });
    progress(`handover: ${tables.length} tables of ${rows} rows`);
  }

  /** Kills spread over the snapshot, then some around its end. */
  async killed(inside: number, atEnd: number): Promise<Hits> {
    const all = this.#options.rows * tables.length;
    this.#product.start();
    await this.#until(() => this.#oracle.reads > 0, "the first row of the snapshot");
    // All that it writes lies behind the place where the stream began.
    this.#writer.start();
    this.#looseWriter.start();
    const nearlyAll = this.#options.replica === undefined ? NEARLY_ALL : NEARLY_ALL_THERE;
    const hits = { inside: 0, atHandover: 0, insideLoose: 0 };
    for (let kill = 0; kill < inside; kill += 1) {
      const share = ((kill + this.#random.next()) / inside) * nearlyAll;
      const isThere = (): boolean => this.#oracle.reads >= share * all;
      await this.#until(() => isThere() || this.#isCopied, `${share} of the snapshot`);
      const isInside = isThere();
      if ((await this.#kill()) && isInside) hits.inside += 1;
    }
    // Its log says it sooner than its messages, which have to be read for that.
    const isEnding = (): boolean => {
      if (this.#product.ended) throw new Error(`Tidemark ended:\n${this.#product.logTail(8)}`);
      return this.#isLastTable || this.#isCopied;
    };
    const what = "the end of the snapshot";
    await until(isEnding, { what, timeoutMs: PATIENCE_MS, intervalMs: LOOSE_LOOK_MS });
    await this.#killedInLoose(hits);
    for (let kill = 0; kill < atEnd; kill += 1) {
      await sleep(this.#random.int(20, 1_200));
      if (await this.#kill()) hits.atHandover += 1;
    }
    return hits;
  }

  /** It is the last one: in the order of their names. */
  async #killedInLoose(hits: { insideLoose: number }): Promise<void> {
    const rows = this.#looseRows;
    for (let kill = 0; kill < LOOSE_KILLS; kill += 1) {
      const { emptied } = this.#loose;
      const share = this.#random.next() * 0.5;
      const isThere = (): boolean =>
        this.#loose.emptied > emptied && this.#loose.rowsRead >= share * rows;
      const what = `${share} of the table without key`;
      if (kill === 0) await sleep(this.#random.int(0, FIRST_LOOSE_MS));
      else await this.#until(() => isThere() || this.#isCopied, what, LOOSE_LOOK_MS);
      if (!this.#isCopied) hits.insideLoose += 1;
      await this.#kill();
    }
  }

  /** What is left is the one without key. */
  get #isLastTable(): boolean {
    return this.#product.logTail(100).includes("tables_left=1");
  }

  get #isCopied(): boolean {
    return this.#product.logTail(20).includes("tables_left=0");
  }

  /** @returns whether something was on its way. */
  async #kill(): Promise<boolean> {
    await this.#product.kill();
    await this.#noteLag();
    await this.#read();
    const inFlight = this.#oracle.missing;
    const { reads, delivered } = this.#oracle;
    progress(
      `handover: killed after ${reads} rows and ${delivered - reads} changes, ${inFlight} to come`,
    );
    this.#product.start();
    return inFlight > 0;
  }

  async #noteLag(): Promise<void> {
    const { replica } = this.#options;
    if (replica === undefined) return;
    const [status] = await ask(replica, "SHOW REPLICA STATUS");
    this.lagS = Math.max(this.lagS, Number(status?.["Seconds_Behind_Source"]) || 0);
  }

  async judged({
    inside,
    atHandover,
    insideLoose,
    kills,
  }: Hits & { kills: number }): Promise<Outcome> {
    // A while in which nothing is killed: what follows the snapshot is stream alone.
    await sleep(3_000);
    await Promise.all([this.#writer.stop(), this.#looseWriter.stop()]);
    const selected = await this.#selected();
    const selectedLoose = await withConnection(this.#options.mysql, selectLoose);
    const differences = () => this.#loose.differences(selectedLoose);
    const isLooseEqual = (): boolean => differences().lost + differences().phantom === 0;
    const isWhole = (): boolean =>
      this.#oracle.missing === 0 && this.#oracle.isWhole(selected) && isLooseEqual();
    await this.#until(isWhole, "everything to arrive", WHOLE_LOOK_MS).catch((error: unknown) =>
      progressError("handover", error),
    );
    const { code } = await this.#product.terminate();
    await this.#read();
    const { lost, phantom } = differences();
    const faults = {
      ...this.#oracle.faults(selected),
      loose_lost: lost,
      loose_phantom: phantom,
      loose_duplicated: this.#loose.duplicated,
    };
    const rss = this.#product.peakRssMb;
    const figures = {
      ...this.soFar(),
      ...faults,
      kills_inside: inside,
      kills_at_handover: atHandover,
      kills_inside_loose: insideLoose,
      loose_transactions: this.#looseWriter.transactions,
      loose_copies: this.#loose.emptied,
      peak_rss_mb: rss,
    };
    for (const example of this.#oracle.examples) progress(`  ${example}`);
    const none = Object.values(faults).every(count => count === 0);
    const isVoid = inside < kills * 0.8 || insideLoose === 0 || this.#ledger.committed.size < 1_000;
    return { ok: none && code === 0 && rss < RSS_MAX_MB, void: none && isVoid, figures };
  }

  soFar(): Record<string, number> {
    const { seed, rows } = this.#options;
    return {
      seed,
      rows: rows * tables.length,
      written: this.#ledger.committed.size,
      transactions: this.#writer.transactions,
      delivered: this.#oracle.delivered,
      reads: this.#oracle.reads,
      known: this.#oracle.known,
      seconds: Math.round((performance.now() - this.#startedAtMs) / 1_000),
    };
  }

  async #until(condition: () => boolean, what: string, intervalMs = LOOK_MS): Promise<void> {
    const isMutant = this.#options.mutant !== undefined;
    const timeoutMs = isMutant && intervalMs === WHOLE_LOOK_MS ? MUTANT_PATIENCE_MS : PATIENCE_MS;
    await until(
      async () => {
        if (this.#product.ended) throw new Error(`Tidemark ended:\n${this.#product.logTail(8)}`);
        await this.#read();
        return condition();
      },
      { what, timeoutMs, intervalMs },
    );
  }

  async #read(): Promise<void> {
    await this.#consumer.readToEnd((record, { topic, partition }) => {
      if (topic === `${this.#name}.${DATABASE}.${LOOSE}`) {
        this.#loose.observe(record, partition);
        return;
      }
      const table = tables.findIndex(({ name }) => topic === `${this.#name}.${DATABASE}.${name}`);
      const seen = seenIn(record, table);
      if (seen !== undefined) this.#oracle.observe(seen);
    });
  }

  /** By table: slot → version. */
  #selected(): Promise<Selected> {
    return withConnection(this.#options.mysql, async connection => {
      const selected: Map<number, number>[] = [];
      for (const { name } of tables) {
        const [rows] = await connection.query<RowDataPacket[]>({
          sql: `SELECT slot, version FROM ${DATABASE}.${name}`,
          rowsAsArray: true,
        });
        selected.push(new Map(rows.map(row => [Number(row[0]), Number(row[1])])));
      }
      return selected;
    });
  }

  async close(): Promise<void> {
    await this.#writer.stop().catch(() => undefined);
    await this.#looseWriter.stop().catch(() => undefined);
    await this.#product.dispose();
    this.#consumer.close();
    rmSync(this.#dir, { recursive: true, force: true });
    await withConnection(this.#options.mysql, connection =>
      connection.query(`DROP DATABASE IF EXISTS ${DATABASE}`),
    );
  }
}

interface Envelope {
  readonly op: "r" | "c" | "u" | "d";
  readonly before: RowImage | null;
  readonly after: RowImage | null;
}

interface RowImage {
  readonly slot: number;
  readonly version: number;
}

const KINDS = { r: "read", c: "upsert", u: "upsert", d: "delete" } as const;

/** Undefined for a tombstone, which says nothing of its own. */
function seenIn({ value, headers }: RawRecord, table: number): Seen | undefined {
  if (value === null) return undefined;
  const { op, before, after } = JSON.parse(value.toString()) as Envelope;
  const image = op === "d" ? before : after;
  const { slot = NaN, version = NaN } = image ?? {};
  return { id: headers["id"] ?? "", table, slot, version, kind: KINDS[op] };
}
