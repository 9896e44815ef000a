/**
 * One campaign: real servers, a writer, the program under test as its own process, faults, a verdict.
 *
 *   writer ──▶ MySQL ──▶ Tidemark ──▶ Kafka, file, … ──▶ consumer ──▶ oracle ──▶ figures
 *      └──────────────────── journal ────────────────────────────────▶┘
 *
 * A check makes a campaign, brings about its faults through it, and ends with `finish`.
 */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RowDataPacket } from "mysql2/promise";
import type { Kafka, Mysql } from "../../tools/services/services.ts";
import { FileCommitLogReader, TopicCommitLogReader, type CommitLogReader } from "./commit-log.ts";
import { Consumer } from "./consumer.ts";
import { DeliveryDecoder } from "./decoder.ts";
import type { Destination } from "./destination.ts";
import { FileLines } from "./file-lines.ts";
import { Journal } from "./journal.ts";
import type { Options } from "./options.ts";
import { Oracle, type CommitRecord, type Verdict } from "./oracle.ts";
import { builtBundle, Product } from "./product.ts";
import { Random } from "./random.ts";
import { progress, progressError } from "./progress.ts";
import { cdcUser, withConnection } from "./servers.ts";
import { tables as allTables, type Table } from "./tables.ts";
import { sleep, until } from "./wait.ts";
import { Writer, type SizeProfile } from "./writer.ts";

export interface CampaignSetup {
  /** Letters, digits and underscores: database, pipeline and topics are named after it. */
  readonly name: string;
  readonly options: Options;
  readonly mutant?: string | undefined;
  readonly mysql: Mysql;
  /** Where the program under test finds MySQL, if not at the server itself. */
  readonly mysqlPort?: number;
  readonly kafka?: Kafka | undefined;
  /** Instead of Kafka or a file; delivery is then at-least-once. */
  readonly destination?: Destination | undefined;
  readonly start?: "earliest" | "latest";
  readonly tables?: readonly Table[];
  readonly sizes?: SizeProfile;
  readonly rowsPerSecond?: number;
  readonly hands?: number;
  readonly ddl?: boolean;
  /** Small: the same rows are changed over and over. */
  readonly aliveMax?: number;
  readonly partitions?: number;
  readonly replicationFactor?: number;
  readonly topicConfig?: Readonly<Record<string, string>>;
  readonly commitLog?: "kafka" | "file";
  readonly commitLogTopic?: string;
  /** The event topics are compacted: the last message of each row counts, and repeats are no faults. */
  readonly compacted?: boolean;
  /** Added to the configuration, or in place of what stands there. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** So many pipelines in one process, each with every so-manieth table; one if undefined. */
  readonly pipelines?: number;
  readonly rssMaxMb?: number;
  /** A module that is loaded into the program under test before the program itself. */
  readonly preload?: string;
  /** The writer waits while more rows than this are written and not delivered. */
  readonly backlogMax?: number;
  /** `mysql` comes to be another server: positions of one mean nothing on the other, and rows without key repeat. */
  readonly moves?: boolean;
}

/** A figure of the output line, or several under one name. */
export type Figure = number | string | boolean | null | { readonly [name: string]: Figure };

export interface Outcome {
  readonly ok: boolean;
  readonly void: boolean;
  readonly figures: Readonly<Record<string, Figure>>;
}

export interface FinishOptions {
  readonly extra?: Readonly<Record<string, Figure>>;
  /** What else has to hold. */
  readonly conditions?: Readonly<Record<string, boolean>>;
  /** Changes below which the run says nothing. */
  readonly changesMin?: number;
}

/** Campaigns of one process share servers, so each has its own database, pipeline and topics. */
let serial = 0;

const RSS_MAX_MB = 400;
/** Longer than any back-off or session time-out that a fault can lead to; a mutant loses for good. */
const NO_PROGRESS_MAX_MS = 60_000;
const NO_PROGRESS_MUTANT_MS = 10_000;
const READING_TIMEOUT_MS = 60_000;
const READING_STABLE_MS = 1_000;

