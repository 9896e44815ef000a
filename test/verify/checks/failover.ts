/**
 * Two servers that replicate from one another by GTID, and three moves of the writer and the pipeline from
 * one to the other: in good order, by SIGKILL, and to a replica that lags behind what was delivered. Before
 * each the program is held up with rows in hand, also inside transactions, so that it has something to lose.
 *
 * Replication does not wait for the replica. So that nothing is gone with a server but what is meant to be,
 * the writer rests before each move until the replica has everything; the program is behind by then. At
 * the end a server is lost with one transaction that only it and the destination have.
 */
import { readFileSync } from "node:fs";
import { ask } from "../../../tools/services/mysql-statements.ts";
import {
  executed,
  follow,
  promote,
  replicaArgs,
  whenExecuted,
} from "../../../tools/services/replication.ts";
import type { Mysql } from "../../../tools/services/services.ts";
import { withCampaign, type Campaign, type Outcome } from "../campaign.ts";
import { GtidRanges } from "../gtids.ts";
import { MovingServer } from "../moving-server.ts";
import { progress } from "../progress.ts";
import { cdcUser, startSource } from "../servers.ts";
import { sleep, until } from "../wait.ts";
import type { CheckContext } from "./check.ts";

const LOAD_MS = 20_000;
const QUICK_LOAD_MS = 5_000;
/** How long the program is held up while the writer goes on. */
const HELD_MS = 2_000;
const LAG_MS = 8_000;
const END_TIMEOUT_MS = 180_000;
const INSIDE = /inside the transaction that begins there/g;
const BEHIND = /may still get them/;

export async function failover({ options, servers }: CheckContext): Promise<Outcome> {
  const kafka = await servers.kafka(1);
  const [first, second] = await Promise.all([
    startSource("mysql-9", []),
    startSource("mysql-9", replicaArgs(2)),
  ]);
  const current = new MovingServer(first);
  const { user, password } = cdcUser;
  const hosts = [first, second].map(({ host, port }) => `${host}:${port}`);
  const setup = {
    ...{ name: "failover", options, kafka, mysql: current, moves: true, ddl: false },
    settings: { source: { hosts, user, password, start: "earliest" } },
  };
  try {
    return await withCampaign(setup, campaign =>
      new Moves(campaign, { current, first, second }).all(options.quick ? QUICK_LOAD_MS : LOAD_MS),
    );
  } finally {
    await Promise.all([first.stop(), second.stop()]);
  }
}

interface Pair {
  readonly current: MovingServer;
  readonly first: Mysql;
  readonly second: Mysql;
}

class Moves {
  readonly #campaign: Campaign;
  readonly #pair: Pair;

  constructor(campaign: Campaign, pair: Pair) {
    this.#campaign = campaign;
    this.#pair = pair;
  }

