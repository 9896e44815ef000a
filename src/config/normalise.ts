/**
 * From the document to the `Config` that the program runs on: checks what the schema cannot see because
 * it depends on several fields or on files, and collects every fault there is. So that a misspelt key
 * does not hide the rest, each section that is valid in itself is looked at even if others are not.
 */
import { resolve } from "node:path";
import type { z } from "zod";
import { packZstd } from "../compression/zstd.ts";
import { assert } from "../core/errors.ts";
import { brokerHost, isLoopback, parseBroker, parseHost } from "./broker.ts";
import type {
  CommitLogConfig,
  Config,
  Delivery,
  EventKind,
  HttpConfig,
  KafkaSinkConfig,
  FormatConfig,
  HostConfig,
  PipelineConfig,
  QueueConfig,
  SaslConfig,
  SinkConfig,
  SnapshotConfig,
  SourceConfig,
  StartConfig,
  TlsMode,
} from "./config.ts";
import { dedupedDelivery, normaliseDedupe } from "./dedupe.ts";
import { Faults, isRecord, valueAt } from "./faults.ts";
import type { Path } from "./faults.ts";
import { readSecret, readTls } from "./files.ts";
import { normaliseColumns, normaliseFilter } from "./rows.ts";
import type { Collector } from "./files.ts";
import { normaliseRabbitmq } from "./rabbitmq.ts";
import { normaliseSqs } from "./sqs.ts";
import { formatSize, parseSize } from "./scalars.ts";
import { compileTableFilter } from "./table-pattern.ts";
import { configSchema, pipelineSchema, queueSchema, sourceSchema } from "./schema.ts";
import { schemaTopicFault } from "./schema-changes.ts";
import type { SnapshotSettings } from "./snapshot.ts";
import type {
  HttpSettings,
  KafkaSinkSettings,
  PipelineSettings,
  QueueSettings,
  Settings,
  SinkSettings,
  SourceSettings,
} from "./schema.ts";
import { EVENTS, normaliseWebhook } from "./webhook.ts";

/** Below this, one batch and what waits for its acknowledgement no longer fit. */
const SHARE_MIN_BYTES = 4 * 1024 ** 2;
const SERVER_ID_MAX = 2 ** 32 - 1;

export interface LoadedConfig {
  readonly config: Config;
  /** What was written and what was filled in, in the words of the file; for `tidemark config`. */
  readonly settings: Settings;
  /** Sentences for the log. */
  readonly warnings: readonly string[];
}

/**
 * @param name names the document in the error.
 * @throws TidemarkError CONFIG_INVALID
 */
export function normalise(document: unknown, name: string, faults: Faults): LoadedConfig {
  const collector: Collector = { faults, warnings: [] };
  const whole = configSchema.safeParse(document);
  if (!whole.success) faults.addIssues(whole.error.issues);

  const listed = valueAt(document, ["pipelines"]);
  const items: readonly unknown[] = Array.isArray(listed) ? listed : [];
  checkNames(items, faults);
  checkHosts(valueAt(document, ["source"]), faults);
  const source = section(sourceSchema, document, "source");
  const queue = section(queueSchema, document, "queue");
  const parsed = items.map(item => pipelineSchema.safeParse(item).data);
  const sourceConfig = source && normaliseSource(source, items.length, collector);
  const queueConfig = queue && normaliseQueue(queue, items.length, faults);
  const pipelines = parsed.map((pipeline, index) =>
    pipeline === undefined
      ? undefined
      : normalisePipeline(pipeline, ["pipelines", index], {
          ...collector,
          shareBytes: queueConfig?.memoryPerPipelineBytes,
        }),
  );
  checkFiles(pipelines, faults);
  if (sourceConfig) checkMending(pipelines, sourceConfig, faults);
  checkConditions(sourceConfig, pipelines, faults);
  faults.throwIfAny(name);

  assert(whole.success && sourceConfig !== undefined && queueConfig !== undefined, "no faults");
  const config: Config = {
    source: sourceConfig,
    queue: queueConfig,
    pipelines: pipelines.filter(pipeline => pipeline !== undefined),
    http: whole.data.http && normaliseHttp(whole.data.http),
    log: {
      level: whole.data.log.level,
      format: whole.data.log.format,
      ratesMs: whole.data.log.rates_s * 1000,
    },
    shutdownGraceMs: whole.data.shutdown_grace_ms,
  };
  return { config, settings: complete(whole.data, config), warnings: collector.warnings };
}

