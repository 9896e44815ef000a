/**
 * Catching up from a stop.
 *
 *   1. each round's pipeline starts at `latest`, writes its first checkpoint, and is stopped
 *   2. the workload is loaded, once
 *   3. round by round: the pipeline is started and measured, and what it delivered is checked
 */
import type { Connection, RowDataPacket } from "mysql2/promise";
import { Failure } from "../tools/demo/failure.ts";
import { builtBundle, type Tidemark } from "../tools/demo/tidemark.ts";
import { keptFolder } from "../tools/services/keeper.ts";
import { startKafka, startMysql, type Kafka, type Mysql } from "../tools/services/services.ts";
import { copySeconds } from "./mysqlbinlog.ts";
import type { BenchOptions } from "./options.ts";
import { hasBegun, makePipeline, mysqlArgs, nodeArgsOf, openSource } from "./pipeline.ts";
import { measure, median, rounded, type Round } from "./round.ts";
import { FileTarget, KafkaTarget, type Target } from "./target.ts";
import {
  expectedCounts,
  isSame,
  loadOrders,
  rowChanges,
  rowDifferences,
  sampleRows,
  SAMPLE,
  type Counts,
} from "./workload.ts";

export interface BenchResult {
  readonly scenario: string;
  readonly rows: number;
  readonly seconds: number;
  readonly rows_per_s: number;
  readonly cpu_s: number;
  readonly peak_rss_mb: number;
  /** From the first message to the last. */
  readonly streaming_seconds: number;
  readonly rounds: number;
  /** What mysqlbinlog needs to copy the same binlog, in the same run. */
  readonly mysqlbinlog_rows_per_s?: number;
  /** Of `decode`: the other reader. */
  readonly zongji_rows_per_s?: number;
}

export type CatchUpOptions = BenchOptions & { readonly scenario: "kafka" | "file" };

interface Entrant {
  readonly name: string;
  readonly target: Target;
  readonly tidemark: Tidemark;
}

const STALL_PATIENCE_MS = 60_000;

export class CatchUp {
  readonly #options: CatchUpOptions;
  readonly #say: (text: string) => void;
  readonly #entrants: Entrant[] = [];

  constructor(options: CatchUpOptions, say: (text: string) => void) {
    this.#options = options;
    this.#say = say;
  }

