/**
 * Asked to stop at every bad moment: under load, while Kafka or MySQL is away, before the first
 * checkpoint, with a full queue. It drains or gives up within its grace time; a second signal ends it at
 * once; nothing is lost or repeated by either, and nothing is left open that would keep the process.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort } from "../../../tools/services/ports.ts";
import type { KafkaNode } from "../../../tools/services/services.ts";
import { startProxy, type Proxy } from "../../../tools/services/tcp-proxy.ts";
import { withCampaign, type Campaign, type Outcome } from "../campaign.ts";
import { rounds } from "../options.ts";
import { Probe } from "../probe.ts";
import type { ProductExit } from "../product.ts";
import { progress } from "../progress.ts";
import { sleep, until } from "../wait.ts";
import type { CheckContext } from "./check.ts";

const GRACE_MS = 5_000;
/** To close what is open, once the grace time is over. */
const CLOSE_MAX_MS = 1_000;
const AT_ONCE_MS = 1_000;
const EXIT_DRAIN_TIMEOUT = 69;
const SIGNALS = { SIGTERM: 143, SIGINT: 130 } as const;
const FULL_TIMEOUT_MS = 60_000;
const AWAY_MS = 1_000;
/** The connection is given up after 15 s, and made anew. */
const LOST_MS = 18_000;

export async function shutdown({ options, servers, mutant }: CheckContext): Promise<Outcome> {
  const mysql = await servers.mysql();
  const kafka = await servers.kafka(1);
  const [broker] = kafka.nodes;
  if (!broker) throw new Error("A cluster without brokers.");
  const proxy = await startProxy({ host: mysql.host, port: mysql.port });
  const port = await freePort();
  const setup = {
    ...{ name: "shutdown", options, mutant, mysql, kafka, mysqlPort: proxy.port },
    preload: fileURLToPath(new URL("../handles.mjs", import.meta.url)),
    // The smallest share, so that the queue is soon full.
    settings: { http: { port }, shutdown_grace_ms: GRACE_MS, queue: { memory: "4MB" } },
    rowsPerSecond: 2_000,
    backlogMax: 100_000,
  };
  try {
    return await withCampaign(setup, async campaign => {
      const stops = new Stops(campaign, {
        broker,
        proxy,
        probe: new Probe(`http://127.0.0.1:${port}`),
      });
      campaign.writer.start();
      await stops.beforeFirstCheckpoint();
      campaign.product.start();
      for (let round = 0; round < rounds(options, 5, 1); round += 1) {
        for (const stop of stops.moments) {
          await campaign.awaitDelivery(campaign.product.startedAtMs);
          await stop();
          await campaign.checkCommit();
          progress(`shutdown: ${JSON.stringify(stops.figures)}`);
          campaign.product.start();
        }
      }
      await campaign.awaitDelivery(campaign.product.startedAtMs);
      const { drain_ms_max: drainMs, second_signal_ms_max: secondMs } = stops.figures;
      return campaign.finish({
        extra: { ...stops.figures, wrong: stops.wrong.join(", ") || null },
        conditions: {
          drains_in_time: drainMs <= GRACE_MS,
          gives_up_in_time: stops.figures.give_up_ms_max <= GRACE_MS + CLOSE_MAX_MS,
          second_signal_ends_at_once: secondMs < AT_ONCE_MS,
          exit_codes: stops.wrong.length === 0,
          no_handle_left: stops.figures.handles_left === 0,
        },
      });
    });
  } finally {
    await proxy.close();
  }
}

interface Servers {
  readonly broker: KafkaNode;
  readonly proxy: Proxy;
  readonly probe: Probe;
}

type TimedExit = ProductExit & { readonly tookMs: number };

class Stops {
  readonly #campaign: Campaign;
  readonly #servers: Servers;
  readonly figures = {
    drains: 0,
    drain_ms_max: 0,
    gave_up: 0,
    give_up_ms_max: 0,
    second_signals: 0,
    second_signal_ms_max: 0,
    before_start: 0,
    handles_left: 0,
  };
  /** Exits that are not what they should be. */
  readonly wrong: string[] = [];

  constructor(campaign: Campaign, servers: Servers) {
    this.#campaign = campaign;
    this.#servers = servers;
  }

  get moments(): readonly (() => Promise<void>)[] {
    return [
      () => this.#underLoad(),
      () => this.#second("SIGTERM"),
      () => this.#second("SIGINT"),
      () => this.#kafkaAway("frozen"),
      () => this.#kafkaAway("down"),
      () => this.#mysqlAway(AWAY_MS),
      () => this.#mysqlAway(LOST_MS),
      () => this.#starting(),
      () => this.#full("stays"),
      () => this.#full("comes back"),
    ];
  }

