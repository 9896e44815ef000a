/** The existing rows of a pipeline's tables, put into its stream. */
import type { BinlogSource } from "../binlog/source.ts";
import type { MysqlServer, ServerIdentity } from "../binlog/server.ts";
import type { MysqlConnectionOptions } from "../binlog/connection.ts";
import { connectForStatements } from "../binlog/statement-connection.ts";
import type { Config, PipelineConfig } from "../config/config.ts";
import { compileTableFilter } from "../config/table-pattern.ts";
import type { SourcePosition } from "../core/checkpoint.ts";
import type { Clock } from "../core/clock.ts";
import type { Mark } from "../core/entry.ts";
import type { Logger } from "../core/logger.ts";
import { retrying } from "../core/retry.ts";
import type { SnapshotRequest } from "../core/snapshot-request.ts";
import type { Gap, SnapshotState } from "../core/snapshot-state.ts";
import type { Vitals } from "../core/vitals.ts";
import { ChunkSize } from "../snapshot/chunk-size.ts";
import type { StreamEnd } from "../snapshot/chunk-source.ts";
import { Copiers } from "../snapshot/copiers.ts";
import { HandedOut } from "../snapshot/handed-out.ts";
import { gapEntries } from "../snapshot/gap-entries.ts";
import { Interleaved, type EntrySource } from "../snapshot/interleaved.ts";
import { MysqlChunks } from "../snapshot/mysql-chunks.ts";
import { Pace } from "../snapshot/pace.ts";
import { MysqlLocks } from "../snapshot/table-locks.ts";
import type { ListedTable } from "../snapshot/table-list.ts";
import type { Progress } from "../watcher/progress.ts";
import type { Watcher } from "../watcher/watcher.ts";
import {
  onlyRequested,
  planAfterGap,
  planRequested,
  planSnapshot,
  tablesLeft,
} from "./snapshot-plan.ts";
import { snapshotReplica } from "./snapshot-replica.ts";
import { SnapshotReport } from "./snapshot-report.ts";
import type { Start } from "./start.ts";

export interface SnapshotStages {
  readonly config: Config;
  readonly pipeline: PipelineConfig;
  readonly server: MysqlServer;
  readonly about: Pick<ServerIdentity, "serverId" | "gtidMode" | "isMariaDb">;
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
  /** Aborts when the pipeline has ended. */
  readonly ended: AbortSignal;
}

/** Of row data, for all copiers: of each one chunk waits, one is read, and one is on its way into the queue. */
const CHUNK_BYTES_MAX = 4 * 1024 * 1024;
const CHUNK_SHARE = 16;

export interface WithSnapshot {
  readonly source: EntrySource;
  /** Somebody asks for more tables while it runs. */
  readonly requested: (request: SnapshotRequest) => void;
}

/** The stream, with the rows in it that are to be copied. */
export async function withSnapshot(
  stages: SnapshotStages,
  signal: AbortSignal,
): Promise<WithSnapshot> {
  const { config, about, progress, clock, logger } = stages;
  const { snapshot } = config.source;
  const { copiers, interleaved, report } = build(stages);
  const begin = (tables: readonly ListedTable[]): void => {
    report.begin(tables);
    if (tables.length === 0) return;
    const { run } = tables[0] as ListedTable;
    logger.info({ run, tables: tables.length }, "begins to copy the rows that are there");
    copiers.add(tables);
  };
  const { mode } = snapshot;
  const known = progress.snapshot.state;
  const asking = { clock, logger, signal, doing: "Asking MySQL for its tables" };
  const plan =
    mode === "never"
      ? known && onlyRequested(known)
      : await retrying(() => planOf(stages, mode), asking);
  if (plan !== null) {
    progress.snapshot.begin(plan);
    stages.begun.add(plan.run);
    const mark = markOf(stages.start.position);
    const { serverId } = about;
    interleaved.begin(gapEntries({ state: plan, mark, serverId, nowMs: clock.wallMs() }));
    begin(tablesLeft(plan, mode));
  }
  return { source: interleaved, requested: request => take(stages, request, begin) };
}

