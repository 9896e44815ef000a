/**
 * One program with a pipeline to each kind of destination, all of the same table. By turns nothing is
 * blocked, and one destination takes nothing: then more is written than its pipeline may hold, and the
 * others have to get it as fast as when nothing is blocked, and single rows as soon. Mended, the blocked
 * one gets all of it too.
 *
 *   a turn:  block ─▶ burst ─▶ the others have it ─▶ single rows ─▶ unblock ─▶ everybody has everything
 */
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Connection } from "mysql2/promise";
import { freePort } from "../../../tools/services/ports.ts";
import type { Mysql } from "../../../tools/services/services.ts";
import type { Figure, Outcome } from "../campaign.ts";
import {
  CountedFile,
  CountedKafka,
  CountedRabbitmq,
  CountedSqs,
  CountedWebhook,
  type Counted,
} from "../counted.ts";
import { Probe } from "../probe.ts";
import { builtBundle, Product } from "../product.ts";
import { progress } from "../progress.ts";
import { cdcUser, withConnection } from "../servers.ts";
import { until } from "../wait.ts";
import type { CheckContext } from "./check.ts";
import { median } from "../../../bench/round.ts";

const DATABASE = "v_isolation";
/** A burst is larger than a pipeline's share of the memory, so the blocked one stops reading. */
const BURST_ROWS = 1_200;
const BODY_BYTES = 5_000;
const MEMORY = "20MB";
const STATEMENT_ROWS = 100;
const SINGLE_ROWS = 8;
/** Of the rate when nothing is blocked, by medians: of all the others together, and of each alone. */
const RATE_KEPT_MIN = 0.8;
const RATE_KEPT_BY_ONE_MIN = 0.6;
/** A single row may take so much longer: a flush interval, and what the machine does otherwise. */
const DELAY_MORE_MAX_MS = 150;
const RSS_MAX_MB = 400;
const TIMEOUT_MS = 120_000;

interface Timing {
  readonly burstMs: number;
  readonly delayMs: number;
}

/** How one did while another was blocked, beside the turns before and after. */
interface Comparison {
  readonly blocked: Counted;
  readonly other: Counted;
  readonly kept: number;
  readonly moreMs: number;
}

/** By destination. */
type Timings = ReadonlyMap<Counted, Timing>;

export async function isolation(context: CheckContext): Promise<Outcome> {
  const { servers } = context;
  const mysql = await servers.mysql();
  const dir = mkdtempSync(join(tmpdir(), "tidemark-verify-isolation-"));
  const destinations: readonly Counted[] = [
    new CountedKafka(await servers.kafka(1), "isolation.rows"),
    new CountedSqs(await servers.elasticmq(), "isolation"),
    new CountedRabbitmq(await servers.rabbitmq(), "isolation"),
    new CountedWebhook(),
    new CountedFile(join(dir, "out.jsonl")),
  ];
  for (const destination of destinations) await destination.prepare();
  const config = join(dir, "tidemark.yaml");
  const httpPort = await freePort();
  writeFileSync(config, JSON.stringify(configuration(mysql, destinations, httpPort)));
  const probe = new Probe(`http://127.0.0.1:${httpPort}`);
  const environment = Object.assign({}, ...destinations.map(one => one.environment)) as Record<
    string,
    string
  >;
  // A copy: a build that ends in the meantime must not change what is tested.
  const bundle = join(dir, "tidemark.mjs");
  copyFileSync(builtBundle(context.mutant), bundle);
  const product = new Product({ bundle, config, dir, environment });
  try {
    await makeTable(mysql);
    product.start();
    return await withConnection(mysql, connection =>
      new Turns(context, { destinations, connection, product, probe }).run(),
    );
  } catch (error) {
    progress(`isolation: the end of Tidemark's log:\n${product.logTail()}`);
    throw error;
  } finally {
    await product.dispose();
    for (const destination of destinations) {
      destination.unblock?.();
      await destination.close().catch(() => undefined);
    }
    rmSync(dir, { recursive: true, force: true });
    await withConnection(mysql, connection =>
      connection.query(`DROP DATABASE IF EXISTS ${DATABASE}`),
    );
  }
}

