/**
 * MySQL to Kafka: Tidemark and Debezium Server, which alternate. Each reads the same binlog from its first
 * file on into a topic of its own, one partition, acks=all, no compression. How fast it was is what the
 * broker says: rows over the time from its first record to its last, so that no start counts.
 */
import type { Kafka, Mysql } from "../tools/services/services.ts";
import { keptFolder } from "../tools/services/keeper.ts";
import { Failure } from "../tools/demo/failure.ts";
import { readContents } from "./contents.ts";
import { DebeziumContender, memoryFor, throughputSettings } from "./debezium.ts";
import { makePipeline } from "./pipeline.ts";
import { measure, median, rounded, type Contender } from "./round.ts";
import { KafkaTarget } from "./target.ts";
import { isSame, rowChanges, type Counts } from "./workload.ts";

export type KafkaFigures = {
  readonly rows_per_s: number;
  readonly peak_rss_mb: number;
  /** From the first message to the last. */
  readonly cpu_s: number;
  /** From the start of the process on. */
  readonly cpu_with_start_s: number;
  readonly seconds_with_start: number;
};

export type KafkaComparison = {
  readonly tidemark_rows_per_s: number;
  readonly debezium_rows_per_s: number;
  readonly ratio: number;
  readonly rss_ratio: number;
  readonly cpu_ratio: number;
  readonly cpu_with_start_ratio: number;
  /** Which of Debezium's settings was the faster one, and counts. */
  readonly debezium_settings: string;
  /** Keys, operations and rows of all runs are equal, and in the same order. */
  readonly identical: boolean;
  readonly tidemark: KafkaFigures;
  readonly debezium_defaults: KafkaFigures;
  readonly debezium_throughput: KafkaFigures;
};

export interface CompareServers {
  readonly mysql: Mysql;
  readonly kafka: Kafka;
  readonly bundle: string;
  /** What a Debezium that was stopped before the workload remembers. */
  readonly memory: string;
}

interface Entrant {
  readonly label: string;
  /** For topics: with the number of the round behind it. */
  readonly prefix: string;
  make(name: string, servers: CompareServers): Contender;
}

const QUIET_MS = 2_000;
/** Debezium's start is among it. */
const PATIENCE_MS = 120_000;

const tidemark: Entrant = {
  label: "Tidemark",
  prefix: "tidemark-",
  make: (name, { mysql, kafka, bundle }) => {
    const target = new KafkaTarget(kafka.brokers, name);
    target.close();
    const folder = keptFolder("bench");
    return makePipeline({ name, mysql, bundle, folder, target, start: "earliest" });
  },
};

function debezium(
  label: string,
  prefix: string,
  settings: Readonly<Record<string, string>>,
): Entrant {
  return {
    label,
    prefix,
    make: (name, { mysql, kafka, memory }) =>
      new DebeziumContender({ name, mysql, kafka, settings, memory: memoryFor(name, memory) }),
  };
}

export class KafkaCompare {
  readonly #servers: CompareServers;
  readonly #expected: Counts;
  readonly #say: (text: string) => void;
  readonly #figures = new Map<Entrant, KafkaFigures[]>();
  readonly #digests = new Set<string>();
  readonly #defaults = debezium("Debezium with its defaults", "debezium-1-", {});
  readonly #throughput = debezium("Debezium set for throughput", "debezium-2-", throughputSettings);

  constructor(servers: CompareServers, expected: Counts, say: (text: string) => void) {
    this.#servers = servers;
    this.#expected = expected;
    this.#say = say;
  }

  async round(round: number): Promise<void> {
    for (const entrant of [tidemark, this.#defaults, this.#throughput]) {
      const figures = await this.#run(
        entrant,
        `${entrant.prefix}${String(round).padStart(2, "0")}`,
      );
      this.#figures.set(entrant, [...(this.#figures.get(entrant) ?? []), figures]);
      const { rows_per_s, cpu_s, peak_rss_mb } = figures;
      this.#say(
        `round ${round}, ${entrant.label}: ${rows_per_s} rows/s, ${cpu_s} s of CPU, ${peak_rss_mb} MB`,
      );
    }
  }

  result(): KafkaComparison {
    const ours = this.#medians(tidemark);
    const debezium_defaults = this.#medians(this.#defaults);
    const debezium_throughput = this.#medians(this.#throughput);
    const isTuned = debezium_throughput.rows_per_s > debezium_defaults.rows_per_s;
    const theirs = isTuned ? debezium_throughput : debezium_defaults;
    return {
      tidemark_rows_per_s: ours.rows_per_s,
      debezium_rows_per_s: theirs.rows_per_s,
      ratio: rounded(ours.rows_per_s / theirs.rows_per_s, 2),
      rss_ratio: rounded(ours.peak_rss_mb / theirs.peak_rss_mb, 4),
      cpu_ratio: rounded(ours.cpu_s / theirs.cpu_s, 4),
      cpu_with_start_ratio: rounded(ours.cpu_with_start_s / theirs.cpu_with_start_s, 4),
      debezium_settings: isTuned ? "throughput" : "defaults",
      identical: this.#digests.size === 1,
      tidemark: ours,
      debezium_defaults,
      debezium_throughput,
    };
  }

  async #run(entrant: Entrant, name: string): Promise<KafkaFigures> {
    const { kafka } = this.#servers;
    const rows = rowChanges(this.#expected);
    const contender = entrant.make(name, this.#servers);
    const target = new KafkaTarget(kafka.brokers, name);
    try {
      const round = await measure(contender, target, {
        nothing: 1, // A control record may stand in front.
        enough: rows + this.#expected.tombstones,
        quietMs: QUIET_MS,
        patienceMs: PATIENCE_MS,
      });
      const { counts, digest, appendingSeconds } = await this.#contents(name);
      if (!isSame(counts, this.#expected)) {
        const [got, wanted] = [counts, this.#expected].map(some => JSON.stringify(some));
        throw new Failure(`${name} wrote ${got ?? ""} instead of ${wanted ?? ""}.`);
      }
      this.#digests.add(digest);
      return {
        rows_per_s: Math.round(rows / appendingSeconds),
        peak_rss_mb: round.peakRssMb,
        cpu_s: rounded(round.streamingCpuSeconds, 2),
        cpu_with_start_s: rounded(round.cpuSeconds, 2),
        seconds_with_start: rounded(round.seconds, 2),
      };
    } finally {
      target.close();
      await contender.stop();
    }
  }

  #contents(name: string) {
    return readContents(this.#servers.kafka.brokers, `${name}.bench.orders`);
  }

  #medians(entrant: Entrant): KafkaFigures {
    const all = this.#figures.get(entrant) ?? [];
    const of = (name: keyof KafkaFigures): number => median(all.map(figures => figures[name]));
    return {
      rows_per_s: Math.round(of("rows_per_s")),
      peak_rss_mb: of("peak_rss_mb"),
      cpu_s: of("cpu_s"),
      cpu_with_start_s: of("cpu_with_start_s"),
      seconds_with_start: of("seconds_with_start"),
    };
  }
}