/** A request is taken with the next record of the commit log; a kill before it leaves it to the next start. */
function take(
  { config, pipeline, progress, watcher, clock, logger, ended }: SnapshotStages,
  request: SnapshotRequest,
  begin: (tables: readonly ListedTable[]) => void,
): void {
  const planned = planRequested({
    ...{ request, known: progress.snapshot.state, mode: config.source.snapshot.mode },
    ...{ run: runNow(clock), captures: compileTableFilter(pipeline.tables) },
  });
  if (planned === undefined) return;
  const { state, added } = planned;
  logger.info({ tables: Object.keys(request.tables).length }, "was asked for existing rows");
  progress.snapshot.begin(state);
  begin(added);
  // Whether it can be written is found by whoever writes.
  watcher.claim({}, ended).catch(() => undefined);
}

function runNow(clock: Clock): string {
  return new Date(clock.wallMs()).toISOString().replace(/\D/g, "");
}

async function planOf(
  { config, pipeline, server, progress, clock, begun }: SnapshotStages,
  mode: "initial" | "always",
) {
  const known = progress.snapshot.state;
  return planSnapshot({
    ...{ mode, known, run: runNow(clock), again: !begun.has(known?.run ?? "") },
    patterns: [pipeline.tables, config.source.snapshot.tables],
    tables: await server.tables(),
  });
}

function build(stages: SnapshotStages) {
  const { config, server, connection, source, start, watcher, progress, vitals, clock, logger } =
    stages;
  const { serverId, gtidMode, isMariaDb } = stages.about;
  const { batchRows, quiesced, parallelTables, rowsPerS, where, noKey } = config.source.snapshot;
  const { memoryPerPipelineBytes, maxRowBytes } = config.queue;
  const chunkBytes = Math.min(CHUNK_BYTES_MAX, memoryPerPipelineBytes / CHUNK_SHARE);
  const toSource = (signal: AbortSignal) => connectForStatements(connection, signal);
  const reading = { rowBytesMax: maxRowBytes, where, clock };
  const handedOut = new HandedOut(firstMark(start));
  const copiers = new Copiers({
    ...{ handedOut, clock, logger, troubles: vitals.sourceTroubles },
    copiers: Array.from({ length: parallelTables }, () => {
      const replica = snapshotReplica(config.source, server, logger);
      const readFrom = replica?.connection ?? connection;
      return {
        source: new MysqlChunks({
          connect: signal => connectForStatements(readFrom, signal),
          end: () => endOf(server),
          ...{ replica, ...reading },
        }),
        size: new ChunkSize(batchRows, chunkBytes / parallelTables),
      };
    }),
    pace: new Pace(rowsPerS, clock),
    locks: noKey === "lock" ? new MysqlLocks({ connect: toSource, ...reading }) : undefined,
    generation: progress.generation,
    windowed: gtidMode && !isMariaDb && !quiesced,
    announce: async (table, until, signal) => {
      progress.snapshot.announce(table, until);
      await watcher.claim({}, signal);
    },
  });
  const report = new SnapshotReport({
    ...{ vitals, clock, logger },
    estimate: () => server.estimatedRows(),
  });
  const interleaved = new Interleaved({
    ...{ stream: source, copiers, handedOut, serverId, clock },
    onChunk: ({ table, isLast, rowsBefore, batches }, entered) => {
      const rows = batches.reduce((sum, batch) => sum + batch.rows.count, rowsBefore);
      report.add({ table, rows, entered, isLast });
    },
  });
  return { copiers, interleaved, report };
}

/** Committed by now, and where the binlog ends then: asked in this order, the place is behind all of it. */
async function endOf(server: MysqlServer): Promise<StreamEnd> {
  const { gtidMode, isMariaDb } = await server.inspect();
  const gtids = gtidMode && !isMariaDb ? (await server.gtids()).executed : "";
  const { file, position } = await server.currentPosition();
  return { file, position, gtids };
}

function markOf({ serverUuid, boundary, transaction, prepared = [] }: SourcePosition): Mark {
  const common = { serverUuid, boundary, transaction, prepared };
  return { ...common, anonymous: false, gtids: [], eventTimeS: 0 };
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

/** What takes the place of `gap`, and who has to be told of it. */
export async function planMending(
  {
    config,
    pipeline,
    server,
    progress,
    clock,
  }: Pick<SnapshotStages, "config" | "pipeline" | "server" | "progress" | "clock">,
  gap: Gap,
): Promise<SnapshotState> {
  const patterns = [pipeline.tables, config.source.snapshot.tables];
  const known = progress.snapshot.state;
  return planAfterGap({ patterns, tables: await server.tables(), known, run: runNow(clock), gap });
}