  async run(): Promise<BenchResult> {
    const { scenario, rounds, transactions } = this.#options;
    this.#say("starting the servers");
    const [mysql, kafka, bundle] = await Promise.all([
      startMysql("mysql-9", { args: mysqlArgs }),
      scenario === "kafka" ? startKafka() : undefined,
      builtBundle(this.#say),
    ]);
    const connection = await openSource(mysql);
    for (let round = 1; round <= rounds; round += 1) {
      await this.#enter(`round-${round}`, { mysql, kafka, bundle });
    }
    const expected = expectedCounts(transactions);
    this.#say(`loading ${rowChanges(expected)} row changes`);
    await loadOrders(connection, transactions);
    const results: Round[] = [];
    for (const entrant of this.#entrants) {
      results.push(await this.#measure(entrant, connection, expected));
    }
    const [[first]] = await connection.query<RowDataPacket[]>("SHOW BINARY LOGS");
    await connection.end();
    const rows = rowChanges(expected);
    const result = summarize(scenario, rows, results);
    if (scenario !== "file") return result;
    const copied = await copySeconds(mysql, String(first?.["Log_name"]), keptFolder("bench"));
    return { ...result, mysqlbinlog_rows_per_s: Math.round(rows / copied) };
  }

  /** A pipeline that has begun, and stands where the workload will begin. */
  async #enter(
    name: string,
    servers: { readonly mysql: Mysql; readonly kafka: Kafka | undefined; readonly bundle: string },
  ): Promise<void> {
    const folder = keptFolder("bench");
    const { partitions } = this.#options;
    const nodeArgs = nodeArgsOf(this.#options);
    const target = servers.kafka
      ? new KafkaTarget(servers.kafka.brokers, name, { partitions })
      : new FileTarget(folder, name);
    const tidemark = makePipeline({ ...servers, name, folder, target, nodeArgs });
    this.#entrants.push({ name, target, tidemark });
    await tidemark.start();
    await hasBegun(tidemark, target);
    await tidemark.stop();
    this.#say(`${name}: Tidemark has written its first checkpoint and is stopped`);
  }

  async #measure(entrant: Entrant, connection: Connection, expected: Counts): Promise<Round> {
    const { name, target, tidemark } = entrant;
    const isKafka = this.#options.scenario === "kafka";
    const before = await target.progress();
    const round = await measure(tidemark, target, {
      // A start leaves a control record in each partition.
      nothing: before + (isKafka ? this.#options.partitions : 0),
      enough: isKafka ? before + rowChanges(expected) + expected.tombstones : 1,
      // How many bytes a file will have is not known beforehand.
      quietMs: isKafka ? 1_000 : 4_000,
      patienceMs: STALL_PATIENCE_MS,
    });
    await tidemark.stop();
    const speed = Math.round(rowChanges(expected) / round.seconds);
    this.#say(`${name}: ${round.seconds.toFixed(2)} s, ${speed} rows/s; checking what arrived`);
    await this.#check(target, connection, expected);
    target.close();
    return round;
  }

  async #check(target: Target, connection: Connection, expected: Counts): Promise<void> {
    const counts = { c: 0, u: 0, d: 0, tombstones: 0 };
    const delivered = new Map<string, Readonly<Record<string, unknown>>>();
    await target.readAll(value => {
      if (value === null) {
        counts.tombstones += 1;
        return;
      }
      const { op, before, after } = JSON.parse(value) as {
        readonly op: "c" | "u" | "d";
        readonly before: Readonly<Record<string, unknown>> | null;
        readonly after: Readonly<Record<string, unknown>> | null;
      };
      counts[op] += 1;
      const id = Number((after ?? before)?.["id"]);
      if (id % SAMPLE !== 0) return;
      if (after) delivered.set(String(id), after);
      else delivered.delete(String(id));
    });
    // Lines of a file have no key, and so a tombstone is not written there.
    const wanted =
      this.#options.scenario === "file" ? { ...expected, tombstones: counts.tombstones } : expected;
    if (!isSame(counts, wanted)) {
      throw new Failure(
        `It is not what was written: ${JSON.stringify(counts)} instead of ${JSON.stringify(wanted)}.`,
      );
    }
    await checkSample(connection, delivered);
  }
}

async function checkSample(
  connection: Connection,
  delivered: ReadonlyMap<string, Readonly<Record<string, unknown>>>,
): Promise<void> {
  const selected = await sampleRows(connection);
  if (selected.size !== delivered.size) {
    throw new Failure(`Of a sample of ${selected.size} rows, ${delivered.size} arrived.`);
  }
  for (const [id, row] of selected) {
    const arrived = delivered.get(id) ?? {};
    const columns = rowDifferences(row, arrived);
    if (columns.length === 0) continue;
    const shown = columns.map(
      name => `${name}: ${String(arrived[name])}, not ${String(row[name])}`,
    );
    throw new Failure(`Row ${id} differs in ${shown.join("; ")}.`);
  }
}

export function summarize(scenario: string, rows: number, rounds: readonly Round[]): BenchResult {
  const of = (value: (round: Round) => number): number => median(rounds.map(value));
  const seconds = of(round => round.seconds);
  return {
    scenario,
    rows,
    seconds: rounded(seconds, 2),
    rows_per_s: Math.round(rows / seconds),
    cpu_s: rounded(
      of(round => round.cpuSeconds),
      2,
    ),
    peak_rss_mb: of(round => round.peakRssMb),
    streaming_seconds: rounded(
      of(round => round.streamingSeconds),
      2,
    ),
    rounds: rounds.length,
  };
}
