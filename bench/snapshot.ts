/**
 * The rows that a table has already, into Kafka: Tidemark and Debezium Server, which alternate, and beside
 * them what the server gives a client that throws it all away. How fast it was is what the broker says,
 * from the first record to the last, so that no start counts.
 */
import type { Mysql } from "../tools/services/services.ts";
import { debeziumSource } from "../tools/services/debezium-properties.ts";
import { keptFolder } from "../tools/services/keeper.ts";
import { Failure } from "../tools/demo/failure.ts";
import { clientCall, secondsOf } from "./client-call.ts";
import { brokerProperties } from "./compare.ts";
import { readContents } from "./contents.ts";
import { DebeziumContender } from "./debezium.ts";
import type { BenchOptions } from "./options.ts";
import { makePipeline, openSource, startServers, type BenchServers } from "./pipeline.ts";
import { measure, median, rounded, type Contender } from "./round.ts";
import { KafkaTarget } from "./target.ts";
import { fillOrders } from "./workload.ts";

export interface SnapshotResult {
  readonly scenario: "snapshot";
  readonly rows: number;
  readonly rounds: number;
  readonly tidemark_rows_per_s: number;
  /** `mysql --quick`, which reads the same table. */
  readonly mysql_rows_per_s: number;
  readonly ratio_to_mysql: number;
  readonly debezium_rows_per_s: number;
  readonly ratio_to_debezium: number;
  readonly peak_rss_mb: number;
  readonly debezium_peak_rss_mb: number;
  /** Of the whole process: Debezium shows its own only when it has read everything. */
  readonly cpu_with_start_s: number;
  readonly debezium_cpu_with_start_s: number;
  /** Keys and rows of all runs are equal, and in the same order. */
  readonly identical: boolean;
}

interface Copy {
  readonly rowsPerSecond: number;
  readonly peakRssMb: number;
  readonly cpuSeconds: number;
  readonly digest: string;
}

const ROWS = 1_000_000;
const QUICK_ROWS = 200_000;
const QUIET_MS = 2_000;
const PATIENCE_MS = 120_000;

export async function benchSnapshot(
  { rounds, quick }: Pick<BenchOptions, "rounds" | "quick">,
  say: (text: string) => void,
): Promise<SnapshotResult> {
  const servers = await startServers(say, { properties: brokerProperties });
  const { mysql, kafka } = servers;
  const rows = quick ? QUICK_ROWS : ROWS;
  const connection = await openSource(mysql);
  say(`writing ${rows} rows`);
  await fillOrders(connection, rows);
  await connection.end();
  const found = { mysql: [] as number[], tidemark: [] as Copy[], debezium: [] as Copy[] };
  for (let round = 1; round <= rounds; round += 1) {
    found.mysql.push(rows / (await selectSeconds(mysql)));
    const number = String(round).padStart(2, "0");
    for (const name of ["tidemark", "debezium"] as const) {
      const topic = `${name}-s-${number}`;
      const contender = name === "tidemark" ? tidemark(topic, servers) : debezium(topic, servers);
      const copy = await copied({ name: topic, contender, rows }, servers);
      found[name].push(copy);
      say(
        `round ${round}, ${name}: ${Math.round(copy.rowsPerSecond)} rows/s, ${copy.peakRssMb} MB`,
      );
    }
  }
  await Promise.all([mysql.stop(), kafka.stop()]);
  const of = (copies: readonly Copy[], value: (copy: Copy) => number): number =>
    median(copies.map(value));
  const ours = of(found.tidemark, copy => copy.rowsPerSecond);
  const theirs = of(found.debezium, copy => copy.rowsPerSecond);
  const limit = median(found.mysql);
  return {
    scenario: "snapshot",
    ...{ rows, rounds },
    tidemark_rows_per_s: Math.round(ours),
    mysql_rows_per_s: Math.round(limit),
    ratio_to_mysql: rounded(ours / limit, 2),
    debezium_rows_per_s: Math.round(theirs),
    ratio_to_debezium: rounded(ours / theirs, 2),
    peak_rss_mb: of(found.tidemark, copy => copy.peakRssMb),
    debezium_peak_rss_mb: of(found.debezium, copy => copy.peakRssMb),
    cpu_with_start_s: rounded(
      of(found.tidemark, copy => copy.cpuSeconds),
      2,
    ),
    debezium_cpu_with_start_s: rounded(
      of(found.debezium, copy => copy.cpuSeconds),
      2,
    ),
    identical: new Set([...found.tidemark, ...found.debezium].map(copy => copy.digest)).size === 1,
  };
}

async function selectSeconds(mysql: Mysql): Promise<number> {
  const select = "SELECT * FROM bench.orders";
  return secondsOf(await clientCall("mysql", mysql, ["--quick", `--execute=${select}`]));
}

function tidemark(name: string, { mysql, kafka, bundle }: BenchServers): Contender {
  const target = new KafkaTarget(kafka.brokers, name);
  target.close();
  const folder = keptFolder("bench");
  return makePipeline({ name, mysql, bundle, folder, target, snapshot: { mode: "initial" } });
}

function debezium(name: string, { mysql, kafka }: BenchServers): Contender {
  const memory = keptFolder("bench");
  const settings = {
    [`${debeziumSource}.snapshot.mode`]: "initial",
    [`${debeziumSource}.table.include.list`]: "bench.orders",
  };
  return new DebeziumContender({ name, mysql, kafka, settings, memory });
}

interface CopyRun {
  readonly name: string;
  readonly contender: Contender;
  readonly rows: number;
}

async function copied({ name, contender, rows }: CopyRun, { kafka }: BenchServers): Promise<Copy> {
  const target = new KafkaTarget(kafka.brokers, name);
  try {
    const round = await measure(contender, target, {
      nothing: 1, // A control record may stand in front.
      enough: rows,
      quietMs: QUIET_MS,
      patienceMs: PATIENCE_MS,
    });
    const { counts, digest, appendingSeconds } = await readContents(
      kafka.brokers,
      `${name}.bench.orders`,
    );
    if (counts.r !== rows) throw new Failure(`${name} wrote ${counts.r} of ${rows} rows.`);
    return {
      rowsPerSecond: rows / appendingSeconds,
      peakRssMb: round.peakRssMb,
      cpuSeconds: round.cpuSeconds,
      digest,
    };
  } finally {
    target.close();
    await contender.stop();
  }
}
