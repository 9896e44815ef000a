/** The existing rows of a pipeline's tables, put into its stream. */
import type { BinlogSource } from "../binlog/source.ts";
import type { MysqlServer } from "../binlog/server.ts";
import type { MysqlConnectionOptions } from "../binlog/connection.ts";
import { connectForStatements } from "../binlog/statement-connection.ts";
import type { Config, PipelineConfig } from "../config/config.ts";
import type { Clock } from "../core/clock.ts";
import type { Mark } from "../core/entry.ts";
import type { Logger } from "../core/logger.ts";
import { retrying } from "../core/retry.ts";
import { isFinished, type SnapshotState } from "../core/snapshot-state.ts";
import type { Vitals } from "../core/vitals.ts";
import { ChunkSize } from "../snapshot/chunk-size.ts";
import type { StreamEnd } from "../snapshot/chunk-source.ts";
import { Copier } from "../snapshot/copier.ts";
import { HandedOut } from "../snapshot/handed-out.ts";
import { Interleaved, type EntrySource } from "../snapshot/interleaved.ts";
import { MysqlChunks } from "../snapshot/mysql-chunks.ts";
import type { Progress } from "../watcher/progress.ts";
import type { Watcher } from "../watcher/watcher.ts";
import { planSnapshot, withNothingSent } from "./snapshot-plan.ts";
import { snapshotReplica } from "./snapshot-replica.ts";
import { SnapshotReport } from "./snapshot-report.ts";
import type { Start } from "./start.ts";

export interface SnapshotStages {
  readonly config: Config;
  readonly pipeline: PipelineConfig;
  readonly server: MysqlServer;
  /** Where existing rows are read, unless the configuration names a replica. */
  readonly connection: MysqlConnectionOptions;
  readonly source: BinlogSource;
  readonly start: Start;
  readonly progress: Progress;
  readonly watcher: Watcher;
  readonly vitals: Vitals;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Runs that were begun by this process: they are not begun again when the pipeline is. */
  readonly begun: Set<string>;
}

/** Of row data: one chunk waits, one is read, and one is on its way into the queue. */
const CHUNK_BYTES_MAX = 4 * 1024 * 1024;
const CHUNK_SHARE = 16;

/** The stream alone, if there is nothing to copy. */
export async function withSnapshot(
  stages: SnapshotStages,
  signal: AbortSignal,
): Promise<EntrySource> {
  const { config, source, progress, clock, logger } = stages;
  const { snapshot } = config.source;
  if (snapshot.mode === "never") {
    // Its tails would grow for ever.
    const known = progress.snapshot.state;
    if (known !== null) progress.snapshot.begin(withNothingSent(known));
    return source;
  }
  const doing = "Asking MySQL for its tables";
  const plan = await retrying(() => planOf(stages), { clock, logger, signal, doing });
  progress.snapshot.begin(plan);
  if (isFinished(plan)) {
    stages.vitals.snapshotTablesLeft = 0;
    return source;
  }
  stages.begun.add(plan.run);
  return interleaved(stages, plan);
}

async function planOf({ config, pipeline, server, progress, clock, begun }: SnapshotStages) {
  const { mode, tables } = config.source.snapshot;
  const known = progress.snapshot.state;
  const run = new Date(clock.wallMs()).toISOString().replace(/\D/g, "");
  return planSnapshot({
    mode: mode === "always" ? mode : "initial",
    ...{ known, run, again: !begun.has(known?.run ?? "") },
    patterns: [pipeline.tables, tables],
    tables: await server.tables(),
  });
}

async function interleaved(stages: SnapshotStages, state: SnapshotState): Promise<EntrySource> {
  const { config, server, connection, source, start, watcher, progress, vitals, clock, logger } =
    stages;
  const { batchRows, quiesced } = config.source.snapshot;
  const { memoryPerPipelineBytes, maxRowBytes } = config.queue;
  const { serverId, gtidMode, isMariaDb } = await server.inspect();
  const replica = snapshotReplica(config.source, server, logger);
  const readFrom = replica?.connection ?? connection;
  const handedOut = new HandedOut(firstMark(start));
  const left = Object.entries(state.tables).flatMap(([id, { done }]) => (done ? [] : [id]));
  const from = replica === undefined ? {} : { from: replica.name };
  const about = { run: state.run, tables: left.length, ...from };
  logger.info(about, "begins to copy the rows that are there");
  const copier = new Copier({
    ...{ state, handedOut, clock, logger, troubles: vitals.sourceTroubles },
    source: new MysqlChunks({
      connect: signal => connectForStatements(readFrom, signal),
      end: () => endOf(server),
      replica,
      ...{ rowBytesMax: maxRowBytes, clock },
    }),
    size: new ChunkSize(batchRows, Math.min(CHUNK_BYTES_MAX, memoryPerPipelineBytes / CHUNK_SHARE)),
    windowed: gtidMode && !isMariaDb && !quiesced,
    announce: async (table, until, signal) => {
      progress.snapshot.announce(table, until);
      await watcher.claim({}, signal);
    },
  });
  const report = new SnapshotReport({ tables: left.length, vitals, clock, logger });
  return new Interleaved({
    ...{ stream: source, copier, handedOut, run: state.run, serverId, clock },
    onChunk: ({ table, isLast, rowsBefore, batches }, entered) => {
      const rows = batches.reduce((sum, batch) => sum + batch.rows.count, rowsBefore);
      report.add({ table, rows, entered, isLast });
    },
  });
}

/** Committed by now, and where the binlog ends then: asked in this order, the place is behind all of it. */
async function endOf(server: MysqlServer): Promise<StreamEnd> {
  const { gtidMode, isMariaDb } = await server.inspect();
  const gtids = gtidMode && !isMariaDb ? (await server.gtids()).executed : "";
  const { file, position } = await server.currentPosition();
  return { file, position, gtids };
}

/** A place on another server says nothing here. */
function firstMark({ position, sameServer }: Start): Mark {
  const { serverUuid, boundary, transaction, anonymous } = position;
  return {
    ...{ serverUuid, transaction, anonymous },
    boundary: sameServer ? boundary : { file: "", fileCreated: 0, position: 0 },
    gtids: [],
    eventTimeS: 0,
  };
}