export class Campaign {
  readonly setup: CampaignSetup;
  readonly dir: string;
  readonly database: string;
  readonly pipeline: string;
  readonly journal = new Journal();
  readonly random: Random;
  readonly product: Product;
  readonly writer: Writer;
  readonly oracle: Oracle;
  readonly #decoder: DeliveryDecoder;
  readonly #consumer: Consumer | undefined;
  readonly #commitConsumers: Consumer[] = [];
  /** One for each pipeline. */
  readonly #commitLogs: readonly CommitLogReader[];
  readonly #file: FileLines;
  readonly #startedAtMs = performance.now();
  #ends: ReadonlyMap<string, number> = new Map();
  #fileEnd = 0;
  kills = 0;
  killsInFlight = 0;
  recoveryMsMax = 0;

  private constructor(setup: CampaignSetup) {
    const { name, kafka, mysql, options } = setup;
    this.setup = setup;
    this.dir = mkdtempSync(join(tmpdir(), `tidemark-verify-${name}-`));
    serial += 1;
    this.database = `v_${name}_${serial}`;
    this.pipeline = `p_${name}_${serial}`;
    this.random = new Random(options.seed, `campaign ${name}`);
    const tables = setup.tables ?? allTables;
    this.writer = new Writer({
      mysql,
      database: this.database,
      seed: options.seed,
      journal: this.journal,
      tables,
      hands: setup.hands ?? 4,
      rowsPerSecond: setup.rowsPerSecond ?? 2_500,
      sizes: setup.sizes ?? "mixed",
      ddl: setup.ddl ?? true,
      aliveMax: setup.aliveMax ?? 15_000,
    });
    this.oracle = new Oracle({
      journal: this.journal,
      tombstones: kafka !== undefined,
      ids: kafka !== undefined || setup.destination !== undefined,
      repeats: setup.destination !== undefined,
      ordered: setup.destination?.ordered ?? true,
      compacted: setup.compacted ?? false,
      moves: setup.moves ?? false,
      database: this.database,
    });
    this.#decoder = new DeliveryDecoder({ journal: this.journal, database: this.database });
    this.#file = new FileLines(join(this.dir, "out.jsonl"));
    if (kafka) {
      const topics = `${this.pipeline}.${this.database}.`;
      this.#consumer = new Consumer(kafka.brokers, topic => topic.startsWith(topics));
    }
    this.#commitLogs = this.#pipelineNames.map(pipeline => this.#commitLogReader(pipeline));
    const config = join(this.dir, "tidemark.yaml");
    writeFileSync(config, `${JSON.stringify(this.#config(), null, 2)}\n`);
    // A copy: a build that ends in the middle of a campaign must not change what is tested.
    const bundle = join(this.dir, "tidemark.mjs");
    copyFileSync(builtBundle(setup.mutant), bundle);
    const { preload, destination } = setup;
    const environment = destination?.environment;
    this.product = new Product({ bundle, config, dir: this.dir, preload, environment });
  }

  /** Makes the tables, in a server whose binlog begins anew. */
  static async create(setup: CampaignSetup): Promise<Campaign> {
    const campaign = new Campaign(setup);
    const { mysql } = setup;
    await withConnection(mysql, async connection => {
      const reset = mysql.version === "mysql-8" ? "RESET MASTER" : "RESET BINARY LOGS AND GTIDS";
      await connection.query(`DROP DATABASE IF EXISTS ${campaign.database}`);
      await connection.query(`DROP TABLE IF EXISTS harness.${campaign.database}`).catch(() => null);
      await connection.query(reset);
    });
    await campaign.writer.createTables();
    mkdirSync(join(campaign.dir, "state"));
    await setup.destination?.prepare(campaign);
    return campaign;
  }

  get commitLogTopic(): string {
    return this.setup.commitLogTopic ?? "tidemark.commit-log";
  }

