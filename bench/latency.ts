/**
 * From COMMIT's OK at the client to the consumer's callback, at a steady rate of single-row transactions.
 *
 *   writer (this process) ──INSERT──▶ MySQL ─▶ Tidemark ─▶ Kafka ──long poll──▶ consumer (its own process)
 *            └─ OK: noted                                        callback: noted ─┘
 *
 * Both note the time by the same clock of the machine, which no correction of the time moves. What comes
 * in the first seconds is not counted: Node compiles meanwhile.
 */
import { keptFolder } from "../tools/services/keeper.ts";
import { ArrivalWatch } from "./arrival-watch.ts";
import type { BenchOptions } from "./options.ts";
import { hasBegun, makePipeline, openSource, startServers, type BenchServers } from "./pipeline.ts";
import { rounded } from "./round.ts";
import { SteadyWriter } from "./steady-writer.ts";
import { KafkaTarget } from "./target.ts";

export type Delays = {
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly max_ms: number;
  /** What the writer reached of what was asked for. */
  readonly rows_per_s: number;
  readonly rows: number;
  /** Of Tidemark, for these rows. */
  readonly cpu_s: number;
};

export interface LatencyResult {
  readonly scenario: "latency";
  readonly flush_0: Delays;
  readonly default: Delays;
}

const ROWS_PER_SECOND = 1_000;

export async function benchLatency(
  { quick }: Pick<BenchOptions, "quick">,
  say: (text: string) => void,
): Promise<LatencyResult> {
  const servers = await startServers(say);
  const { mysql, kafka } = servers;
  const connection = await openSource(mysql);
  const span = quick ? { warmMs: 5_000, countedMs: 10_000 } : { warmMs: 15_000, countedMs: 60_000 };
  const measured = async (name: string, queue?: { readonly flush_interval_ms: 0 }) => {
    await connection.query("TRUNCATE TABLE orders");
    const delays = await measure(servers, { name, queue, ...span });
    say(`${name}: ${delays.p50_ms} ms, one of a hundred takes ${delays.p99_ms} ms or longer`);
    return delays;
  };
  const result = {
    scenario: "latency",
    flush_0: await measured("flush-0", { flush_interval_ms: 0 }),
    default: await measured("default"),
  } as const;
  await connection.end();
  await Promise.all([mysql.stop(), kafka.stop()]);
  return result;
}

interface Measurement {
  readonly name: string;
  readonly queue: { readonly flush_interval_ms: 0 } | undefined;
  readonly warmMs: number;
  readonly countedMs: number;
}

async function measure(
  { mysql, kafka, bundle }: BenchServers,
  { name, queue, warmMs, countedMs }: Measurement,
): Promise<Delays> {
  const target = new KafkaTarget(kafka.brokers, name);
  const folder = keptFolder("bench");
  const tidemark = makePipeline({
    ...{ name, mysql, bundle, folder, target },
    ...(queue === undefined ? {} : { queue }),
  });
  const writer = await SteadyWriter.open(mysql);
  const watch = new ArrivalWatch();
  try {
    await tidemark.start();
    await hasBegun(tidemark, target);
    await writer.write(1, ROWS_PER_SECOND); // Makes the topic.
    await watch.start({ brokers: kafka.brokers, topic: `${name}.bench.orders` });
    const warm = await writer.write((warmMs * ROWS_PER_SECOND) / 1_000, ROWS_PER_SECOND);
    const rows = (countedMs * ROWS_PER_SECOND) / 1_000;
    const cpuBefore = tidemark.cpuSeconds();
    const written = await writer.write(rows, ROWS_PER_SECOND);
    const cpu_s = rounded(tidemark.cpuSeconds() - cpuBefore, 2);
    const last = 1 + warm.committedAt.size + rows;
    const arrivedAt = await watch.through(last);
    const delays = Array.from(written.committedAt, ([id, at]) => (arrivedAt.get(id) ?? NaN) - at);
    await tidemark.stop();
    return {
      ...spread(delays),
      rows_per_s: Math.round(rows / written.seconds),
      rows,
      cpu_s,
    };
  } finally {
    watch.stop();
    await writer.close();
    await tidemark.kill();
    target.close();
  }
}

function spread(values: readonly number[]): Pick<Delays, "p50_ms" | "p99_ms" | "max_ms"> {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number =>
    rounded(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0, 1);
  return { p50_ms: at(0.5), p99_ms: at(0.99), max_ms: at(1) };
}
