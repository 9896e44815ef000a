/** The existing rows of a pipeline's tables, put into its stream. */
import type { BinlogSource } from "../binlog/source.ts";
import type { MysqlServer, ServerIdentity } from "../binlog/server.ts";
import type { MysqlConnectionOptions } from "../binlog/connection.ts";
import { connectForStatements } from "../binlog/statement-connection.ts";
import type { Config, PipelineConfig } from "../config/config.ts";
import type { Clock } from "../core/clock.ts";
import type { Mark } from "../core/entry.ts";
import type { Logger } from "../core/logger.ts";
import { retrying } from "../core/retry.ts";
import type { SnapshotState } from "../core/snapshot-state.ts";
import type { Vitals } from "../core/vitals.ts";
import { ChunkSize } from "../snapshot/chunk-size.ts";
import type { StreamEnd } from "../snapshot/chunk-source.ts";
import { Copiers } from "../snapshot/copiers.ts";
import { HandedOut } from "../snapshot/handed-out.ts";
import { Interleaved, type EntrySource } from "../snapshot/interleaved.ts";
import { MysqlChunks } from "../snapshot/mysql-chunks.ts";
import type { ListedTable } from "../snapshot/table-list.ts";
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

/** Of row data, for all copiers: of each one chunk waits, one is read, and one is on its way into the queue. */
const CHUNK_BYTES_MAX = 4 * 1024 * 1024;
const CHUNK_SHARE = 16;

/** The stream, with the rows in it that are to be copied. */
export async function withSnapshot(
  stages: SnapshotStages,
  signal: AbortSignal,
): Promise<EntrySource> {
  const { config, server, progress, clock, logger } = stages;
  const { snapshot } = config.source;
  const retry = { clock, logger, signal };
  const doing = "Asking MySQL what it is";
  const about = await retrying(() => server.inspect(), { ...retry, doing });
  const { copiers, interleaved, report } = build(stages, about);
  if (snapshot.mode === "never") {
    // Its tails would grow for ever.
    const known = progress.snapshot.state;
    if (known !== null) progress.snapshot.begin(withNothingSent(known));
    return interleaved;
  }
  const plan = await retrying(() => planOf(stages), {
    ...{ ...retry, doing: "Asking MySQL for its tables" },
  });
  progress.snapshot.begin(plan);
  const left = tablesLeft(plan);
  report.begin(left.length);
  if (left.length === 0) return interleaved;
  stages.begun.add(plan.run);
  logger.info({ run: plan.run, tables: left.length }, "begins to copy the rows that are there");
  copiers.add(left);
  return interleaved;
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

function tablesLeft({ run, tables }: SnapshotState): readonly ListedTable[] {
  return Object.entries(tables).flatMap(([id, known]) => (known.done ? [] : [{ id, run, known }]));
}

function build(
  stages: SnapshotStages,
  { serverId, gtidMode, isMariaDb }: Pick<ServerIdentity, "serverId" | "gtidMode" | "isMariaDb">,
) {
  const { config, server, connection, source, start, watcher, progress, vitals, clock, logger } =
    stages;
  const { batchRows, quiesced, parallelTables } = config.source.snapshot;
  const { memoryPerPipelineBytes, maxRowBytes } = config.queue;
  const chunkBytes = Math.min(CHUNK_BYTES_MAX, memoryPerPipelineBytes / CHUNK_SHARE);
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
          replica,
          ...{ rowBytesMax: maxRowBytes, clock },
        }),
        size: new ChunkSize(batchRows, chunkBytes / parallelTables),
      };
    }),
    windowed: gtidMode && !isMariaDb && !quiesced,
    announce: async (table, until, signal) => {
      progress.snapshot.announce(table, until);
      await watcher.claim({}, signal);
    },
  });
  const report = new SnapshotReport({ vitals, clock, logger });
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
