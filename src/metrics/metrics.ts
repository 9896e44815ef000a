/**
 * Every metric there is: its name, unit, labels and meaning stand here and nowhere else. docs/metrics.md is
 * made from this table. Values are read from the pipelines' state when somebody asks; nothing is fed to the
 * metrics library while entries pass.
 */
import { Counter, Gauge, Registry } from "prom-client";
import { binlogFileNumber } from "../core/checkpoint.ts";
import type { Flow } from "../core/vitals.ts";
import type { PipelineView } from "./watch.ts";

export interface Sample {
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

/** What the whole process adds. */
export interface ProcessView {
  readonly version: string;
  readonly startedAtS: number;
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  readonly loopLateMs: number;
  readonly memoryBytes: number;
}

interface Common {
  readonly name: string;
  readonly type: "counter" | "gauge";
  readonly unit: "seconds" | "bytes" | "count" | "yes or no";
  readonly labels: readonly string[];
  readonly help: string;
}

interface PipelineMetric extends Common {
  /** The label `pipeline` is added to each. */
  readonly ofPipeline: (view: PipelineView) => Iterable<Sample>;
}

interface ProcessMetric extends Common {
  readonly ofProcess: (view: ProcessView) => Iterable<Sample>;
}

export type Metric = PipelineMetric | ProcessMetric;

const one = (value: number): Sample[] => [{ labels: {}, value }];
const known = (value: number | undefined): Sample[] => (value === undefined ? [] : one(value));
const seconds = (ms: number): Sample[] => one(ms / 1000);

type Stage = "read" | "encoded" | "delivered" | "released";

const ofStages =
  (stages: readonly Stage[], field: keyof Flow) =>
  ({ vitals }: PipelineView): Sample[] =>
    stages.map(stage => ({ labels: { stage }, value: vitals[stage][field] }));

export const METRICS: readonly Metric[] = [
  {
    name: "tidemark_ready",
    type: "gauge",
    unit: "yes or no",
    labels: ["pipeline"],
    help: "1 if /ready finds nothing wrong with the pipeline, otherwise 0.",
    ofPipeline: ({ ready }) => one(ready ? 1 : 0),
  },
  {
    name: "tidemark_waiting_seconds",
    type: "gauge",
    unit: "seconds",
    labels: ["pipeline", "cause", "topic", "partition"],
    help:
      "What the pipeline waits for, and for how long already; absent while it waits for nothing. topic and " +
      "partition are those of the oldest message that is not delivered, where that is known.",
    ofPipeline: ({ causes }) =>
      new Map(
        causes.map(({ name, forMs, place }): [string, Sample] => {
          const { topic = "", partition = "" } = place ?? {};
          return [name, { labels: { cause: name, topic, partition }, value: forMs / 1000 }];
        }),
      ).values(),
  },
  {
    name: "tidemark_entries_total",
    type: "counter",
    unit: "count",
    labels: ["pipeline", "stage"],
    help:
      "Entries (small transactions, or parts of large ones) that passed a stage: read from MySQL, encoded, " +
      "delivered, released in binlog order.",
    ofPipeline: ofStages(["read", "encoded", "delivered", "released"], "entries"),
  },
  {
    name: "tidemark_rows_total",
    type: "counter",
    unit: "count",
    labels: ["pipeline", "stage"],
    help: "Captured rows that were read, and that are released in binlog order.",
    ofPipeline: ofStages(["read", "released"], "items"),
  },
  {
    name: "tidemark_messages_total",
    type: "counter",
    unit: "count",
    labels: ["pipeline", "stage"],
    help:
      "Messages made of rows, and messages of entries of which all are durable at the destination. A delete " +
      "may give two, a row of an event that is not sent none.",
    ofPipeline: ofStages(["encoded", "delivered"], "items"),
  },
  {
    name: "tidemark_bytes_total",
    type: "counter",
    unit: "bytes",
    labels: ["pipeline", "stage"],
    help: "Row data read and released; keys and values of messages encoded and delivered.",
    ofPipeline: ofStages(["read", "encoded", "delivered", "released"], "bytes"),
  },
  {
    name: "tidemark_table_rows_total",
    type: "counter",
    unit: "count",
    labels: ["pipeline", "table", "operation"],
    help:
      "Captured rows read, by table and operation. Beyond http.tables tables in the process, rows are " +
      "counted under table _other.",
    ofPipeline: ({ vitals }) =>
      [...vitals.tables.counts()].flatMap(([table, counts]) =>
        Object.entries(counts).map(([operation, value]) => ({
          labels: { table, operation },
          value,
        })),
      ),
  },
  {
    name: "tidemark_waiting_entries",
    type: "gauge",
    unit: "count",
    labels: ["pipeline"],
    help: "Entries in the queue: read, and not yet released.",
    ofPipeline: ({ status }) => one(status.waitingEntries),
  },
  {
    name: "tidemark_waiting_entries_limit",
    type: "gauge",
    unit: "count",
    labels: ["pipeline"],
    help: "queue.max_entries: at so many, reading pauses.",
    ofPipeline: ({ status }) => one(status.waitingEntriesMax),
  },
  {
    name: "tidemark_waiting_rows",
    type: "gauge",
    unit: "count",
    labels: ["pipeline"],
    help: "Rows in the queue: read, and not yet released.",
    ofPipeline: ({ status }) => one(status.waitingRows),
  },
  {
    name: "tidemark_waiting_bytes",
    type: "gauge",
    unit: "bytes",
    labels: ["pipeline"],
    help: "Row data in the queue that is not yet delivered.",
    ofPipeline: ({ status }) => one(status.waitingBytes),
  },
  {
    name: "tidemark_waiting_bytes_limit",
    type: "gauge",
    unit: "bytes",
    labels: ["pipeline"],
    help: "Row data that may wait: at so much, reading pauses.",
    ofPipeline: ({ status }) => one(status.waitingBytesMax),
  },
  {
    name: "tidemark_oldest_unacknowledged_seconds",
    type: "gauge",
    unit: "seconds",
    labels: ["pipeline"],
    help: "How long ago the oldest entry was read that is not released; 0 if there is none.",
    ofPipeline: ({ status }) => seconds(status.oldestMs),
  },
  {
    name: "tidemark_stalled_seconds",
    type: "gauge",
    unit: "seconds",
    labels: ["pipeline"],
    help: "How long nothing was released although something waits.",
    ofPipeline: ({ status }) => seconds(status.stalledMs),
  },
  {
    name: "tidemark_lag_seconds",
    type: "gauge",
    unit: "seconds",
    labels: ["pipeline"],
    help:
      "Age, by the time in the binlog, of the oldest entry that is not released; 0 if nothing waits. The " +
      "binlog counts in seconds, and the clocks of both machines enter.",
    ofPipeline: ({ status }) => seconds(status.lagMs),
  },
  {
    name: "tidemark_lag_bytes",
    type: "gauge",
    unit: "bytes",
    labels: ["pipeline"],
    help:
      "Binlog between the released position and the end of the server's binlog, which is asked for every 15 s; " +
      "absent until it is known, and after a minute without an answer.",
    ofPipeline: ({ status }) => known(status.lagBytes),
  },
  {
    name: "tidemark_purge_seconds",
    type: "gauge",
    unit: "seconds",
    labels: ["pipeline"],
    help:
      "Seconds for which the server keeps the binlog file of the released position, at the least; +Inf if it " +
      "removes none by itself. A file goes binlog_expire_logs_seconds after its last change, which is not " +
      "before the newest event released; the file being written counts in full. PURGE BINARY LOGS, and what a " +
      "cloud provider removes on its own, cannot be foreseen.",
    ofPipeline: ({ status }) =>
      known(status.purgeMs === undefined ? undefined : status.purgeMs / 1000),
  },
  {
    name: "tidemark_released_file_number",
    type: "gauge",
    unit: "count",
    labels: ["pipeline"],
    help: "Number of the binlog file of the released position, as in binlog.000003.",
    ofPipeline: ({ status: { released } }) => known(released && binlogFileNumber(released.file)),
  },
  {
    name: "tidemark_released_position_bytes",
    type: "gauge",
    unit: "bytes",
    labels: ["pipeline"],
    help: "Released position in that file: the end of the last transaction that is released whole.",
    ofPipeline: ({ status: { released } }) => known(released?.position),
  },
  {
    name: "tidemark_released_event_timestamp_seconds",
    type: "gauge",
    unit: "seconds",
    labels: ["pipeline"],
    help: "Time in the binlog of the newest event released, in seconds since 1970; absent until there is one.",
    ofPipeline: ({ status: { released } }) => known(released?.eventTimeS || undefined),
  },
  {
    name: "tidemark_checkpoints_total",
    type: "counter",
    unit: "count",
    labels: ["pipeline"],
    help: "Checkpoints that the commit log has taken.",
    ofPipeline: ({ vitals }) => one(vitals.checkpoints),
  },
  {
    name: "tidemark_uncommitted_seconds",
    type: "gauge",
    unit: "seconds",
    labels: ["pipeline"],
    help: "How long the commit log has lacked something that is released. At 30 s reading pauses.",
    ofPipeline: ({ status }) => seconds(status.uncommittedMs),
  },
  {
    name: "tidemark_mysql_connected",
    type: "gauge",
    unit: "yes or no",
    labels: ["pipeline"],
    help: "1 while events or heartbeats come from MySQL, otherwise 0.",
    ofPipeline: ({ status }) => one(status.connected ? 1 : 0),
  },
  {
    name: "tidemark_mysql_silent_seconds",
    type: "gauge",
    unit: "seconds",
    labels: ["pipeline"],
    help: "How long MySQL has sent nothing, though it was read from. A heartbeat comes every 5 s.",
    ofPipeline: ({ status }) => seconds(status.silentMs),
  },
  {
    name: "tidemark_reconnects_total",
    type: "counter",
    unit: "count",
    labels: ["pipeline"],
    help: "Connections to MySQL that were lost or could not be made, and were tried again.",
    ofPipeline: ({ vitals }) => one(vitals.reconnects),
  },
  {
    name: "tidemark_retries_total",
    type: "counter",
    unit: "count",
    labels: ["pipeline", "stage"],
    help: "Attempts that failed and were repeated: at the start with MySQL, at the sink, at the commit log.",
    ofPipeline: ({ vitals }) => [
      { labels: { stage: "source" }, value: vitals.sourceTroubles.failures },
      { labels: { stage: "sink" }, value: vitals.sinkTroubles.failures },
      { labels: { stage: "commit_log" }, value: vitals.commitLogTroubles.failures },
    ],
  },
  {
    name: "tidemark_snapshot_tables_left",
    type: "gauge",
    unit: "count",
    labels: ["pipeline"],
    help: "Tables whose existing rows are not all read; absent where nobody asked for any.",
    ofPipeline: ({ vitals }) => known(vitals.copy?.tablesLeft),
  },
  {
    name: "tidemark_snapshot_rows_total",
    type: "counter",
    unit: "count",
    labels: ["pipeline"],
    help: "Existing rows that were read and handed on; by table they count in tidemark_table_rows_total, operation read.",
    ofPipeline: ({ vitals }) => one(vitals.copiedRows),
  },
  {
    name: "tidemark_snapshot_rows_estimated",
    type: "gauge",
    unit: "count",
    labels: ["pipeline"],
    help:
      "Existing rows of the copy that is under way, or was last, as the server's statistics estimate them: they may be " +
      "far off; absent until it has told.",
    ofPipeline: ({ vitals }) => known(vitals.copy?.estimatedRows),
  },
  {
    name: "tidemark_rows_filtered_total",
    type: "counter",
    unit: "count",
    labels: ["pipeline"],
    help: "Rows that are not sent because a condition of the filter does not hold. They count as released.",
    ofPipeline: ({ vitals }) => one(vitals.filtered),
  },
  {
    name: "tidemark_rows_merged_total",
    type: "counter",
    unit: "count",
    labels: ["pipeline"],
    help:
      "Changes of rows for which no message of their own was made, because dedupe merged them with a later change " +
      "of the same row. What a crash makes it read again counts again.",
    ofPipeline: ({ vitals }) => one(vitals.merged),
  },
  {
    name: "tidemark_held_rows",
    type: "gauge",
    unit: "count",
    labels: ["pipeline"],
    help: "Rows that dedupe holds for changes to come.",
    ofPipeline: ({ status }) => one(status.heldRows),
  },
  {
    name: "tidemark_held_bytes",
    type: "gauge",
    unit: "bytes",
    labels: ["pipeline"],
    help: "Memory that these rows take. At dedupe.max_memory the oldest are sent early.",
    ofPipeline: ({ status }) => one(status.heldBytes),
  },
  {
    name: "tidemark_refused_total",
    type: "counter",
    unit: "count",
    labels: ["pipeline"],
    help: "Messages that the destination refused for good: dead letters, or else the end of the pipeline (MESSAGE_REFUSED).",
    ofPipeline: ({ vitals }) => one(vitals.refused),
  },
  {
    name: "tidemark_restarts_total",
    type: "counter",
    unit: "count",
    labels: ["pipeline"],
    help: "How often the pipeline began again from its commit log without the process ending.",
    ofPipeline: ({ vitals }) => one(vitals.restarts),
  },
  {
    name: "tidemark_memory_budget_bytes",
    type: "gauge",
    unit: "bytes",
    labels: [],
    help: "queue.memory: row data and messages that may wait in the whole process.",
    ofProcess: view => one(view.memoryBytes),
  },
  {
    name: "tidemark_event_loop_late_seconds",
    type: "gauge",
    unit: "seconds",
    labels: [],
    help: "How late the last look at the pipelines was, which is due every second.",
    ofProcess: view => seconds(view.loopLateMs),
  },
  {
    name: "tidemark_build_info",
    type: "gauge",
    unit: "count",
    labels: ["version"],
    help: "Always 1; the version is its label.",
    ofProcess: view => [{ labels: { version: view.version }, value: 1 }],
  },
  {
    name: "process_start_time_seconds",
    type: "gauge",
    unit: "seconds",
    labels: [],
    help: "Start of the process, in seconds since 1970.",
    ofProcess: view => one(view.startedAtS),
  },
  {
    name: "process_cpu_seconds_total",
    type: "counter",
    unit: "seconds",
    labels: [],
    help: "CPU time that the process has used.",
    ofProcess: view => one(view.cpuSeconds),
  },
  {
    name: "process_resident_memory_bytes",
    type: "gauge",
    unit: "bytes",
    labels: [],
    help: "Memory of the process that is in RAM.",
    ofProcess: view => one(view.residentBytes),
  },
];

/** A page in Prometheus' text format, made anew at each call. */
export class MetricsPage {
  readonly #registry = new Registry();
  readonly #collectors: {
    readonly metric: Metric;
    readonly set: (sample: Sample) => void;
    readonly reset: () => void;
  }[];

  constructor() {
    const registers = [this.#registry];
    this.#collectors = METRICS.map(metric => {
      const { name, help } = metric;
      const options = { name, help, labelNames: metric.labels, registers };
      if (metric.type === "gauge") {
        const gauge = new Gauge(options);
        return {
          metric,
          set: ({ labels, value }) => gauge.set(labels, value),
          reset: () => gauge.reset(),
        };
      }
      const counter = new Counter(options);
      return {
        metric,
        set: ({ labels, value }) => counter.inc(labels, value),
        reset: () => counter.reset(),
      };
    });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  render(pipelines: readonly PipelineView[], process: ProcessView): Promise<string> {
    for (const { metric, set, reset } of this.#collectors) {
      reset();
      if ("ofProcess" in metric) {
        for (const sample of metric.ofProcess(process)) set(sample);
        continue;
      }
      for (const view of pipelines) {
        const { pipeline } = view.status;
        for (const { labels, value } of metric.ofPipeline(view)) {
          set({ labels: { pipeline, ...labels }, value });
        }
      }
    }
    return this.#registry.metrics();
  }
}