  /** While the start waits for Kafka, and for MySQL. */
  async beforeFirstCheckpoint(): Promise<void> {
    const { broker, proxy } = this.#servers;
    for (const cut of [
      () => proxy.blackhole(true),
      (): void => broker.kill("SIGSTOP"),
      () => undefined,
    ]) {
      cut();
      try {
        await this.#startUntil("starts");
        await sleep(this.#campaign.random.int(0, 300));
        this.#drained("first start", await this.#terminate());
      } finally {
        proxy.blackhole(false);
        broker.kill("SIGCONT");
      }
    }
  }

  async #underLoad(): Promise<void> {
    await sleep(this.#campaign.random.int(20, 2_000));
    this.#drained("under load", await this.#terminate());
  }

  /** Kafka takes nothing, so that a drain cannot end by itself before the second signal. */
  async #second(signal: keyof typeof SIGNALS): Promise<void> {
    const { broker } = this.#servers;
    const { product, random } = this.#campaign;
    broker.kill("SIGSTOP");
    try {
      await sleep(AWAY_MS);
      await this.#logs("a second signal", () => product.signal("SIGTERM"));
      await sleep(random.int(0, 500));
      const sinceMs = performance.now();
      product.signal(signal);
      const { code } = await product.exit();
      const tookMs = Math.round(performance.now() - sinceMs);
      this.figures.second_signals += 1;
      this.figures.second_signal_ms_max = Math.max(this.figures.second_signal_ms_max, tookMs);
      if (code !== SIGNALS[signal]) this.wrong.push(`second ${signal}: ${code}`);
    } finally {
      broker.kill("SIGCONT");
    }
  }

  async #kafkaAway(how: "frozen" | "down"): Promise<void> {
    const { broker } = this.#servers;
    broker.kill(how === "frozen" ? "SIGSTOP" : "SIGKILL");
    try {
      await sleep(AWAY_MS);
      this.#gaveUp(`Kafka ${how}`, await this.#terminate());
    } finally {
      if (how === "frozen") broker.kill("SIGCONT");
      else await broker.start();
    }
  }

  /** What was read is delivered all the same. */
  async #mysqlAway(forMs: number): Promise<void> {
    const { proxy } = this.#servers;
    proxy.blackhole(true);
    try {
      await sleep(forMs);
      this.#drained("MySQL away", await this.#terminate());
    } finally {
      proxy.blackhole(false);
    }
  }

  /** Wherever a start has come to; the signal may come before anybody listens to it. */
  async #starting(): Promise<void> {
    const { product, random } = this.#campaign;
    this.#drained("before a start", await this.#terminate());
    for (let time = 0; time < 3; time += 1) {
      product.start();
      await sleep(random.int(0, 1_000));
      const exit = await this.#terminate();
      if (exit.signal === "SIGTERM") this.figures.before_start += 1;
      else this.#drained("while starting", exit);
    }
  }

  /** Reading is paused, and everything that may wait does. */
  async #full(kafka: "stays" | "comes back"): Promise<void> {
    const { broker, probe } = this.#servers;
    broker.kill("SIGSTOP");
    try {
      await probe.until(
        ({ waiting }) => waiting.some(line => line.includes('cause="memory"')),
        FULL_TIMEOUT_MS,
      );
      const stopped = this.#terminate();
      if (kafka === "stays") {
        this.#gaveUp("full queue", await stopped);
      } else {
        await sleep(AWAY_MS);
        broker.kill("SIGCONT");
        this.#drained("full queue", await stopped);
      }
    } finally {
      broker.kill("SIGCONT");
    }
  }

  async #terminate(): Promise<TimedExit> {
    this.#campaign.assertRunning();
    const before = this.#ends().length;
    const exit = await this.#campaign.product.terminate();
    // A process that a signal ends before it listens writes nothing down.
    for (const { byItself, left } of this.#ends().slice(before)) {
      if (byItself && left.length === 0) continue;
      this.figures.handles_left += Math.max(1, left.length);
      this.wrong.push(`left open: ${left.join(" ") || "nothing, but it did not end by itself"}`);
    }
    return exit;
  }

  #drained(when: string, { code, signal, tookMs }: TimedExit): void {
    this.figures.drains += 1;
    this.figures.drain_ms_max = Math.max(this.figures.drain_ms_max, Math.round(tookMs));
    if (code !== 0) this.wrong.push(`${when}: ${code ?? signal ?? "?"}`);
  }

  #gaveUp(when: string, { code, signal, tookMs }: TimedExit): void {
    this.figures.gave_up += 1;
    this.figures.give_up_ms_max = Math.max(this.figures.give_up_ms_max, Math.round(tookMs));
    if (code !== EXIT_DRAIN_TIMEOUT) this.wrong.push(`${when}: ${code ?? signal ?? "?"}`);
  }

  /** How each process ended that could say so: see handles.mjs. */
  #ends(): readonly { readonly byItself: boolean; readonly left: readonly string[] }[] {
    const path = join(this.#campaign.dir, "ends.jsonl");
    if (!existsSync(path)) return [];
    const lines = readFileSync(path, "utf8").split("\n").filter(Boolean);
    return lines.map(line => JSON.parse(line) as { byItself: boolean; left: string[] });
  }

  #startUntil(text: string): Promise<void> {
    return this.#logs(text, () => this.#campaign.product.start());
  }

  /** Acts, and waits for a new line of the log that has this text. */
  async #logs(text: string, act: () => void): Promise<void> {
    const { product } = this.#campaign;
    const count = (): number =>
      existsSync(product.logFile) ? readFileSync(product.logFile, "utf8").split(text).length : 1;
    const before = count();
    act();
    await until(() => count() > before, {
      what: `Tidemark logs "${text}"`,
      timeoutMs: 10_000,
      intervalMs: 10,
    });
  }
}