/** The settings with the defaults that depend on other fields. */
function complete(settings: Settings, config: Config): Settings {
  const { source } = settings;
  const sourceTls = { ...source.tls, mode: config.source.tls.mode };
  const pipelines = settings.pipelines.map((pipeline, index) => {
    const { commitLog, sink, deadLetter, dedupe } = config.pipelines[index] as PipelineConfig;
    const { on_refused } = pipeline;
    return {
      ...pipeline,
      sink: withDelivery(pipeline.sink, sink),
      ...(dedupe && {
        dedupe: { window_ms: dedupe.windowMs, max_memory: formatSize(dedupe.maxMemoryBytes) },
      }),
      on_refused:
        on_refused === "stop"
          ? on_refused
          : { dead_letter: withDelivery(on_refused.dead_letter, deadLetter) },
      commit_log: commitLog,
    };
  });
  return { ...settings, source: { ...source, tls: sourceTls }, pipelines };
}

function withDelivery(settings: SinkSettings, sink: SinkConfig | undefined): SinkSettings {
  if (settings.type !== "kafka" && settings.type !== "file") return settings;
  return { ...settings, delivery: sink?.delivery };
}

function section<T extends z.ZodType>(
  schema: T,
  document: unknown,
  key: string,
): z.output<T> | undefined {
  return schema.safeParse(valueAt(document, [key])).data;
}

function checkNames(items: readonly unknown[], faults: Faults): void {
  const seen = new Set<unknown>();
  for (const [index, item] of items.entries()) {
    const name = isRecord(item) ? item["name"] : undefined;
    if (typeof name === "string" && seen.has(name)) {
      faults.add(["pipelines", index, "name"], "another pipeline has this name already");
    }
    seen.add(name);
  }
}

/** Lines of two pipelines in one file could not be told apart after a restart. */
function checkFiles(pipelines: readonly (PipelineConfig | undefined)[], faults: Faults): void {
  const seen = new Set<string>();
  for (const [index, pipeline] of pipelines.entries()) {
    const sinks = [
      [pipeline?.sink, ["sink"]],
      [pipeline?.deadLetter, ["on_refused", "dead_letter"]],
    ] as const;
    for (const [sink, place] of sinks) {
      if (sink?.type !== "file") continue;
      const path = resolve(sink.path);
      if (seen.has(path)) {
        faults.add(
          ["pipelines", index, ...place, "path"],
          "another sink writes to this file already",
        );
      }
      seen.add(path);
    }
  }
}

function normaliseSource(
  settings: SourceSettings,
  pipelines: number,
  collector: Collector,
): SourceConfig {
  const { faults } = collector;
  if (settings.server_id + pipelines - 1 > SERVER_ID_MAX) {
    faults.add(
      ["source", "server_id"],
      `each pipeline takes the next number, and the last would be above ${SERVER_ID_MAX}`,
    );
  }
  const hosts = normaliseHosts(settings);
  const snapshot = normaliseSnapshot(settings.snapshot, hosts);
  if (snapshot.replica !== undefined && snapshot.quiesced) {
    faults.add(
      ["source", "snapshot", "host"],
      "only GTIDs tell whether a replica has what the stream has, and quiesced does without them: leave one out",
    );
  }
  if (settings.xa === "at_prepare" && snapshot.mode !== "never") {
    faults.add(
      ["source", "xa"],
      "at_prepare sends rows before anybody can read them, so existing rows would undo them: use at_commit",
    );
  }
  const onLostPosition = settings.on_lost_position;
  checkLostPosition(settings, ["source", "on_lost_position"], faults);
  const { replica } = snapshot;
  const asked = replica === undefined ? hosts : [...hosts, replica];
  const isHere = asked.every(({ host }) => isLoopback(host));
  const mode: TlsMode = settings.tls.mode ?? (isHere ? "preferred" : "verify_identity");
  return {
    ...hosts[0],
    hosts,
    user: settings.user,
    password: readSecret(settings, ["source"], collector) ?? "",
    reader: settings.reader,
    serverId: settings.server_id,
    tls: readTls({ ...settings.tls, mode }, ["source", "tls"], collector),
    start: normaliseStart(settings.start),
    xa: settings.xa,
    snapshot,
    onLostPosition,
  };
}

