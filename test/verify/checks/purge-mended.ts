/**
 * The binlog behind the checkpoint is removed under load, and `on_lost_position: snapshot` has to mend it without
 * hands: a consumer that applies what comes, partition by partition, ends with exactly the tables. Kills hit it while
 * it tells of the gap and while it reads the rows, and once the binlog is removed again in the middle of that.
 */
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RowDataPacket } from "mysql2/promise";
import type { Kafka, Mysql } from "../../../tools/services/services.ts";
import type { Outcome } from "../campaign.ts";
import { Consumer } from "../consumer.ts";
import { Ledger } from "../handover/ledger.ts";
import { DATABASE, createTable, fillTable, tables } from "../handover/tables.ts";
import { HandoverWriter } from "../handover/writer.ts";
import { MendedCopy } from "../mended-copy.ts";
import { rounds } from "../options.ts";
import { Product, builtBundle } from "../product.ts";
import { progress, progressError } from "../progress.ts";
import { Random } from "../random.ts";
import { cdcUser, withConnection } from "../servers.ts";
import { sleep, until } from "../wait.ts";
import type { CheckContext } from "./check.ts";

export type Moment = "stopped" | "reconnect";

const TRANSACTIONS_PER_SECOND = 200;
const PARTITIONS = 3;
const LOAD_MS = 10_000;
const QUICK_LOAD_MS = 4_000;
const LOST_MS = 3_000;
const LOOK_MS = 50;
const WHOLE_LOOK_MS = 500;
const PATIENCE_MS = 300_000;
const COPY_S = 20;
/** Of the rows, those that are to be read behind the last kill. */
const LEFT_ALONE = 0.2;

let serial = 0;

export async function purgeMended(context: CheckContext, moment: Moment): Promise<Outcome> {
  const { options, servers, mutant } = context;
  const [mysql, kafka] = await Promise.all([servers.mysql(), servers.kafka(1)]);
  const rows = options.quick ? 4_000 : 50_000;
  const run = new Mended({ mysql, kafka, rows, seed: options.seed, mutant, moment });
  const kills = options.kills ?? rounds(options, 10, 3);
  try {
    await run.prepare();
    await run.lose(options.quick ? QUICK_LOAD_MS : LOAD_MS);
    const inside = await run.mend(kills);
    return await run.judged({ kills, inside });
  } catch (error) {
    progressError(`purge ${moment}`, error);
    return { ok: false, void: false, figures: { ...run.figures, error: String(error) } };
  } finally {
    await run.close();
  }
}

interface MendedOptions {
  readonly mysql: Mysql;
  readonly kafka: Kafka;
  /** In each table. */
  readonly rows: number;
  readonly seed: number;
  readonly mutant: string | undefined;
  readonly moment: Moment;
}

class Mended {
  readonly #options: MendedOptions;
  readonly #name: string;
  readonly #dir = mkdtempSync(join(tmpdir(), "tidemark-mended-"));
  readonly #ledger: Ledger;
  readonly #writer: HandoverWriter;
  readonly #product: Product;
  readonly #consumer: Consumer;
  readonly #copy: MendedCopy;
  readonly #random: Random;
  #deletedInGap = 0;

