/** From the configuration of one pipeline to running stages: the only place that constructs them. */
import type { Config, PipelineConfig } from "../config/config.ts";
import { outputHash } from "../config/output-hash.ts";
import { compileDatabaseFilter, compileTableFilter } from "../config/table-pattern.ts";
import { systemClock } from "../core/clock.ts";
import { TidemarkError, toTidemarkError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import { retrying } from "../core/retry.ts";
import type { Vitals } from "../core/vitals.ts";
import { makeEncoder, withSchemaChanges } from "./formats.ts";
import { HEARTBEAT_TABLE, Heartbeats } from "./heartbeats.ts";
import { heartbeatValue } from "../formats/row-events.ts";
import type { Identities } from "../kafka/fence.ts";
import { ActivityEncoder } from "../queue/activity-encoder.ts";
import { Flusher } from "../queue/flusher.ts";
import { PendingChannel } from "../queue/pending-channel.ts";
import { WaitingQueue } from "../queue/waiting-queue.ts";
import type { Place, SinkEvents } from "../sinks/sink.ts";
import { CommitLogMap } from "../watcher/commit-log-map.ts";
import { Progress } from "../watcher/progress.ts";
import { Watcher } from "../watcher/watcher.ts";
import { openingWith } from "./activity-offsets.ts";
import { Backpressure } from "./backpressure.ts";
import { begin } from "./begin.ts";
import { checkBeforeRun, logWarnings } from "./checks.ts";
import { binlogWatch } from "./binlog-watch.ts";
import { makeDedupeWindow } from "./dedupe.ts";
import { readGauges } from "./gauges.ts";
import { SourceHosts } from "./hosts.ts";
import { Patience } from "./patience.ts";
import { runStages, type Stages, type StopSignals } from "./pipeline.ts";
import { planMending, withSnapshot } from "./snapshot.ts";
import { serverToGoOn } from "./start.ts";
import { ENTRY_BYTES_MAX, ENTRY_ROWS_MAX, makeSource } from "./source.ts";
import { makeTarget, type Target } from "./target.ts";

export interface PipelineRun extends StopSignals {
  readonly config: Config;
  readonly pipeline: PipelineConfig;
  /** Its place in the configuration, which numbers its replica id. */
  readonly index: number;
  readonly logger: Logger;
  /** How long the start may wait for what is down; undefined is for ever. */
  readonly connectTimeoutMs: number | undefined;
  /** Warnings that were logged already: they are not said again when the pipeline begins again. */
  readonly warned: Set<string>;
  /** What earlier runs of this pipeline have taken of Kafka, for the next one. */
  readonly identities: Identities;
  /** Snapshots that were begun. */
  readonly snapshots: Set<string>;
  readonly vitals: Vitals;
}

const PARCEL = { parcelRows: ENTRY_ROWS_MAX, parcelBytes: ENTRY_BYTES_MAX };
/** A flush does not wait for its interval once this much row data is there. */
const BATCH_BYTES = 256 * 1024;
const PENDING_BYTES_MAX = 4 * BATCH_BYTES;
const CHUNK_MESSAGES = 500;
const WATCHER_INTERVAL_MIN_MS = 20;
const STALL_MS = 30_000;

/** Between two questions how far the server's binlog goes. */
const BINLOG_SHOWN_MS = 15_000;
const BINLOG_ASKED_MS = 60_000;

const clock = systemClock;

/** Resolves when drained after `soft`; rejects with the first fault. */
export async function runPipeline(run: PipelineRun): Promise<void> {
  const { config, pipeline, logger, soft, hard, connectTimeoutMs, vitals, identities } = run;
  const patience = new Patience(connectTimeoutMs, clock, what => (vitals.detail = what));
  const hosts = new SourceHosts({ source: config.source, clock, logger });
  const target = makeTarget({ config, pipeline, logger, clock, vitals, identities });
  const ended = new AbortController();
  vitals.enter("starting");
  try {
    const starting = AbortSignal.any([soft, hard, patience.signal]);
    const { heartbeats, ...stages } = await build(
      { run, hosts, target, patience, ended: ended.signal },
      starting,
    );
    patience.end();
    void binlogWatch({
      ...{ server: hosts.server, vitals, clock, logger, signal: ended.signal },
      intervalMs: config.http ? BINLOG_SHOWN_MS : BINLOG_ASKED_MS,
    });
    void heartbeats?.run(ended.signal);
    await runStages(stages, { soft, hard }).catch((thrown: unknown) => {
      throw config.source.onLostPosition === "stop" ? thrown : asChange(thrown);
    });
  } catch (error) {
    // Asked to stop before anything was read: there is nothing to drain.
    if (!soft.aborted || error !== soft.reason) throw error;
  } finally {
    ended.abort();
    patience.end();
    hosts.close();
    await target.sink.close();
    await target.commitLog.close();
  }
}

/** What the server has lost while it was read is found again by the next start, which knows what to do. */
function asChange(thrown: unknown): unknown {
  const { code, message } = toTidemarkError(thrown);
  return code === "POSITION_LOST" ? new TidemarkError("SOURCE_CHANGED", message) : thrown;
}

interface Parts {
  readonly run: PipelineRun;
  readonly hosts: SourceHosts;
  readonly target: Target;
  readonly patience: Patience;
  /** Aborts when the pipeline has ended. */
  readonly ended: AbortSignal;
}

interface Built extends Stages {
  readonly heartbeats: Heartbeats | undefined;
}

async function build(parts: Parts, starting: AbortSignal): Promise<Built> {
  const { run, hosts, target, patience, ended } = parts;
  const { server } = hosts;
  const { config, pipeline, logger } = run;
  const wants = compileTableFilter(pipeline.tables);
  const delivering = buildDelivering(parts);
  const start = await begin(
    {
      hosts,
      sink: openingWith(delivering.activity, target.sink),
      sinkEvents: delivering.sinkEvents,
      commitLog: target.commitLog,
      progress: delivering.progress,
      check: signal =>
        checkBeforeRun({
          ...{ config, pipeline, index: run.index, server, logger, signal },
          waitingFor: (what, code) => patience.waitingFor(what, code),
        }),
      warn: findings => logWarnings(findings, { logger, logged: run.warned }),
      reader: config.source.reader,
      wants,
      output: outputHash(pipeline),
      start: config.source.start,
      afterGap:
        config.source.onLostPosition === "stop"
          ? undefined
          : gap => planMending({ config, pipeline, server, clock, ...delivering }, gap),
      patience,
      troubles: run.vitals.sourceTroubles,
      logger,
    },
    starting,
  );
  const asking = { clock, logger, signal: starting, doing: "Asking MySQL what it is" };
  const about = await retrying(() => server.inspect(), asking);
  const source = makeSource({
    ...{ config, server, wants, start, clock, logger },
    wantsDatabase: compileDatabaseFilter(pipeline.tables),
    lowerCaseNames: about.lowerCaseNames,
    tellsSchemaChanges: pipeline.schemaTopic !== undefined,
    tellsTruncate: pipeline.events.includes("truncate"),
    connection: hosts.connection,
    identify: next => hosts.choose(some => serverToGoOn(some, { ...delivering, start, next })),
    serverId: config.source.serverId + run.index,
    replicaUuid: await target.commitLog.replicaUuid(),
    onLoss: () => (run.vitals.reconnects += 1),
  });
  const { vitals, snapshots: begun } = run;
  const snapshot = await withSnapshot(
    {
      ...{ config, pipeline, server, about, source, start, vitals, clock, logger, begun, ended },
      ...{ ...delivering, connection: hosts.connection },
    },
    starting,
  );
  const { sink } = target;
  const windowMs = run.pipeline.dedupe?.windowMs ?? 0;
  const { flushIntervalMs } = config.queue;
  vitals.enter("running");
  vitals.gauges = () => readGauges({ ...delivering, source, sink, flushIntervalMs, windowMs });
  const { commitLog } = target;
  return {
    ...delivering,
    ...snapshot,
    commitLog,
    vitals,
    clock,
    drainMs: config.shutdownGraceMs,
  };
}

/** Everything behind the source: from the waiting queue to the watcher, with the sink's callbacks. */
function buildDelivering({ run, target, ended }: Parts) {
  const { config, pipeline, hard, vitals, logger } = run;
  const { flushIntervalMs, maxEntries, memoryPerPipelineBytes } = config.queue;
  const map = new CommitLogMap();
  const waiting = new WaitingQueue({
    entriesMax: maxEntries,
    bytesMax: memoryPerPipelineBytes - target.backlogBytes - (pipeline.dedupe?.maxMemoryBytes ?? 0),
    released: vitals.released,
    onFull: () => backpressure.begin(),
  });
  const backpressure = new Backpressure({
    relieved: () => waiting.relieved(ended),
    ...{ clock, logger },
  });
  const pending = new PendingChannel({
    flushIntervalMs,
    batchBytes: BATCH_BYTES,
    bytesMax: PENDING_BYTES_MAX,
    clock,
  });
  const { name } = pipeline;
  const progress = new Progress({
    pipeline: name,
    reader: config.source.reader,
    delivery: pipeline.sink.delivery,
    output: outputHash(pipeline),
    clock,
  });
  const heartbeats = makeHeartbeats(pipeline, target, progress);
  const encoder = makeEncoder(pipeline, {
    ...{ router: target.router, clock },
    onFiltered: () => (vitals.filtered += 1),
    generation: () => progress.generation,
  });
  const activity = encoder instanceof ActivityEncoder ? encoder : undefined;
  const acknowledge = (seq: number, places: readonly Place[]): void => {
    map.acknowledge(seq, activity?.placesOf(seq, places) ?? places);
    waiting.releasePayload(seq);
  };
  const window = makeDedupeWindow({ ...run, ...PARCEL, pending, waiting, acknowledge, clock });
  const flusher = new Flusher({
    pending: window ?? pending,
    encoder: withSchemaChanges(pipeline, encoder),
    sink: heartbeats ?? target.sink,
    acknowledge: window?.delivered ?? acknowledge,
    clock,
    chunkMessages: CHUNK_MESSAGES,
    encoded: vitals.encoded,
    delivered: vitals.delivered,
  });
  const watcher = new Watcher({
    queue: waiting,
    map,
    progress,
    commitLog: target.commitLog,
    clock,
    intervalMs: Math.max(WATCHER_INTERVAL_MIN_MS, flushIntervalMs),
    stallMs: STALL_MS,
    onWritten: () => (vitals.checkpoints += 1),
  });
  const failure = new AbortController();
  const sinkEvents: SinkEvents = {
    delivered: (message, place, others) => {
      heartbeats?.delivered(message);
      flusher.delivered(message, place, others);
    },
    refused: (_message, error) => {
      failure.abort(error);
      return new Promise(() => undefined);
    },
    failed: error => failure.abort(error),
    claim: offsets => watcher.claim(offsets, hard),
  };
  const sinkFailure = failure.signal;
  const stages = { waiting, pending, window, flusher, progress, watcher };
  return { ...stages, heartbeats, activity, sinkEvents, sinkFailure };
}

/** A file has none: after a restart its lines are counted, and a heartbeat would stand for a row. */
function makeHeartbeats(
  { format, sink }: PipelineConfig,
  target: Target,
  progress: Progress,
): Heartbeats | undefined {
  if (format.type !== "row-events" || format.heartbeatMs === 0 || sink.type === "file") {
    return undefined;
  }
  const { database, table } = HEARTBEAT_TABLE;
  return new Heartbeats({
    sink: target.sink,
    intervalMs: format.heartbeatMs,
    destination: target.router(database, table),
    generation: () => progress.generation,
    value: () => heartbeatValue(clock.wallMs()),
    clock,
  });
}