/** Rows that are read anew take the place of what the consumer has: both have to be certain, at any time. */
function checkLostPosition(settings: SourceSettings, path: Path, faults: Faults): void {
  if (settings.on_lost_position === "stop") return;
  if (settings.xa === "at_prepare") {
    faults.add(
      path,
      "snapshot reads existing rows, which xa: at_prepare cannot do with: use at_commit",
    );
  }
  if (Object.keys(settings.snapshot.where).length > 0) {
    faults.add(
      path,
      "snapshot empties the consumer's tables, and rows that snapshot.where leaves out would not come back",
    );
  }
  if (settings.snapshot.quiesced) {
    faults.add(
      path,
      "nobody knows when it comes to a snapshot: quiesced cannot be promised for it",
    );
  }
}

/** Consumers have to be told to empty their tables, and then get the rows. */
function checkMending(
  pipelines: readonly (PipelineConfig | undefined)[],
  { onLostPosition }: SourceConfig,
  faults: Faults,
): void {
  if (onLostPosition === "stop") return;
  for (const pipeline of pipelines) {
    if (pipeline === undefined) continue;
    const { name, events, format } = pipeline;
    if (events.includes("truncate") && events.includes("insert")) continue;
    const lacks =
      format.type === "debezium"
        ? "its events leave out insert or truncate"
        : `its format ${format.type} cannot tell that a table is emptied`;
    faults.add(["source", "on_lost_position"], `snapshot cannot mend pipeline ${name}: ${lacks}`);
  }
}

/** A name that nobody captures is misspelt. */
function checkConditions(
  source: SourceConfig | undefined,
  pipelines: readonly (PipelineConfig | undefined)[],
  faults: Faults,
): void {
  if (pipelines.includes(undefined)) return;
  const filters = pipelines.map(pipeline => compileTableFilter(pipeline?.tables ?? []));
  for (const id of Object.keys(source?.snapshot.where ?? {})) {
    const dot = id.indexOf(".");
    const [database, name] = [id.slice(0, dot), id.slice(dot + 1)];
    if (filters.some(captures => captures(database, name))) continue;
    faults.add(["source", "snapshot", "where", id], "no pipeline captures this table");
  }
}

/** As it is written: whatever else is wrong with the source, one of the two has to be there. */
function checkHosts(source: unknown, faults: Faults): void {
  if (!isRecord(source)) return;
  const isNamed = source["host"] !== undefined;
  const areNamed = source["hosts"] !== undefined;
  if (!isNamed && !areNamed) faults.add(["source", "host"], "is required, or hosts");
  if (isNamed && areNamed) {
    faults.add(["source", "host"], "belongs into hosts, which is there");
  }
}

function normaliseHosts({
  host,
  hosts,
  port,
}: SourceSettings): readonly [HostConfig, ...HostConfig[]] {
  const [first = { host: host ?? "", port }, ...others] = (hosts ?? []).map(name => {
    const parsed = parseHost(name);
    return { host: parsed?.host ?? name, port: parsed?.port ?? port };
  });
  return [first, ...others];
}

function normaliseSnapshot(
  settings: SnapshotSettings,
  hosts: readonly [HostConfig, ...HostConfig[]],
): SnapshotConfig {
  const { mode, force, tables, batch_rows, parallel_tables, rows_per_s } = settings;
  const { quiesced, no_key: noKey } = settings;
  const { host, port = hosts[0].port } = settings;
  const batchRows = batch_rows === "auto" ? undefined : batch_rows;
  const isSource = hosts.length === 1 && hosts[0].host === host && hosts[0].port === port;
  const replica = host === "" || isSource ? undefined : { host, port };
  const reading = { batchRows, parallelTables: parallel_tables, rowsPerS: rows_per_s ?? Infinity };
  const same = { tables, where: settings.where, ...reading, quiesced, noKey, replica };
  if (mode === "never" || mode === "false") return { mode: "never", ...same };
  return { mode: force || mode === "always" ? "always" : "initial", ...same };
}

function normaliseStart(start: SourceSettings["start"]): StartConfig {
  if (start === "latest" || start === "earliest") return { kind: start };
  if ("gtid_set" in start) return { kind: "gtid-set", gtidSet: start.gtid_set };
  return { kind: "position", file: start.file, position: start.position };
}