  /** The topic of a table. */
  topic(table: string): string {
    return `${this.pipeline}.${this.database}.${table}`;
  }

  /** The pipeline alone, or its name with a number for each. */
  get #pipelineNames(): readonly string[] {
    const count = this.setup.pipelines;
    if (count === undefined) return [this.pipeline];
    return Array.from({ length: count }, (_, index) => `${this.pipeline}_${index}`);
  }

  #commitLogReader(pipeline: string): CommitLogReader {
    const { commitLogTopic } = this;
    const { kafka } = this.setup;
    if (!kafka || this.#commitLogType !== "kafka") {
      return new FileCommitLogReader(join(this.dir, "state", `${pipeline}.json`));
    }
    const consumer = new Consumer(kafka.brokers, topic => topic === commitLogTopic);
    this.#commitConsumers.push(consumer);
    return new TopicCommitLogReader(consumer, pipeline);
  }

  /** The tables of a pipeline, as the configuration names them. */
  #patterns(index: number): readonly string[] {
    const { pipelines, tables = allTables } = this.setup;
    if (pipelines === undefined) return [`${this.database}.*`];
    return tables
      .filter((_, number) => number % pipelines === index)
      .map(({ name }) => `${this.database}.${name}`);
  }

  get #commitLogType(): "kafka" | "file" {
    return this.setup.commitLog ?? (this.setup.kafka ? "kafka" : "file");
  }

  #sink(): unknown {
    const { setup } = this;
    const { kafka, destination } = setup;
    if (destination) return destination.sink(this);
    if (!kafka) return { type: "file", path: "out.jsonl", delivery: "effectively-once" };
    return {
      type: "kafka",
      brokers: kafka.brokers,
      topic: `${this.pipeline}.{database}.{table}`,
      delivery: "effectively-once",
      create_topics: {
        partitions: setup.partitions ?? 4,
        replication_factor: setup.replicationFactor ?? -1,
        config: setup.topicConfig ?? {},
      },
    };
  }

  #config(): unknown {
    const { setup } = this;
    const { mysql } = setup;
    const sink = this.#sink();
    return {
      source: {
        host: mysql.host,
        port: setup.mysqlPort ?? mysql.port,
        user: cdcUser.user,
        password: cdcUser.password,
        start: setup.start ?? "earliest",
      },
      pipelines: this.#pipelineNames.map((name, index) => ({
        name,
        tables: this.#patterns(index),
        format: "debezium",
        sink,
        commit_log:
          this.#commitLogType === "kafka"
            ? { type: "kafka", topic: this.commitLogTopic }
            : { type: "file", dir: "state" },
      })),
      log: { level: "info", format: "text" },
      ...setup.settings,
    };
  }

  /**
   * Starts the program, and resolves when its dump thread stands at MySQL: reading has begun. A thread that
   * is gone again at once only looked at the beginning of a file.
   */
  async startReading(): Promise<void> {
    const before = new Set(await this.dumpThreads());
    const seenMs = new Map<number, number>();
    this.product.start();
    await until(
      async () => {
        this.assertRunning();
        const threads = (await this.dumpThreads()).filter(id => !before.has(id));
        const nowMs = performance.now();
        for (const id of threads) if (!seenMs.has(id)) seenMs.set(id, nowMs);
        return threads.some(id => nowMs - (seenMs.get(id) ?? nowMs) > READING_STABLE_MS);
      },
      { what: "Tidemark reads the binlog", timeoutMs: READING_TIMEOUT_MS, intervalMs: 100 },
    );
  }

  /** Connection ids of MySQL's dump threads. */
  dumpThreads(): Promise<readonly number[]> {
    return withConnection(this.setup.mysql, async connection => {
      const [rows] = await connection.query<RowDataPacket[]>(
        "SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'",
      );
      return rows.map(row => Number(row["id"]));
    });
  }

  /** @throws if the program ended by itself. */
  assertRunning(): void {
    const { ended } = this.product;
    if (ended) throw new Error(`Tidemark ended by itself (${ended.code ?? ended.signal ?? "?"}).`);
  }

  /** Reads what has arrived since the last time. */
  async observe(): Promise<void> {
    if (this.#consumer) {
      this.#ends = await this.#consumer.readToEnd((record, place) => {
        if (record.headers["harness"] !== undefined) return;
        const delivery = this.#decoder.record(record, place);
        if (delivery) this.oracle.observe(delivery);
      });
    } else if (this.setup.destination) {
      await this.setup.destination.read(arrival => {
        this.oracle.observe(this.#decoder.arrival(arrival));
      });
    } else {
      this.#fileEnd = this.#file.readToEnd(line => {
        const delivery = this.#decoder.line(line, "file");
        if (delivery) this.oracle.observe(delivery);
      });
    }
    this.writer.throwFailure();
    this.writer.hold(this.backlog > (this.setup.backlogMax ?? 60_000));
  }

  /** Messages that have arrived, without reading them: that may take longer than they took to come. */
  async arrived(): Promise<number> {
    const ends = await this.#consumer?.ends();
    if (ends !== undefined) return [...ends.values()].reduce((sum, end) => sum + end, 0);
    await this.observe();
    return this.oracle.delivered;
  }

  /** Rows written and not delivered, as far as is known. */
  get backlog(): number {
    return this.journal.written - this.oracle.deliveredChanges;
  }

  /** Observes until something new arrives. Returns how long that took, from `sinceMs` on. */
  async awaitDelivery(sinceMs: number, timeoutMs = 120_000): Promise<number> {
    const before = this.oracle.delivered;
    await until(
      async () => {
        this.assertRunning();
        await this.observe();
        return this.oracle.delivered > before;
      },
      { what: "a new message arrives", timeoutMs },
    );
    const tookMs = performance.now() - sinceMs;
    this.recoveryMsMax = Math.max(this.recoveryMsMax, Math.round(tookMs));
    return tookMs;
  }

  /** Reads the commit log, then the topics, and compares. Returns the changes in flight. */
  async checkCommit(transactions = this.journal.transactions.length): Promise<number> {
    const records = await Promise.all(this.#commitLogs.map(log => log.read()));
    await this.observe();
    return this.oracle.checkCommit(
      records,
      (topic, partition) => this.#endOf(topic, partition),
      transactions,
    );
  }

  #endOf(topic: string, partition: string): number {
    if (this.setup.destination) return Infinity; // It has no offsets.
    return this.#consumer ? (this.#ends.get(`${topic}/${partition}`) ?? 0) : this.#fileEnd;
  }

  /** Of the first pipeline. */
  async commitRecord(): Promise<CommitRecord | undefined> {
    return this.#commitLogs[0]?.read();
  }

  /** SIGKILL, then the check that nothing is released that has not arrived. */
  async kill(): Promise<void> {
    this.assertRunning();
    await this.product.kill();
    await this.countKill();
  }

  /** What `kill` does after the kill itself, for checks that break something else at the same time. */
  async countKill(transactions = this.journal.transactions.length): Promise<void> {
    const inFlight = await this.checkCommit(transactions);
    this.kills += 1;
    if (inFlight > 0) this.killsInFlight += 1;
    progress(
      `${this.setup.name}: kill ${this.kills}, ${inFlight} changes in flight, ` +
        `${this.journal.written} written, ${this.oracle.deliveredChanges} delivered`,
    );
  }

  /** Ends the writer, and waits until everything has arrived and is released, or nothing moves any more. */
  async drain(): Promise<{ readonly unreleased: number }> {
    await this.writer.stop();
    let unreleased = await this.#drained();
    await until(
      async () => {
        unreleased = await this.checkCommit();
        return unreleased === 0;
      },
      { what: "the commit log covers everything", timeoutMs: 20_000 },
    ).catch(() => undefined);
    return { unreleased };
  }

  async #drained(): Promise<number> {
    const patienceMs = this.setup.mutant === undefined ? NO_PROGRESS_MAX_MS : NO_PROGRESS_MUTANT_MS;
    let lastDelivered = -1;
    let lastProgressMs = performance.now();
    for (;;) {
      this.assertRunning();
      await this.observe();
      // Of a compacted topic only the commit log can tell that nothing more comes.
      const missing = this.setup.compacted ? await this.checkCommit() : this.oracle.missing;
      if (missing === 0) return 0;
      if (this.oracle.delivered > lastDelivered) {
        lastDelivered = this.oracle.delivered;
        lastProgressMs = performance.now();
      } else if (performance.now() - lastProgressMs > patienceMs) {
        return missing;
      }
      await sleep(200);
    }
  }

  /** Drains, stops the program gracefully, and gives the verdict. */
  async finish(options: FinishOptions = {}): Promise<Outcome> {
    const { unreleased } = await this.drain();
    const exit = await this.product.terminate();
    const repeated = this.oracle.soFar()["duplicated"] ?? 0;
    if (this.setup.compacted) {
      // As a consumer that begins now sees it.
      this.#consumer?.rewind();
      this.oracle.forgetRows();
    }
    await this.observe();
    const verdict = this.oracle.verdict(await this.#selectVersions());
    return this.#outcome(verdict, {
      ...options,
      extra: { ...options.extra, unreleased, ...(this.setup.compacted ? { repeated } : {}) },
      conditions: { ...options.conditions, exit: exit.code === 0, released: unreleased === 0 },
    });
  }

  #outcome(verdict: Verdict, options: FinishOptions): Outcome {
    const { conditions = {} } = options;
    const { rssMaxMb = RSS_MAX_MB } = this.setup;
    const { changesMin = changesMinOf(this.setup.options) } = options;
    // Repeats are promised there, and an older value may come again as long as it is not the last.
    const judged: Record<string, number> = { ...verdict };
    if (this.setup.compacted) {
      Object.assign(judged, { duplicated: 0, out_of_order: 0 });
    }
    const broken = Object.entries(conditions).flatMap(([name, holds]) => (holds ? [] : [name]));
    const figures: Record<string, Figure> = {
      ...{ seed: 0, kills: 0, kills_in_flight: 0 },
      ...judged,
      ...this.#measured(),
      ...options.extra,
    };
    if (broken.length > 0) figures["broken"] = broken.join(", ");
    const ok =
      broken.length === 0 && oracleFaults(judged) === 0 && this.product.peakRssMb < rssMaxMb;
    const counts = { inFlight: this.killsInFlight, planned: this.kills, changes: verdict.written };
    return { ok, void: provesTooLittle(counts, changesMin), figures };
  }

  /** The outcome of a run that did not come to its end: what stood in the way is no excuse. */
  brokenDown(error: unknown): Outcome {
    const text = error instanceof Error ? error.message : String(error);
    const figures = { ...this.#measured(), ...this.oracle.soFar(), error: text };
    return { ok: false, void: false, figures };
  }

  #measured(): Record<string, Figure> {
    return {
      seed: this.setup.options.seed,
      kills: this.kills,
      kills_in_flight: this.killsInFlight,
      recovery_ms_max: this.recoveryMsMax,
      peak_rss_mb: this.product.peakRssMb,
      transactions: this.journal.transactions.length,
      largest_transaction: this.writer.largest,
      rolled_back: this.writer.rolledBack,
      seconds: Math.round((performance.now() - this.#startedAtMs) / 1000),
    };
  }

  /** By table of the journal: slot → version, as SELECT says. */
  #selectVersions(): Promise<readonly ReadonlyMap<number, number>[]> {
    return withConnection(this.setup.mysql, async connection => {
      const selected: Map<number, number>[] = [];
      for (const table of this.journal.tables) {
        const rows = new Map<number, number>();
        const columns = [...table.columns.slice(0, table.keyColumns), "version"].join(", ");
        const [found] = await connection.query<RowDataPacket[]>(
          `SELECT ${columns} FROM ${this.database}.\`${table.name}\``,
        );
        for (const row of found) rows.set(table.slot(row), Number(row["version"]));
        selected.push(rows);
      }
      return selected;
    });
  }

  /** Ends what still runs. The folder with the log stays if something failed. */
  async close(options: { keep: boolean }): Promise<void> {
    await this.writer.stop().catch(() => undefined);
    await this.product.dispose();
    this.#consumer?.close();
    await this.setup.destination?.close();
    for (const consumer of this.#commitConsumers) consumer.close();
    if (options.keep) {
      progress(`${this.setup.name}: folder ${this.dir}`);
      for (const example of this.oracle.examples) progress(`  ${example}`);
      progress(`  the end of Tidemark's log:\n${this.product.logTail()}`);
    } else {
      rmSync(this.dir, { recursive: true, force: true });
    }
    await withConnection(this.setup.mysql, connection =>
      connection.query(`DROP DATABASE IF EXISTS ${this.database}`),
    ).catch(() => undefined);
  }
}

/** How many faults the figures of an outcome show. */
export function oracleFaults(figures: Readonly<Record<string, Figure>>): number {
  const faults = ["lost", "duplicated", "out_of_order", "phantom", "stale", "commit_ahead"];
  return faults.reduce((sum, name) => sum + Number(figures[name] ?? 0), 0);
}

/** The outcomes of several campaigns as one: counts added up, measurements at their largest. */
export function combined(outcomes: readonly Outcome[]): Outcome {
  const figures: Record<string, Figure> = {};
  for (const outcome of outcomes) {
    for (const [name, value] of Object.entries(outcome.figures)) {
      const before = figures[name];
      if (typeof value !== "number" || typeof before !== "number" || name === "seed") {
        figures[name] = before ?? value;
      } else if (/_max$|_mb$|_ms$|^largest/.test(name)) {
        figures[name] = Math.max(before, value);
      } else {
        figures[name] = before + value;
      }
    }
  }
  return {
    ok: outcomes.every(({ ok }) => ok),
    void: outcomes.some(outcome => outcome.void),
    figures,
  };
}

/**
 * Campaigns of one kill each as one campaign of all of them.
 *
 * @param planned so many kills were to hit something in flight.
 */
export function asOne(
  outcomes: readonly Outcome[],
  { planned, quick }: { readonly planned: number; readonly quick: boolean },
): Outcome {
  const sum = combined(outcomes);
  const inFlight = Number(sum.figures["kills_in_flight"]);
  const changes = Number(sum.figures["written"]);
  const isVoid = provesTooLittle({ inFlight, planned, changes }, changesMinOf({ quick }));
  return { ...sum, void: sum.ok && isVoid };
}

function changesMinOf({ quick }: { readonly quick: boolean }): number {
  return quick ? 100 : 1_000;
}

interface Counts {
  /** Kills that hit something in flight, of so many that were to. */
  readonly inFlight: number;
  readonly planned: number;
  readonly changes: number;
}

function provesTooLittle({ inFlight, planned, changes }: Counts, changesMin: number): boolean {
  return inFlight < planned * 0.8 || changes < changesMin;
}

/** No campaign holds in which the program printed its password. */
function withoutSecrets({ product }: Campaign, outcome: Outcome): Outcome {
  if (!product.hasPrinted(cdcUser.password)) return outcome;
  return { ...outcome, ok: false, figures: { ...outcome.figures, password_printed: true } };
}

/** Runs a check's body on a campaign, and cleans up behind it. */
export async function withCampaign(
  setup: CampaignSetup,
  body: (campaign: Campaign) => Promise<Outcome>,
): Promise<Outcome> {
  const campaign = await Campaign.create(setup);
  let keep = true;
  try {
    const outcome = withoutSecrets(campaign, await body(campaign));
    keep = !outcome.ok;
    return outcome;
  } catch (error) {
    progressError(setup.name, error);
    return campaign.brokenDown(error);
  } finally {
    await campaign.close({ keep });
  }
}
