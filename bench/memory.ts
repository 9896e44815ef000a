/**
 * The most memory that Tidemark holds, each time in a new process: through one transaction of a million
 * rows, through one with rows of 4 MB, and while its broker stands still under load. Everything arrives.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Connection } from "mysql2/promise";
import { Failure } from "../tools/demo/failure.ts";
import { keptFolder } from "../tools/services/keeper.ts";
import type { BenchOptions } from "./options.ts";
import {
  hasBegun,
  makePipeline,
  nodeArgsOf,
  openSource,
  startServers,
  type BenchServers,
} from "./pipeline.ts";
import { rounded } from "./round.ts";
import { fillOrders } from "./workload.ts";
import { SteadyWriter } from "./steady-writer.ts";
import { KafkaTarget } from "./target.ts";

export type Peak = {
  readonly peak_rss_mb: number;
  /** Messages that arrived: all that had to. */
  readonly messages: number;
  /** Until the last one arrived. */
  readonly seconds: number;
};

export interface MemoryResult {
  readonly scenario: "memory";
  readonly million_rows: Peak;
  readonly rows_of_4_mb: Peak;
  readonly stall: Peak & { readonly stall_s: number };
}

interface Servers extends BenchServers {
  readonly connection: Connection;
  readonly nodeArgs: readonly string[];
}

const MILLION = 1_000_000;
const LARGE_ROWS = 20;
const LARGE_BYTES = 4_000_000;
/** Two images of the largest row, and room. */
const MESSAGE_MAX = String(16 * 1024 * 1024);
const STALL_ROWS_PER_SECOND = 2_000;
const STALL_PATIENCE_MS = 120_000;
const LOOK_INTERVAL_MS = 250;

export async function benchMemory(
  options: Pick<BenchOptions, "quick"> & Partial<BenchOptions>,
  say: (text: string) => void,
): Promise<MemoryResult> {
  const started = await startServers(say, { properties: { "message.max.bytes": MESSAGE_MAX } });
  const { mysql, kafka } = started;
  const connection = await openSource(mysql);
  await connection.query(
    "CREATE TABLE bench.large (id INT PRIMARY KEY, version INT, body LONGTEXT)",
  );
  const servers = { ...started, connection, nodeArgs: nodeArgsOf(options) };
  const peak = async (name: string, load: (servers: Servers) => Promise<number>): Promise<Peak> => {
    const found = await measure(name, servers, load);
    say(`${name}: ${found.peak_rss_mb} MB at most, ${found.messages} messages arrived`);
    return found;
  };
  const stallMs = options.quick ? 60_000 : 600_000;
  const result = {
    scenario: "memory",
    million_rows: await peak("million-rows", writeMillion),
    rows_of_4_mb: await peak("rows-of-4-mb", writeLarge),
    stall: {
      ...(await peak("stall", some => writeStalled(some, stallMs))),
      stall_s: stallMs / 1_000,
    },
  } as const;
  await connection.end();
  await Promise.all([mysql.stop(), kafka.stop()]);
  return result;
}

/** @param load writes, and says how many messages that makes. */
async function measure(
  name: string,
  servers: Servers,
  load: (servers: Servers) => Promise<number>,
): Promise<Peak> {
  const { mysql, kafka, bundle, nodeArgs } = servers;
  const target = new KafkaTarget(kafka.brokers, name, {
    config: { "max.message.bytes": MESSAGE_MAX },
  });
  const folder = keptFolder("bench");
  const tables = ["bench.*"];
  const tidemark = makePipeline({ name, mysql, bundle, folder, target, tables, nodeArgs });
  try {
    await tidemark.start();
    await hasBegun(tidemark, target);
    const startedAt = performance.now();
    const messages = await load(servers);
    await arrived(messages, target, tidemark);
    const seconds = rounded((performance.now() - startedAt) / 1_000, 1);
    const peak_rss_mb = tidemark.peakRssMb();
    await tidemark.stop();
    return { peak_rss_mb, messages, seconds };
  } finally {
    await tidemark.kill();
    target.close();
  }
}

interface Watched {
  assertRuns(): void;
  logTail(): string;
}

/** Control records are among what is cheap to ask for: when it is enough, the messages are counted. */
async function arrived(messages: number, target: KafkaTarget, tidemark: Watched): Promise<void> {
  let last = { progress: -1, at: performance.now() };
  for (;;) {
    const progress = await target.progress();
    const at = performance.now();
    tidemark.assertRuns();
    if (progress > last.progress) last = { progress, at };
    if (progress >= messages && (await count(target)) === messages) return;
    if (at - last.at > STALL_PATIENCE_MS) {
      throw new Failure(`${progress} of ${messages} arrived; the log ends: ${tidemark.logTail()}`);
    }
    await sleep(LOOK_INTERVAL_MS);
  }
}

async function count(target: KafkaTarget): Promise<number> {
  let messages = 0;
  await target.readAll(() => (messages += 1));
  return messages;
}

async function writeMillion({ connection }: Servers): Promise<number> {
  await fillOrders(connection, MILLION);
  return MILLION;
}

/** Of each row, what was inserted and then both of its images. */
async function writeLarge({ connection }: Servers): Promise<number> {
  await connection.query("START TRANSACTION");
  for (let id = 0; id < LARGE_ROWS; id += 1) {
    await connection.query("INSERT INTO bench.large VALUES (?, 1, repeat('x', ?))", [
      id,
      LARGE_BYTES,
    ]);
  }
  await connection.query("UPDATE bench.large SET version = 2");
  await connection.query("COMMIT");
  return 2 * LARGE_ROWS;
}

async function writeStalled({ mysql, kafka }: Servers, stallMs: number): Promise<number> {
  const rows = (stallMs / 1_000) * STALL_ROWS_PER_SECOND;
  const writer = await SteadyWriter.open(mysql, 2 * MILLION);
  try {
    await writer.write(STALL_ROWS_PER_SECOND, STALL_ROWS_PER_SECOND);
    for (const node of kafka.nodes) node.kill("SIGSTOP");
    try {
      await writer.write(rows, STALL_ROWS_PER_SECOND);
    } finally {
      for (const node of kafka.nodes) node.kill("SIGCONT");
    }
    return STALL_ROWS_PER_SECOND + rows;
  } finally {
    await writer.close();
  }
}