function normaliseQueue(settings: QueueSettings, pipelines: number, faults: Faults): QueueConfig {
  const memoryBytes = parseSize(settings.memory) ?? 0;
  const share = Math.floor(memoryBytes / Math.max(1, pipelines));
  if (share < SHARE_MIN_BYTES) {
    faults.add(
      ["queue", "memory"],
      `is shared by ${pipelines} pipelines, and each needs ${formatSize(SHARE_MIN_BYTES)}: ` +
        `at least ${formatSize(SHARE_MIN_BYTES * pipelines)} is needed`,
    );
  }
  return {
    flushIntervalMs: settings.flush_interval_ms,
    memoryBytes,
    memoryPerPipelineBytes: share,
    maxRowBytes: parseSize(settings.max_row) ?? 0,
    maxEntries: settings.max_entries,
  };
}

function normaliseHttp({ host, port, health_path, tables, ready }: HttpSettings): HttpConfig {
  return {
    host,
    port,
    healthPath: health_path,
    tables,
    ready: {
      heartbeatMs: ready.heartbeat_ms,
      stalledMs: ready.stalled_ms,
      unacknowledgedMs: ready.unacknowledged_ms,
      lagMs: ready.lag_ms,
    },
  };
}

function normalisePipeline(
  settings: PipelineSettings,
  path: Path,
  { shareBytes, ...collector }: Collector & { readonly shareBytes: number | undefined },
): PipelineConfig {
  const isDeduped = settings.dedupe !== undefined;
  const where = [...path, "sink"];
  const sink = withGroup(
    normaliseSink(settings.sink, where, { ...collector, isDeduped }),
    settings,
  );
  const deadLetter = normaliseDeadLetter(settings, path, { sink, collector });
  const commitLog = normaliseCommitLog(settings);
  if (commitLog.type === "kafka") {
    if (sink.type !== "kafka") {
      collector.faults.add(
        [...path, "commit_log", "type"],
        "a commit log in Kafka uses the brokers of a sink of type kafka; expected file",
      );
    } else if (sink.topic === commitLog.topic) {
      collector.faults.add([...path, "sink", "topic"], "this is the topic of the commit log");
    }
  }
  const { name, tables, columns, dedupe, schema_changes } = settings;
  if (schema_changes !== undefined) {
    const fault = schemaTopicFault(schema_changes.topic, sink, commitLog);
    if (fault !== undefined) collector.faults.add([...path, "schema_changes", "topic"], fault);
  }
  const format = normaliseFormat(settings.format);
  const events = normaliseEvents(settings, [...path, "events"], collector);
  if (format.type === "activity" && settings.filter.length > 0) {
    collector.faults.add(
      [...path, "filter"],
      "the format activity tells of events and not of rows: take the filter out",
    );
  }
  if (format.type === "activity" && dedupe !== undefined) {
    collector.faults.add(
      [...path, "dedupe"],
      "the format activity tells of events and not of rows: take dedupe out",
    );
  }
  return {
    ...{ name, tables, events, format, sink, deadLetter, commitLog },
    ...(schema_changes && { schemaTopic: schema_changes.topic }),
    columns: columns && normaliseColumns(columns, [...path, "columns"], collector),
    ...(dedupe && {
      dedupe: normaliseDedupe(dedupe, [...path, "dedupe"], {
        shareBytes,
        faults: collector.faults,
      }),
    }),
    ...(settings.filter.length === 0 ? {} : { filter: normaliseFilter(settings.filter) }),
  };
}

function normaliseEvents(
  { events, format }: PipelineSettings,
  path: Path,
  { faults }: Pick<Collector, "faults">,
): readonly EventKind[] {
  const hasTruncate = format.type === "debezium";
  const wanted = events ?? EVENTS.filter(event => hasTruncate || event !== "truncate");
  if (!hasTruncate && wanted.includes("truncate")) {
    faults.add(path, `the format ${format.type} has no word for truncate: take it out`);
  }
  return EVENTS.filter(event => wanted.includes(event));
}