  constructor(options: MendedOptions) {
    const { mysql, kafka, rows, seed, mutant, moment } = options;
    serial += 1;
    this.#options = options;
    this.#name = `mended_${moment}_${process.pid}_${serial}`;
    this.#ledger = new Ledger(tables.length, rows);
    this.#random = new Random(seed, `mended ${moment}`);
    this.#writer = new HandoverWriter({
      ...{ mysql, seed, ledger: this.#ledger, transactionsPerSecond: TRANSACTIONS_PER_SECOND },
    });
    this.#copy = new MendedCopy(tables.map(({ name }) => `${this.#name}.${DATABASE}.${name}`));
    this.#consumer = new Consumer(kafka.brokers, topic => topic.startsWith(`${this.#name}.`));
    const config = join(this.#dir, "tidemark.yaml");
    writeFileSync(config, JSON.stringify(this.#config(), null, 2));
    const bundle = join(this.#dir, "tidemark.mjs");
    copyFileSync(builtBundle(mutant), bundle);
    this.#product = new Product({ bundle, config, dir: this.#dir });
  }

  #config(): unknown {
    const { mysql, kafka, rows } = this.#options;
    return {
      source: {
        ...{ host: mysql.host, port: mysql.port, ...cdcUser },
        on_lost_position: "snapshot",
        // Slow enough for kills to find it at work.
        snapshot: { batch_rows: 500, rows_per_s: Math.ceil((rows * tables.length) / COPY_S) },
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

  /** The tables are filled before the stream begins: a consumer has none of these rows until they change. */
  async prepare(): Promise<void> {
    const { mysql, rows } = this.#options;
    await withConnection(mysql, async connection => {
      await connection.query(`DROP DATABASE IF EXISTS ${DATABASE}`);
      await connection.query(`CREATE DATABASE ${DATABASE}`);
      await connection.query(`GRANT SELECT ON ${DATABASE}.* TO '${cdcUser.user}'@'%'`);
      for (const [index, table] of tables.entries()) {
        await connection.query(createTable(table));
        await connection.query(fillTable(table, rows, this.#ledger.firstVersion(index)));
      }
    });
  }

  /** Stops it, or holds it up between its dump thread's end and its reconnect, and removes what it has not read. */
  async lose(loadMs: number): Promise<void> {
    const { moment, mysql } = this.#options;
    this.#product.start();
    await this.#until(() => this.#isRunning, "the stream begins");
    this.#writer.start();
    await this.#until(() => this.#copy.changes > 100, "changes arrive");
    await sleep(loadMs);
    if (moment === "stopped") await this.#product.kill();
    else await this.#holdUp();
    await this.#read();
    await sleep(LOST_MS);
    await purgeBinlog(mysql);
    const there = await this.#selected();
    this.#deletedInGap = this.#copy.rowsBeside(there);
    if (moment === "stopped") this.#product.start();
    else this.#product.signal("SIGCONT");
  }

  get #isRunning(): boolean {
    return this.#product.logTail(20).includes("begins without a checkpoint");
  }

  async #holdUp(): Promise<void> {
    this.#product.signal("SIGSTOP");
    const find =
      "SELECT ID AS id FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog Dump%'";
    await withConnection(this.#options.mysql, async connection => {
      await until(
        async () => {
          const [threads] = await connection.query<RowDataPacket[]>(find);
          for (const { id } of threads) {
            await connection.query(`KILL ${String(id)}`).catch(() => undefined);
          }
          return threads.length === 0;
        },
        { what: "the dump thread is gone", timeoutMs: PATIENCE_MS, intervalMs: 100 },
      );
    });
  }

  /** @returns how many kills came before all was told and read. */
  async mend(kills: number): Promise<number> {
    const all = this.#options.rows * tables.length;
    let inside = 0;
    for (let kill = 0; kill < kills; kill += 1) {
      const run = this.#copy.runs.size;
      // The first ones while the gap is told, the others while rows come.
      if (kill < Math.ceil(kills / 3)) {
        await this.#until(() => this.#copy.runs.size > 0, "the first that tells of the gap");
        await sleep(this.#random.int(0, 150));
      } else {
        const share = ((kill + this.#random.next()) / kills) * (1 - LEFT_ALONE);
        const isThere = (): boolean => this.#copy.readsOfLastRun >= share * all;
        await this.#until(() => isThere() || this.#isCopied, `${share} of the rows`);
      }
      if (!this.#isCopied) inside += 1;
      await this.#product.kill();
      await this.#read();
      progress(
        `purge: killed after ${this.#copy.readsOfLastRun} rows, ${run} gaps, ${this.#copy.markers} markers`,
      );
      // Once it is lost again in the middle.
      if (kill === Math.floor(kills / 2)) await purgeBinlog(this.#options.mysql);
      this.#product.start();
    }
    return inside;
  }

  get #isCopied(): boolean {
    return this.#product.logTail(20).includes("tables_left=0");
  }

  async judged({ kills, inside }: { kills: number; inside: number }): Promise<Outcome> {
    await this.#until(() => this.#isCopied, "all rows are read");
    await sleep(2_000);
    await this.#writer.stop();
    const selected = await this.#selected();
    const isWhole = (): boolean => this.#copy.differences(selected) === 0;
    await this.#until(isWhole, "everything to arrive", WHOLE_LOOK_MS).catch((error: unknown) =>
      progressError("purge", error),
    );
    const { code } = await this.#product.terminate();
    await this.#read();
    const differences = this.#copy.differences(selected);
    const { duplicated, stale, untold } = this.#copy.faults(PARTITIONS);
    for (const example of this.#copy.examples) progress(`  ${example}`);
    const faults = { differences, duplicated, stale, untold };
    const ok = Object.values(faults).every(count => count === 0) && code === 0;
    const isVoid =
      inside < kills * 0.8 || this.#deletedInGap === 0 || this.#ledger.committed.size < 1_000;
    return {
      ok,
      void: ok && isVoid,
      figures: { ...this.figures, ...faults, kills, kills_inside: inside },
    };
  }

  get figures(): Record<string, number | string> {
    const { seed, rows, moment } = this.#options;
    return {
      ...{ moment, seed, rows: rows * tables.length, written: this.#ledger.committed.size },
      ...{ changes: this.#copy.changes, reads: this.#copy.reads },
      ...{ gaps: this.#copy.runs.size, deleted_in_gap: this.#deletedInGap },
    };
  }

  async #until(condition: () => boolean, what: string, intervalMs = LOOK_MS): Promise<void> {
    await until(
      async () => {
        if (this.#product.ended) throw new Error(`Tidemark ended:\n${this.#product.logTail(8)}`);
        await this.#read();
        return condition();
      },
      { what, timeoutMs: PATIENCE_MS, intervalMs },
    );
  }

  async #read(): Promise<void> {
    await this.#consumer.readToEnd((record, place) => this.#copy.take(record, place));
  }

  /** By table: slot → version. */
  #selected(): Promise<readonly ReadonlyMap<number, number>[]> {
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
    await this.#product.dispose();
    this.#consumer.close();
    rmSync(this.#dir, { recursive: true, force: true });
    await withConnection(this.#options.mysql, connection =>
      connection.query(`DROP DATABASE IF EXISTS ${DATABASE}`),
    );
  }
}

/** All files but the one that begins now. */
async function purgeBinlog(mysql: Mysql): Promise<void> {
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
      { what: "the binlog is purged", timeoutMs: PATIENCE_MS, intervalMs: 500 },
    );
  });
}