  async all(loadMs: number): Promise<Outcome> {
    const campaign = this.#campaign;
    const { first, second } = this.#pair;
    await ask(second, "RESET BINARY LOGS AND GTIDS");
    await follow(second, first);
    campaign.product.start();
    campaign.writer.start();
    await campaign.awaitDelivery(campaign.product.startedAtMs);

    await this.#observeFor(loadMs);
    await this.#move(first, second, { end: () => first.stop() });
    await this.#observeFor(loadMs);
    await this.#move(second, first, { end: () => killed(second) });
    await this.#observeFor(loadMs);
    const behindBefore = this.#timesBehind;
    await ask(second, "STOP REPLICA SQL_THREAD");
    await this.#observeFor(loadMs / 2);
    await this.#move(first, second, {
      end: () => killed(first),
      lags: true,
    });
    await this.#observeFor(loadMs);

    const waited = this.#timesBehind > behindBefore;
    const { log } = this;
    const outcome = await campaign.finish({
      conditions: {
        moved: (log.match(/SOURCE_CHANGED/g) ?? []).length === 3,
        waited_for_the_lagging_replica: waited,
      },
      extra: { moves: 3, moves_inside_a_transaction: (log.match(INSIDE) ?? []).length },
    });
    const { isNamed, ...errant } = await this.#errant();
    return { ...outcome, ok: outcome.ok && isNamed, figures: { ...outcome.figures, ...errant } };
  }

  get log(): string {
    return readFileSync(this.#campaign.product.logFile, "utf8");
  }

  get #timesBehind(): number {
    return this.log.split("\n").filter(line => BEHIND.test(line)).length;
  }

  /** `end` ends the server `from`, while the program has rows in hand and the replica has everything. */
  async #move(
    from: Mysql,
    to: Mysql,
    { end, lags = false }: { end: () => Promise<void>; lags?: boolean },
  ): Promise<void> {
    const campaign = this.#campaign;
    const { product, writer } = campaign;
    product.signal("SIGSTOP");
    await sleep(HELD_MS);
    await writer.pause();
    const all = await executed(from);
    if (lags) await whenReceived(to, all);
    else await whenExecuted(to, all);
    await end();
    await campaign.countKill();
    product.signal("SIGCONT");
    const resumedAtMs = performance.now();
    if (lags) {
      await sleep(LAG_MS);
      await ask(to, "START REPLICA SQL_THREAD");
      await whenExecuted(to, all);
    }
    await promote(to);
    this.#pair.current.now = to;
    writer.resume();
    await campaign.awaitDelivery(resumedAtMs);
    // Before that the old one could be preferred again.
    await until(async () => (await campaign.dumpThreads()).length > 0, {
      what: "the program reads the other server",
      timeoutMs: END_TIMEOUT_MS,
    });
    progress(`failover: moved on, ${campaign.oracle.deliveredChanges} changes delivered`);
    await from.start();
    await follow(from, to);
  }

  /** The writer waits for what was seen, so that has to go on. */
  async #observeFor(ms: number): Promise<void> {
    const endMs = performance.now() + ms;
    while (performance.now() < endMs) {
      await this.#campaign.observe();
      await sleep(200);
    }
  }

  /** The server that is read is lost with a transaction that no other one has. */
  async #errant() {
    const campaign = this.#campaign;
    const { first, second } = this.#pair;
    await whenExecuted(first, await executed(second));
    await promote(first);
    const before = await executed(second);
    await ask(second, `DELETE FROM ${campaign.database}.orders LIMIT 1`);
    const [row] = await ask(
      second,
      `SELECT GTID_SUBTRACT(@@GLOBAL.gtid_executed, '${before}') AS gtid`,
    );
    const gtid = String(row?.["gtid"]);
    await first.stop();
    campaign.product.start();
    await until(
      async () => {
        campaign.assertRunning();
        const record = await campaign.commitRecord();
        return record !== undefined && new GtidRanges(record.gtid_set).has(gtid);
      },
      { what: "the errant transaction is delivered", timeoutMs: END_TIMEOUT_MS },
    );
    await first.start();
    second.kill("SIGKILL");
    const killedAtMs = performance.now();
    await until(() => campaign.product.ended !== undefined, {
      what: "the program ends",
      timeoutMs: END_TIMEOUT_MS,
    });
    const errantExit = campaign.product.ended?.code ?? null;
    const named = campaign.product.logTail(5).includes(`delivered already: ${gtid}.`);
    return {
      isNamed: errantExit === 65 && named,
      errant_exit: errantExit,
      errant_named: named,
      errant_ms: Math.round(performance.now() - killedAtMs),
    };
  }
}

function killed(server: Mysql): Promise<void> {
  server.kill("SIGKILL");
  return Promise.resolve();
}

async function whenReceived(replica: Mysql, gtidSet: string): Promise<void> {
  await until(
    async () => {
      const [status] = await ask(replica, "SHOW REPLICA STATUS");
      const retrieved = String(status?.["Retrieved_Gtid_Set"]).replace(/\s/g, "");
      const [row] = await ask(
        replica,
        `SELECT GTID_SUBSET(GTID_SUBTRACT('${gtidSet}', @@GLOBAL.gtid_executed), '${retrieved}') AS done`,
      );
      return Number(row?.["done"]) === 1;
    },
    { what: "the replica has received everything", timeoutMs: END_TIMEOUT_MS },
  );
}
