/**
 * The story: a shop writes, Tidemark carries, a reader reads, Tidemark is killed and comes back, and at
 * the end everything is compared.
 *
 *   MySQL ◀── shop ──▶ ledger ──┐
 *     └──▶ Tidemark ──▶ topics ─┴─▶ judge        (SELECT ─▶ compared with the mirror of the topics)
 *                └────▶ commit log ─▶ what is released
 *
 * A kill counts only if the last commit record that the killed process wrote does not cover everything
 * that MySQL had acknowledged to the shop before the signal was sent.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { createConnection, type Connection, type RowDataPacket } from "mysql2/promise";
import type { Mysql } from "../services/services.ts";
import { Arrivals } from "./arrivals.ts";
import { pipelineName, type Destination } from "./destination.ts";
import { Failure } from "./failure.ts";
import { compareRows, judge, type Verdict } from "./judge.ts";
import { Ledger } from "./ledger.ts";
import type { DemoOptions } from "./options.ts";
import { notReleased, type CommitRecord } from "./released.ts";
import { Shop } from "./shop.ts";
import { database, selectAsText, tables, type Image } from "./tables.ts";
import { Tidemark } from "./tidemark.ts";
import type { View } from "./view.ts";

export interface Stage {
  readonly mysql: Mysql;
  readonly destination: Destination;
  readonly bundle: string;
  readonly folder: string;
}

export interface Result {
  readonly target: "kafka" | "file";
  readonly written: number;
  readonly delivered: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly out_of_order: number;
  readonly phantom: number;
  readonly kills: number;
  readonly kills_in_flight: number;
  readonly in_flight_at_kill: number;
  readonly rows_per_s: number;
  readonly rows_compared: number;
  readonly rows_different: number;
  readonly examples: readonly string[];
}

const LOOK_INTERVAL_MS = 100;
const START_PATIENCE_MS = 60_000;
/** Longer than any pause that a start or a slow machine explains. */
const ARRIVAL_PATIENCE_MS = 30_000;
/** After everything has arrived: time for a message that should not come. */
const AFTERMATH_MS = 700;
const KILL_AT = 0.4;
const KILLS_MAX = 5;

const cdcUser = { user: "tidemark", password: "low tide, high tide" } as const;

export class Demo {
  readonly #stage: Stage;
  readonly #options: DemoOptions;
  readonly #view: View;
  readonly #ledger = new Ledger();
  readonly #arrivals: Arrivals;
  readonly #tidemark: Tidemark;
  #record: CommitRecord | undefined;
  #isStopped = false;
  #openedAt = 0;
  #arrivedAt = 0;
  #kills = 0;
  #killsInFlight = 0;
  #inFlight = 0;
  #looking: Promise<void> = Promise.resolve();

