/**
 * An instance is stopped under load with unsent rows in its hands, another one takes its place, and the
 * first goes on as if nothing had happened: nothing may be lost or arrive twice, and the first has to end
 * by itself. Once with the broker's own expirations, once with short ones, where every second successor
 * begins so late that the broker has forgotten the identity of the one it follows.
 */
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { startKafka, type Kafka } from "../../../tools/services/services.ts";
import { combined, withCampaign, type Campaign, type Outcome } from "../campaign.ts";
import { rounds, stallMs } from "../options.ts";
import { Product } from "../product.ts";
import { progress } from "../progress.ts";
import { brokerProperties } from "../servers.ts";
import { sleep, until } from "../wait.ts";
import type { CheckContext } from "./check.ts";

interface Plan {
  readonly name: string;
  readonly mysql: "mysql-8" | "mysql-9";
  /** After which the broker forgets ids and epochs; undefined for its defaults. */
  readonly expirationMs: number | undefined;
}

const ROUNDS = 20;
const STOPPED_MS = 60_000;
/** Longer than what others wait for an instance that does not answer. */
const MARGIN_MS = 10_000;
const CLEANUP_MS = 2_000;
const TAKEN_OVER = 75;
/** Two campaigns share the machine. */
const ROWS_PER_SECOND = 600;

export async function zombie(context: CheckContext): Promise<Outcome> {
  const { options } = context;
  const plans: readonly Plan[] = [
    { name: "zombie", mysql: "mysql-9", expirationMs: undefined },
    { name: "zombie_expired", mysql: "mysql-8", expirationMs: stallMs(options, STOPPED_MS) },
  ];
  const outcomes = await Promise.all(plans.map(plan => stoppedAndResumed(context, plan)));
  return combined(outcomes);
}

/** For a build that is wrong on purpose: the broker's defaults are enough. */
export function zombieOnce(context: CheckContext): Promise<Outcome> {
  return stoppedAndResumed(context, {
    name: "zombie",
    mysql: "mysql-9",
    expirationMs: undefined,
  });
}

async function stoppedAndResumed(
  { options, servers, mutant }: CheckContext,
  plan: Plan,
): Promise<Outcome> {
  const { name, expirationMs } = plan;
  const properties = { ...brokerProperties, ...expirations(expirationMs) };
  const kafka = await startKafka({ properties });
  const mysql = await servers.mysql(plan.mysql);
  try {
    const setup = {
      name,
      options,
      mutant,
      mysql,
      kafka,
      rowsPerSecond: ROWS_PER_SECOND,
      ddl: false,
    };
    return await withCampaign(setup, async campaign => {
      const run = new Rounds(campaign, kafka, plan);
      try {
        return await run.all(rounds(options, ROUNDS, 2));
      } finally {
        await run.dispose();
      }
    });
  } finally {
    await kafka.stop();
  }
}

function expirations(ms: number | undefined): Readonly<Record<string, string>> {
  if (ms === undefined) return {};
  return {
    "transactional.id.expiration.ms": String(ms),
    "producer.id.expiration.ms": String(ms),
    "transaction.remove.expired.transaction.cleanup.interval.ms": String(CLEANUP_MS),
    "producer.id.expiration.check.interval.ms": String(CLEANUP_MS),
  };
}

class Rounds {
  readonly #campaign: Campaign;
  readonly #kafka: Kafka;
  readonly #plan: Plan;
  readonly #products: Product[] = [];
  #ended75 = 0;
  #late = 0;
  #forgotten = 0;

  constructor(campaign: Campaign, kafka: Kafka, plan: Plan) {
    this.#campaign = campaign;
    this.#kafka = kafka;
    this.#plan = plan;
  }

  async all(count: number): Promise<Outcome> {
    const campaign = this.#campaign;
    let current = this.#product();
    current.start();
    campaign.writer.start();
    await campaign.awaitDelivery(current.startedAtMs);
    for (let round = 1; round <= count; round += 1) {
      // The last one is the campaign's own, which it ends in an orderly way.
      const next = round === count ? campaign.product : this.#product();
      await this.#round(current, next, round % 2 === 0);
      current = next;
    }
    return campaign.finish({
      extra: {
        rounds: count,
        ended_with_75: this.#ended75,
        late_rounds: this.#late,
        forgotten_identities: this.#forgotten,
      },
      conditions: {
        first_ends_with_75: this.#ended75 === count,
        identities_expire: this.#forgotten === this.#late,
      },
    });
  }

  /** A process of its own with the configuration of the campaign. */
  #product(): Product {
    const { dir, product } = this.#campaign;
    const place = join(dir, `instance-${this.#products.length}`);
    mkdirSync(place);
    const config = join(dir, "tidemark.yaml");
    const made = new Product({ bundle: product.bundle, config, dir: place });
    this.#products.push(made);
    return made;
  }

  async #round(first: Product, second: Product, isEven: boolean): Promise<void> {
    const campaign = this.#campaign;
    const { random, setup } = campaign;
    const { expirationMs } = this.#plan;
    const stoppedMs = stallMs(setup.options, STOPPED_MS) + MARGIN_MS;
    const isLate = expirationMs !== undefined && isEven;
    await sleep(random.int(1_000, 3_000));
    await this.#stopWithRowsInHand(first);
    const stoppedAtMs = performance.now();
    await campaign.countKill();
    if (isLate) {
      this.#late += 1;
      await this.#observeUntil(stoppedAtMs + expirationMs + 3 * CLEANUP_MS);
    } else {
      await this.#observeUntil(stoppedAtMs + random.int(500, 5_000));
    }
    second.start();
    await campaign.awaitDelivery(second.startedAtMs);
    if (isLate && identityOf(second) !== identityOf(first)) this.#forgotten += 1;
    await this.#observeUntil(stoppedAtMs + stoppedMs);
    first.signal("SIGCONT");
    const resumedAtMs = performance.now();
    await until(() => Promise.resolve(first.ended !== undefined), {
      what: "the first instance ends",
      timeoutMs: 60_000,
    });
    const { code } = await first.exit();
    if (code === TAKEN_OVER) this.#ended75 += 1;
    const tookMs = Math.round(performance.now() - resumedAtMs);
    progress(`${setup.name}: the first ended with ${code} after ${tookMs} ms: ${lastLine(first)}`);
    if (second.ended) throw new Error(`The second ended too (${second.ended.code}).`);
  }

  /** The broker stands still first, so that rows gather which the instance has not sent. */
  async #stopWithRowsInHand(first: Product): Promise<void> {
    const nodes = this.#kafka.nodes;
    for (const node of nodes) node.kill("SIGSTOP");
    try {
      await sleep(this.#campaign.random.int(800, 1_500));
      first.signal("SIGSTOP");
    } finally {
      for (const node of nodes) node.kill("SIGCONT");
    }
  }

  /** Also lets the writer go on, which waits for what was seen. */
  async #observeUntil(atMs: number): Promise<void> {
    while (performance.now() < atMs) {
      await this.#campaign.observe();
      await sleep(Math.max(10, Math.min(500, atMs - performance.now())));
    }
  }

  async dispose(): Promise<void> {
    await Promise.all(this.#products.map(product => product.dispose()));
  }
}

/** The producer id that an instance took last, as its log says. */
function identityOf({ logFile }: Product): string | undefined {
  return [...readFileSync(logFile, "utf8").matchAll(/producer_id\W+(\d+)/g)].at(-1)?.[1];
}

function lastLine(product: Product): string {
  return product.logTail(1).slice(0, 300);
}