/** Messages that tell of schemas have the order of their schema, whatever table they were made for. */
function withGroup(sink: SinkConfig, { format, sink: settings }: PipelineSettings): SinkConfig {
  const isChosen = settings.type === "sqs" && settings.group !== undefined;
  if (format.type !== "activity" || sink.type !== "sqs" || isChosen) return sink;
  return { ...sink, group: "schema" };
}

function normaliseDeadLetter(
  { on_refused }: PipelineSettings,
  path: Path,
  { sink, collector }: { readonly sink: SinkConfig; readonly collector: Collector },
): SinkConfig | undefined {
  if (on_refused === "stop") return undefined;
  const where = [...path, "on_refused", "dead_letter"];
  const deadLetter = normaliseSink(on_refused.dead_letter, where, collector);
  if (deadLetter.type === "kafka" && sink.type === "kafka" && deadLetter.topic === sink.topic) {
    collector.faults.add([...where, "topic"], "must be another one than that of the sink");
  }
  return deadLetter;
}

function normaliseFormat(format: PipelineSettings["format"]): FormatConfig {
  if (format.type === "activity") return { type: format.type, intervalS: format.interval_s };
  if (format.type !== "row-events") return format;
  return { type: format.type, heartbeatMs: format.heartbeat_ms };
}

function normaliseCommitLog(settings: PipelineSettings): CommitLogConfig {
  if (settings.commit_log !== undefined) return settings.commit_log;
  return settings.sink.type === "kafka"
    ? { type: "kafka", topic: "tidemark.commit-log" }
    : { type: "file", dir: "tidemark-state" };
}

/** A dead letter is sent as it is. */
interface SinkCollector extends Collector {
  readonly isDeduped?: boolean;
}

function normaliseSink(settings: SinkSettings, path: Path, collector: SinkCollector): SinkConfig {
  switch (settings.type) {
    case "kafka":
      return normaliseKafka(settings, path, collector);
    case "sqs":
      return normaliseSqs(settings, path, collector);
    case "rabbitmq":
      return normaliseRabbitmq(settings, path, collector);
    case "webhook":
      return normaliseWebhook(settings, path, collector);
    case "file":
      return { ...settings, delivery: deliveryOf(settings, path, collector) };
    case "stdout":
      return { ...settings, delivery: "at-least-once" };
  }
}

function deliveryOf(
  { delivery }: { readonly delivery?: Delivery | undefined },
  path: Path,
  { isDeduped = false, faults }: SinkCollector,
): Delivery {
  return dedupedDelivery(delivery, { isDeduped, path, faults });
}

function normaliseKafka(
  settings: KafkaSinkSettings,
  path: Path,
  collector: SinkCollector,
): KafkaSinkConfig {
  const brokers = settings.brokers.map(broker => parseBroker(broker) ?? broker);
  const tls = readTls(settings.tls ?? { mode: "disabled" }, [...path, "tls"], collector);
  const { sasl } = settings;
  const isExposed = tls.mode === "disabled" && !brokers.map(brokerHost).every(isLoopback);
  if (sasl?.mechanism === "plain" && isExposed && !sasl.allow_without_tls) {
    collector.faults.add(
      [...path, "sasl", "mechanism"],
      "plain sends the password unencrypted: set tls, use scram-sha-256 or scram-sha-512, " +
        "or accept it with allow_without_tls: true",
    );
  }
  const { compression } = settings;
  if (compression === "zstd" && packZstd === undefined) {
    collector.faults.add(
      [...path, "compression"],
      `zstd needs Node.js 22.15 or newer, and this is ${process.version}: run a newer one, or set gzip or lz4`,
    );
  }
  return {
    type: "kafka",
    brokers,
    topic: settings.topic,
    delivery: deliveryOf(settings, path, collector),
    compression,
    createTopics: {
      partitions: settings.create_topics.partitions,
      replicationFactor: settings.create_topics.replication_factor,
      config: settings.create_topics.config,
    },
    tls,
    sasl: sasl && normaliseSasl(sasl, [...path, "sasl"], collector),
  };
}

function normaliseSasl(
  settings: NonNullable<KafkaSinkSettings["sasl"]>,
  path: Path,
  collector: Collector,
): SaslConfig {
  const password = readSecret(settings, path, collector);
  if (password === undefined) {
    collector.faults.add([...path, "password"], "is required, or password_file");
  }
  return { mechanism: settings.mechanism, username: settings.username, password: password ?? "" };
}