  constructor(stage: Stage, options: DemoOptions, view: View) {
    this.#stage = stage;
    this.#options = options;
    this.#view = view;
    this.#arrivals = new Arrivals(table => stage.destination.topicOf(table));
    this.#tidemark = new Tidemark({
      bundle: stage.bundle,
      folder: stage.folder,
      config: configuration(stage),
    });
  }

  /** At once, from anywhere. */
  async abandon(): Promise<void> {
    if (this.#tidemark.pid !== undefined) await this.#tidemark.kill();
    this.#stage.destination.close();
  }

  async run(): Promise<Result> {
    const { mysql } = this.#stage;
    const connection = await connect(mysql);
    await Shop.furnish(connection);
    await connection.query(`CREATE USER ? IDENTIFIED BY ?`, [cdcUser.user, cdcUser.password]);
    await connection.query("GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO ?", [
      cdcUser.user,
    ]);
    await this.#tidemark.start();
    await this.#until(() => this.#record !== undefined, START_PATIENCE_MS, "its first checkpoint");
    this.#view.say("Tidemark has written its first checkpoint");

    await this.#openShop();
    await this.#waitForArrival();
    this.#view.say("everything has arrived; Tidemark is asked to stop");
    await this.#tidemark.stop();
    this.#isStopped = true;
    await this.#look();
    this.#view.close();
    const result = await this.#compare(connection);
    await connection.end();
    return result;
  }

  async #openShop(): Promise<void> {
    const { mysql: version, seconds, seed } = this.#options;
    const shop = new Shop({
      connect: () => connect(this.#stage.mysql),
      ledger: this.#ledger,
      say: text => this.#view.say(text),
      ...{ version, seconds, seed },
    });
    this.#openedAt = performance.now();
    let isOpen = true;
    const business = async (): Promise<void> => {
      await shop.run();
      isOpen = false;
      this.#view.say("the shop is closed");
    };
    const watching = this.#until(() => !isOpen, (seconds + 60) * 1000, "the end of the shop");
    const killing = this.#killInFlight(shop, () => isOpen);
    await Promise.all([business(), watching, killing]);
  }

  async #killInFlight(shop: Shop, isOpen: () => boolean): Promise<void> {
    await sleep(this.#options.seconds * 1000 * KILL_AT);
    while (isOpen() && this.#killsInFlight === 0 && this.#kills < KILLS_MAX) {
      // Right after a large transaction there is most to lose; but the shop may have closed.
      await Promise.race([shop.nextBulk(), sleep(5_000)]);
      await sleep(30 + 10 * this.#kills);
      await this.#killOnce();
    }
  }

  async #killOnce(): Promise<void> {
    const written = new Map(this.#ledger.rowsByGtid);
    await this.#tidemark.kill();
    this.#kills += 1;
    // Twice: a look that was under way may have begun before the end of the process.
    await this.#look();
    await this.#look();
    const inFlight = notReleased(written, this.#record);
    if (inFlight > 0) this.#killsInFlight += 1;
    this.#inFlight = Math.max(this.#inFlight, inFlight);
    const delivered = this.#arrivals.changes;
    const view = this.#view;
    if (inFlight > 0) {
      view.say(`kill -9 hit Tidemark with ${inFlight} row changes in flight:`);
      view.say("  in MySQL, and not covered by the last commit record");
    } else view.say("kill -9 hit Tidemark, but nothing was in flight: once more");
    const startedAt = performance.now();
    await this.#tidemark.start();
    await this.#until(() => this.#arrivals.changes > delivered, START_PATIENCE_MS, "what follows");
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    this.#view.say(`Tidemark is back: ${seconds} s from its start to the next new row`);
    const isBack = (): boolean => notReleased(written, this.#record) === 0;
    await this.#until(isBack, ARRIVAL_PATIENCE_MS, "what was in flight");
    this.#view.say("everything that was in flight at the kill has been delivered and released");
  }

  /** One look after the other; each sees everything that was there when it was asked for. */
  #look(): Promise<void> {
    const look = async (): Promise<void> => {
      const { changes } = this.#arrivals;
      const add = this.#arrivals.add.bind(this.#arrivals);
      this.#record = (await this.#stage.destination.read(add)) ?? this.#record;
      if (this.#arrivals.changes > changes) this.#arrivedAt = performance.now();
      if (this.#openedAt > 0) this.#view.update(this.#figures());
    };
    this.#looking = this.#looking.then(look);
    return this.#looking;
  }

  async #until(isSo: () => boolean, patienceMs: number, what: string): Promise<void> {
    const deadline = performance.now() + patienceMs;
    while (!isSo()) {
      await this.#look();
      this.#tidemark.assertRuns();
      if (performance.now() > deadline) {
        const tail = this.#tidemark.logTail();
        throw new Failure(
          `Waited ${patienceMs / 1000} s for ${what} in vain; Tidemark's log ends: ${tail}`,
        );
      }
      await sleep(LOOK_INTERVAL_MS);
    }
  }

  /** Until everything written is delivered and released, or nothing more comes. */
  async #waitForArrival(): Promise<void> {
    let progressAt = performance.now();
    let last = "";
    for (;;) {
      await this.#look();
      this.#tidemark.assertRuns();
      const open = notReleased(this.#ledger.rowsByGtid, this.#record);
      if (open === 0 && this.#arrivals.changes >= this.#ledger.changes) break;
      const now = `${open} ${this.#arrivals.changes}`;
      if (now !== last) progressAt = performance.now();
      last = now;
      if (performance.now() - progressAt > ARRIVAL_PATIENCE_MS) {
        this.#view.say(`nothing more came for ${ARRIVAL_PATIENCE_MS / 1000} s`);
        break;
      }
      await sleep(LOOK_INTERVAL_MS);
    }
    await sleep(AFTERMATH_MS);
  }

  #figures(): Parameters<View["update"]>[0] {
    const written = this.#ledger.changes;
    return {
      target: this.#stage.destination.target,
      written,
      delivered: this.#arrivals.changes,
      released: written - notReleased(this.#ledger.rowsByGtid, this.#record),
      rowsPerSecond: this.#rowsPerSecond(),
      elapsedS: (performance.now() - this.#openedAt) / 1000,
      seconds: this.#options.seconds,
      pid: this.#tidemark.pid,
      starts: this.#tidemark.starts,
      isStopped: this.#isStopped,
    };
  }

  /** Delivered, from the opening of the shop to the last arrival. */
  #rowsPerSecond(): number {
    const seconds = (this.#arrivedAt - this.#openedAt) / 1000;
    return seconds > 0 ? Math.round(this.#arrivals.changes / seconds) : 0;
  }

  async #compare(connection: Connection): Promise<Result> {
    const verdict: Verdict = judge(this.#ledger.expected, this.#arrivals);
    let compared = 0;
    let different = 0;
    const examples = [...verdict.examples];
    const present = await presentTables(connection);
    for (const table of tables) {
      const mirror = this.#arrivals.mirror.get(table.name) ?? new Map<string, Image>();
      const rows = present.has(table.name) ? await select(connection, selectAsText(table)) : [];
      const comparison = compareRows(table, rows, mirror);
      compared += comparison.rows;
      different += comparison.different;
      examples.push(...comparison.examples);
    }
    return {
      target: this.#stage.destination.target,
      written: this.#ledger.changes,
      delivered: this.#arrivals.changes,
      lost: verdict.lost,
      duplicated: verdict.duplicated,
      out_of_order: verdict.outOfOrder,
      phantom: verdict.phantom,
      kills: this.#kills,
      kills_in_flight: this.#killsInFlight,
      in_flight_at_kill: this.#inFlight,
      rows_per_s: this.#rowsPerSecond(),
      rows_compared: compared,
      rows_different: different,
      examples,
    };
  }
}

function configuration({ mysql, destination }: Stage): Readonly<Record<string, unknown>> {
  const { host, port } = mysql;
  return {
    source: { host, port, ...cdcUser, start: "latest" },
    pipelines: [{ name: pipelineName, tables: [`${database}.*`], ...destination.settings }],
    log: { format: "text" },
  };
}

function connect({ host, port, user, password }: Mysql): Promise<Connection> {
  return createConnection({ host, port, user, password, charset: "utf8mb4" });
}

async function select(connection: Connection, sql: string): Promise<Image[]> {
  const [rows] = await connection.query<RowDataPacket[]>(sql);
  return rows;
}

async function presentTables(connection: Connection): Promise<ReadonlySet<unknown>> {
  const rows = await select(connection, "SHOW TABLES");
  return new Set(rows.flatMap(row => Object.values(row)));
}
