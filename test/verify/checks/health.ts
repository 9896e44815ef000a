/**
 * What /ready, /live, /health and the metric say when something breaks under load: a network to MySQL
 * that swallows everything, a broker that is frozen or stopped, a partition without leader, the process
 * itself frozen. Unready within 15 s with the cause named, ready within 15 s of the end, and nothing is
 * lost or repeated by any of it.
 */
import { spawn } from "node:child_process";
import { freePort } from "../../../tools/services/ports.ts";
import type { Kafka, KafkaNode } from "../../../tools/services/services.ts";
import { startProxy, type Proxy } from "../../../tools/services/tcp-proxy.ts";
import { combined, withCampaign, type Campaign, type Outcome } from "../campaign.ts";
import { rounds } from "../options.ts";
import { blames, Probe, type Seen } from "../probe.ts";
import { progress } from "../progress.ts";
import { sleep, until } from "../wait.ts";
import type { CheckContext } from "./check.ts";

const WITHIN_MS = 15_000;
/** Waited longer than allowed, so that a figure is there. */
const PATIENCE_MS = 60_000;
const START_MS = 60_000;
/** A fault goes on for so long after it was seen. */
const HOLD_MS = 8_000;
const LOOK_INTERVAL_MS = 500;
/** About a second's worth. */
const SETTLED_ROWS = 1_000;
const UNANSWERED_MS = 3_000;
/** Of the whole process; longer than the 10 s after which it looks whether it was replaced. */
const FROZEN_MS = 12_000;

interface Fault {
  readonly name: string;
  readonly isSeen: (seen: Seen) => boolean;
  /** Which of the two in /health is false; undefined: not looked at. */
  readonly halted?: "monitor_running" | "dispatcher_running";
  begin(): Promise<void> | void;
  end(): Promise<void> | void;
}

/** What was measured, at its largest, and what did not hold. */
class Findings {
  readonly figures: Record<string, number> = {};
  liveAnswers = 0;
  readonly broken = new Set<string>();

  largest(name: string, value: number): void {
    this.figures[name] = Math.max(this.figures[name] ?? 0, value);
  }

  require(name: string, holds: boolean): void {
    if (!holds) this.broken.add(name);
  }

  get conditions(): Record<string, boolean> {
    return Object.fromEntries([...this.broken].map(name => [name, false]));
  }
}

export async function health(context: CheckContext): Promise<Outcome> {
  const one = await oneBroker(context);
  if (!one.ok) return one;
  const three = await withoutLeader(context);
  await context.servers.stopThree();
  return combined([one, three]);
}

async function oneBroker({ options, servers, mutant }: CheckContext): Promise<Outcome> {
  const mysql = await servers.mysql();
  const kafka = await servers.kafka(1);
  const proxy = await startProxy({ host: mysql.host, port: mysql.port });
  const port = await freePort();
  const setup = {
    ...{ name: "health", options, mutant, mysql, kafka, mysqlPort: proxy.port },
    settings: { http: { port } },
    rowsPerSecond: 800,
    backlogMax: 200_000,
  };
  try {
    return await withCampaign(setup, async campaign => {
      const probe = new Probe(`http://127.0.0.1:${port}`);
      const findings = new Findings();
      await running(campaign, probe);
      const faults = [
        blackHole("mysql", proxy),
        busyBlackHole(proxy),
        frozenBroker(kafka),
        stoppedBroker(kafka),
      ];
      for (let round = 0; round < rounds(options, 3, 1); round += 1) {
        for (const fault of faults) await broken(campaign, probe, fault, findings);
        await frozenProcess(campaign, probe, findings);
      }
      return finish(campaign, findings);
    });
  } finally {
    await proxy.close();
  }
}

/** Three brokers and one replica: when a broker goes, its partitions have no leader. */
async function withoutLeader({ options, servers, mutant }: CheckContext): Promise<Outcome> {
  const kafka = await servers.kafka(3);
  const port = await freePort();
  const setup = {
    ...{ name: "leader", options, mutant, kafka, mysql: await servers.mysql() },
    settings: { http: { port } },
    // In Kafka it would have one replica as well.
    commitLog: "file" as const,
    replicationFactor: 1,
    topicConfig: { "min.insync.replicas": "1" },
    rowsPerSecond: 400,
    backlogMax: 200_000,
  };
  return withCampaign(setup, async campaign => {
    const probe = new Probe(`http://127.0.0.1:${port}`);
    const findings = new Findings();
    await running(campaign, probe);
    for (let round = 0; round < rounds(options, 3, 1); round += 1) {
      const node = campaign.random.pick(kafka.nodes);
      await broken(campaign, probe, partitionGone(campaign, node), findings);
    }
    return finish(campaign, findings);
  });
}

async function running(campaign: Campaign, probe: Probe): Promise<void> {
  await campaign.startReading();
  campaign.writer.start();
  await campaign.awaitDelivery(campaign.product.startedAtMs);
  await probe.until(isWell, START_MS);
}

async function finish(campaign: Campaign, findings: Findings): Promise<Outcome> {
  return campaign.finish({
    extra: { ...findings.figures, live_answers: findings.liveAnswers },
    conditions: { same_process: campaign.product.starts === 1, ...findings.conditions },
  });
}

function blackHole(name: string, proxy: Proxy): Fault {
  return {
    name,
    isSeen: blames("mysql"),
    halted: "monitor_running",
    begin: () => proxy.blackhole(true),
    end: () => proxy.blackhole(false),
  };
}