class Turns {
  readonly #context: CheckContext;
  readonly #destinations: readonly Counted[];
  readonly #connection: Connection;
  readonly #product: Product;
  readonly #probe: Probe;
  #written = 0;
  /** Turns in which the blocked pipeline had all that it may hold. */
  #full = 0;

  constructor(
    context: CheckContext,
    parts: {
      readonly destinations: readonly Counted[];
      readonly connection: Connection;
      readonly product: Product;
      readonly probe: Probe;
    },
  ) {
    this.#context = context;
    this.#destinations = parts.destinations;
    this.#connection = parts.connection;
    this.#product = parts.product;
    this.#probe = parts.probe;
  }

  async run(): Promise<Outcome> {
    const rounds = this.#context.options.quick ? 5 : 9;
    const blockable = this.#destinations.filter(({ block }) => block !== undefined);
    const comparisons: Comparison[] = [];
    await this.#turn(undefined); // Warms up all of them.
    let before = await this.#turn(undefined);
    for (let round = 0; round < rounds; round += 1) {
      for (const blocked of blockable) {
        const during = await this.#turn(blocked);
        const after = await this.#turn(undefined);
        comparisons.push(...compare(blocked, { before, during, after }));
        before = after;
      }
      progress(`isolation: round ${round + 1} of ${rounds}`);
    }
    return this.#judge(comparisons, rounds * blockable.length);
  }