/** The same while other processes want the whole machine. */
function busyBlackHole(proxy: Proxy): Fault {
  const hole = blackHole("mysql_busy", proxy);
  const spinners = [0, 1].map(() => ({ stop: (): void => undefined }));
  return {
    ...hole,
    begin() {
      for (const spinner of spinners) {
        const child = spawn(process.execPath, ["--eval", "for (;;);"], { stdio: "ignore" });
        spinner.stop = () => child.kill("SIGKILL");
      }
      return hole.begin();
    },
    async end() {
      await hole.end();
      for (const spinner of spinners) spinner.stop();
    },
  };
}

function frozenBroker({ nodes }: Kafka): Fault {
  return {
    name: "frozen",
    isSeen: blames("broker"),
    halted: "dispatcher_running",
    begin: () => nodes.forEach(node => node.kill("SIGSTOP")),
    end: () => nodes.forEach(node => node.kill("SIGCONT")),
  };
}

function stoppedBroker({ nodes }: Kafka): Fault {
  return {
    name: "stopped",
    isSeen: blames("broker"),
    halted: "dispatcher_running",
    begin: () => each(nodes, node => node.stop()),
    end: () => each(nodes, node => node.start()),
  };
}

async function each(
  nodes: readonly KafkaNode[],
  act: (node: KafkaNode) => Promise<void>,
): Promise<void> {
  await Promise.all(nodes.map(act));
}

function partitionGone(campaign: Campaign, node: KafkaNode): Fault {
  const topics = campaign.topic("");
  return {
    name: "partition",
    isSeen: seen =>
      blames("partition")(seen) &&
      seen.waiting.some(line => line.includes(`topic="${topics}`) && /partition="\d+"/.test(line)),
    halted: "dispatcher_running",
    begin: () => node.stop(),
    end: () => node.start(),
  };
}

/** One fault: how long until it is seen, that it stays seen while it lasts, how long until all is well. */
async function broken(
  campaign: Campaign,
  probe: Probe,
  fault: Fault,
  findings: Findings,
): Promise<void> {
  const { name } = fault;
  await settled(campaign);
  const beganMs = performance.now();
  await fault.begin();
  try {
    await probe.until(fault.isSeen, PATIENCE_MS);
    const falseMs = Math.round(performance.now() - beganMs);
    findings.largest(`${name}_false_ms`, falseMs);
    findings.require(`${name}_false_in_time`, falseMs <= WITHIN_MS);
    const holdUntilMs = performance.now() + HOLD_MS;
    while (performance.now() < holdUntilMs) {
      const seen = await probe.look();
      findings.require(`${name}_stays_false`, !seen.ready);
      findings.require(`${name}_live`, seen.live === 200);
      findings.require(`${name}_health`, isHealth(seen.health, "DOWN", fault.halted));
      findings.liveAnswers += 1;
      await sleep(LOOK_INTERVAL_MS);
    }
  } finally {
    await fault.end();
  }
  const trueMs = await probe.until(isWell, PATIENCE_MS);
  findings.largest(`${name}_true_ms`, trueMs);
  findings.require(`${name}_true_in_time`, trueMs <= WITHIN_MS);
  progress(`health: ${name}: ${JSON.stringify(findings.figures)}`);
  campaign.assertRunning();
  await campaign.observe();
}

/** While it catches up, what lies in the buffers of the kernel is still read after the network is gone. */
async function settled(campaign: Campaign): Promise<void> {
  const check = async (): Promise<boolean> => {
    await campaign.observe();
    return campaign.backlog < SETTLED_ROWS;
  };
  await until(check, { what: "Tidemark has caught up", timeoutMs: PATIENCE_MS });
}

/** A process that does not turn does not answer, which is what asks for its restart. */
async function frozenProcess(campaign: Campaign, probe: Probe, findings: Findings): Promise<void> {
  const { product } = campaign;
  product.signal("SIGSTOP");
  const [status] = await Promise.all([probe.live(UNANSWERED_MS), sleep(FROZEN_MS)]);
  findings.require("frozen_process_is_silent", status === 0);
  product.signal("SIGCONT");
  const liveMs = await probe.until(seen => seen.live === 200, PATIENCE_MS);
  findings.largest("process_live_ms", liveMs);
  findings.largest("process_true_ms", liveMs + (await probe.until(isWell, PATIENCE_MS)));
  findings.require("process_true_in_time", (findings.figures["process_true_ms"] ?? 0) <= WITHIN_MS);
  campaign.assertRunning();
}

function isWell({ ready, live, health }: Seen): boolean {
  return ready && live === 200 && isHealth(health, "UP");
}

/** Whether it has just the fields that are documented, with these values. */
function isHealth(health: unknown, status: "UP" | "DOWN", halted?: Fault["halted"]): boolean {
  if (typeof health !== "object" || health === null) return false;
  const fields = health as Readonly<Record<string, unknown>>;
  const { event_queue_size: size, last_event_time: time } = fields;
  return (
    Object.keys(fields).sort().join() ===
      "dispatcher_running,event_queue_size,last_event_time,monitor_running,status" &&
    fields["status"] === status &&
    fields["monitor_running"] === (halted !== "monitor_running") &&
    fields["dispatcher_running"] === (halted !== "dispatcher_running") &&
    Number.isInteger(size) &&
    typeof time === "string" &&
    /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(time)
  );
}