  async #turn(blocked: Counted | undefined): Promise<Timings> {
    const others = this.#destinations.filter(destination => destination !== blocked);
    blocked?.block?.();
    try {
      const sinceMs = performance.now();
      for (let rows = 0; rows < BURST_ROWS; rows += STATEMENT_ROWS) {
        await this.#insert(STATEMENT_ROWS);
      }
      const bursts = await this.#arrivals(others, sinceMs);
      if (blocked !== undefined && (await this.#isFull(blocked))) this.#full += 1;
      const delays = new Map(others.map(destination => [destination, [] as number[]]));
      for (let row = 0; row < SINGLE_ROWS; row += 1) {
        const writtenMs = performance.now();
        await this.#insert(1);
        const arrivals = await this.#arrivals(others, writtenMs);
        for (const [destination, ms] of arrivals) delays.get(destination)?.push(ms);
      }
      return new Map(
        others.map(destination => [
          destination,
          {
            burstMs: bursts.get(destination) ?? 0,
            delayMs: median(delays.get(destination) ?? []),
          },
        ]),
      );
    } finally {
      blocked?.unblock?.();
      await this.#arrivals(this.#destinations, performance.now());
      for (const destination of this.#destinations) await destination.forget?.();
    }
  }

  async #isFull({ kind }: Counted): Promise<boolean> {
    const { waiting } = await this.#probe.look();
    const name = `pipeline="${pipelineOf(kind)}"`;
    return waiting.some(line => line.includes(name) && line.includes('cause="memory"'));
  }

  async #insert(rows: number): Promise<void> {
    const body = "b".repeat(BODY_BYTES);
    const values = Array.from({ length: rows }, (_, n) => [this.#written + n, body]);
    await this.#connection.query(`INSERT INTO ${DATABASE}.rows_ VALUES ?`, [values]);
    this.#written += rows;
  }

  /** After how many milliseconds each of them has all that was written. */
  async #arrivals(
    destinations: readonly Counted[],
    sinceMs: number,
  ): Promise<ReadonlyMap<Counted, number>> {
    const arrivals = new Map<Counted, number>();
    const look = async (destination: Counted): Promise<void> => {
      if (arrivals.has(destination) || (await destination.count()) < this.#written) return;
      arrivals.set(destination, performance.now() - sinceMs);
    };
    const isEverywhere = async (): Promise<boolean> => {
      if (!this.#product.isRunning) throw new Error("Tidemark has ended by itself.");
      await Promise.all(destinations.map(look));
      return arrivals.size === destinations.length;
    };
    const what = "what was written arrives";
    await until(isEverywhere, { what, timeoutMs: TIMEOUT_MS, intervalMs: 10 });
    return arrivals;
  }

  async #judge(comparisons: readonly Comparison[], blockedTurns: number): Promise<Outcome> {
    const figures: Record<string, Figure> = {
      blocked_turns: blockedTurns,
      blocked_full: this.#full,
      written: this.#written,
      lost: await this.#lost(),
    };
    let keepsAll = true;
    let delayMoreMs = -Infinity;
    for (const blocked of this.#destinations.filter(({ block }) => block !== undefined)) {
      const ofAll = comparisons.filter(one => one.blocked === blocked);
      const keptByAll = median(ofAll.map(({ kept }) => kept));
      figures[`rate_kept_${blocked.kind}_blocked`] = Math.round(keptByAll * 100) / 100;
      keepsAll &&= keptByAll >= RATE_KEPT_MIN;
      for (const other of this.#destinations.filter(one => one !== blocked)) {
        const ofOther = ofAll.filter(one => one.other === other);
        const kept = median(ofOther.map(one => one.kept));
        const more = median(ofOther.map(({ moreMs }) => moreMs));
        keepsAll &&= kept >= RATE_KEPT_BY_ONE_MIN;
        delayMoreMs = Math.max(delayMoreMs, more);
        progress(
          `isolation: ${blocked.kind} blocked: ${other.kind} keeps ${kept.toFixed(2)} of its rate, ` +
            `and a row takes ${Math.round(more)} ms more`,
        );
      }
    }
    figures["delay_more_max_ms"] = Math.round(delayMoreMs);
    const exit = await this.#product.terminate();
    figures["peak_rss_mb"] = this.#product.peakRssMb;
    const ok =
      figures["lost"] === 0 &&
      exit.code === 0 &&
      keepsAll &&
      delayMoreMs <= DELAY_MORE_MAX_MS &&
      this.#product.peakRssMb <= RSS_MAX_MB;
    return { ok, void: ok && this.#full < blockedTurns, figures };
  }

  async #lost(): Promise<number> {
    const counts = await Promise.all(this.#destinations.map(destination => destination.count()));
    return counts.reduce((lost, count) => lost + Math.abs(this.#written - count), 0);
  }
}

const pipelineOf = (kind: string): string => `isolation_${kind}`;

function configuration(mysql: Mysql, destinations: readonly Counted[], httpPort: number): object {
  const { host, port } = mysql;
  return {
    source: { host, port, ...cdcUser, start: "earliest" },
    queue: { memory: MEMORY },
    http: { port: httpPort },
    pipelines: destinations.map(destination => ({
      name: pipelineOf(destination.kind),
      tables: [`${DATABASE}.*`],
      sink: destination.sink(),
      commit_log: { type: "file", dir: "state" },
    })),
  };
}

async function makeTable(mysql: Mysql): Promise<void> {
  await withConnection(mysql, async connection => {
    await connection.query(`DROP DATABASE IF EXISTS ${DATABASE}`);
    await connection.query(`CREATE DATABASE ${DATABASE}`);
    await connection.query(`CREATE TABLE ${DATABASE}.rows_ (id INT PRIMARY KEY, body TEXT)`);
    const reset = mysql.version === "mysql-8" ? "RESET MASTER" : "RESET BINARY LOGS AND GTIDS";
    await connection.query(reset);
  });
}

/** A machine that does other things is fast in one minute and slow in the next: so neighbours are compared. */
function compare(
  blocked: Counted,
  turns: { readonly before: Timings; readonly during: Timings; readonly after: Timings },
): readonly Comparison[] {
  return [...turns.during].map(([other, { burstMs, delayMs }]) => {
    const [before, after] = [turns.before.get(other), turns.after.get(other)];
    const freeMs = ((before?.burstMs ?? 0) + (after?.burstMs ?? 0)) / 2;
    const freeDelayMs = ((before?.delayMs ?? 0) + (after?.delayMs ?? 0)) / 2;
    return { blocked, other, kept: freeMs / burstMs, moreMs: delayMs - freeDelayMs };
  });
}
