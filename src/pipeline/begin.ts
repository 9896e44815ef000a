/**
 * Opens what a run needs, in the order that its promises rest on:
 *
 *   1. source and destination are checked, before anything is changed; what is an error ends the start
 *   2. the commit log is opened, and the generation raised in it, which ends an older instance
 *   3. the sink fixes where the tails of its partitions end
 *   4. without a checkpoint, `source.start` is resolved and, with the partitions' end offsets, written down
 *   5. only then may the first event be read
 *
 * Where the server has lost what follows the checkpoint, and `source.on_lost_position` wants rows for it, the present
 * takes its place in step 4, with the snapshot that is needed then.
 */
import type { MysqlServer } from "../binlog/server.ts";
import type { TableFilter } from "../binlog/reader.ts";
import type { Checked } from "../check/check.ts";
import type { StartConfig } from "../config/config.ts";
import {
  sourcePosition,
  type Checkpoint,
  type NextOffsets,
  type SourcePosition,
} from "../core/checkpoint.ts";
import { systemClock } from "../core/clock.ts";
import { TidemarkError, toTidemarkError } from "../core/errors.ts";
import { errorOf, type Finding } from "../core/finding.ts";
import type { Logger } from "../core/logger.ts";
import { retrying } from "../core/retry.ts";
import type { Gap, GapPlace, SnapshotState } from "../core/snapshot-state.ts";
import type { Troubles } from "../core/troubles.ts";
import type { Sink, SinkEvents, SinkResume } from "../sinks/sink.ts";
import type { CommitLog } from "../watcher/commit-log.ts";
import type { Progress } from "../watcher/progress.ts";
import type { SourceHosts } from "./hosts.ts";
import type { Patience } from "./patience.ts";
import { withTails } from "./snapshot-plan.ts";
import { startAfterGap, startAtCheckpoint, startFresh, type Start } from "./start.ts";

export interface BeginOptions {
  readonly hosts: SourceHosts;
  readonly sink: Pick<Sink, "open">;
  readonly sinkEvents: SinkEvents;
  readonly commitLog: CommitLog;
  readonly progress: Progress;
  readonly check: (signal: AbortSignal) => Promise<Checked>;
  readonly warn: (findings: readonly Finding[]) => void;
  /** Name of the reader, whose checksums a checkpoint may hold. */
  readonly reader: string;
  readonly wants: TableFilter;
  /** Hash of what decides which messages come out. */
  readonly output: string;
  readonly start: StartConfig;
  /** What takes the place of changes that the server has lost; undefined if that ends the pipeline. */
  readonly afterGap: ((gap: Gap) => Promise<SnapshotState>) | undefined;
  readonly patience: Patience;
  /** Told when MySQL has to be waited for. */
  readonly troubles: Troubles;
  readonly logger: Logger;
}

/** Resolves when the stream may be read from `Start` on. Waits for what is down. */
export async function begin(options: BeginOptions, signal: AbortSignal): Promise<Start> {
  const { commitLog, patience, hosts } = options;
  // Where there is one host only, the check says better what is wrong with it.
  if (hosts.areSeveral) await askServer(options, () => hosts.reach(), signal);
  const destinations = await checked(options, signal);
  patience.waitingFor("The commit log", "SINK_UNAVAILABLE");
  const checkpoint = await commitLog.open(signal);
  const beginning = { ...options, destinations };
  return checkpoint === undefined
    ? fresh(beginning, signal)
    : resumed(beginning, checkpoint, signal);
}

/** @throws TidemarkError with everything that is in the way. */
async function checked(
  { check, warn }: BeginOptions,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const { findings, destinations } = await check(signal);
  warn(findings);
  const error = errorOf(findings);
  if (error !== undefined) throw error;
  return destinations;
}

interface Beginning extends BeginOptions {
  readonly destinations: readonly string[];
}

async function resumed(
  options: Beginning,
  checkpoint: Checkpoint,
  signal: AbortSignal,
): Promise<Start> {
  const { hosts, commitLog, progress, logger, output } = options;
  const snapshot = withTails(checkpoint);
  progress.begin({
    generation: checkpoint.generation + 1,
    position: sourcePosition(checkpoint),
    nextOffsets: checkpoint.next_offsets,
    snapshot,
  });
  // What the tails hold was made by the old rules until the sink has seen them.
  await commitLog.append({ ...progress.nextCheckpoint(), output: checkpoint.output }, signal);
  const before = hosts.name;
  const { start, mending } = await startOrMend(options, checkpoint, signal);
  if (hosts.name !== before) await checked(options, signal);
  const checkArrived = async (arrived: ReadonlySet<string>): Promise<void> => {
    const read = hosts.name;
    const attempt = (server: MysqlServer): Promise<Start> =>
      startAtCheckpoint(server, checkpoint, { ...options, arrived });
    await askServer(options, () => hosts.choose(attempt), signal);
    if (hosts.name === read) return;
    const message = `${hosts.name} has what was delivered, and ${read} does not.`;
    throw new TidemarkError("SOURCE_CHANGED", message);
  };
  const bases = await openSink(
    options,
    {
      nextOffsets: checkpoint.next_offsets,
      snapshotTails: mending === undefined ? (snapshot?.tails ?? undefined) : undefined,
      startsAnew: mending !== undefined,
      sameServer: start.sameServer,
      arrived: start.sameServer ? undefined : transactions => checkArrived(transactions),
      sameOutput: checkpoint.output === output,
    },
    signal,
  );
  if (mending !== undefined) {
    // Known before anything of it is sent, so that a crash goes on with it.
    const { generation } = progress;
    progress.begin({ ...{ generation, position: start.position }, nextOffsets: bases, ...mending });
    await commitLog.append(progress.nextCheckpoint(), signal);
  } else if (Object.keys(bases).length > 0 || checkpoint.output !== output) {
    progress.addOffsets(bases);
    await commitLog.append(progress.nextCheckpoint(), signal);
  }
  logger.info(describe(start), "goes on at its checkpoint");
  return start;
}

interface Mended {
  readonly start: Start;
  /** Set if what follows the checkpoint is lost. */
  readonly mending?: { readonly snapshot: SnapshotState };
}

/** At the checkpoint, on whatever host still has what follows; or else at the present, with a plan for what is lost. */
async function startOrMend(
  options: Beginning,
  checkpoint: Checkpoint,
  signal: AbortSignal,
): Promise<Mended> {
  const { hosts, afterGap, logger } = options;
  const ask = <T>(attempt: (server: MysqlServer) => Promise<T>): Promise<T> =>
    askServer(options, () => hosts.choose(attempt), signal);
  try {
    return { start: await ask(server => startAtCheckpoint(server, checkpoint, options)) };
  } catch (thrown) {
    const { code, message } = toTidemarkError(thrown);
    // One that has lost what follows is better than one that lacks what was delivered.
    const isLost = code === "POSITION_LOST" || code === "POSITION_UNUSABLE";
    if (!isLost || afterGap === undefined) throw thrown;
    const start = await ask(server => startAfterGap(server, checkpoint, options));
    if (!start.afterGap) return { start };
    const gap = { from: gapPlace(sourcePosition(checkpoint)), to: gapPlace(start.position) };
    const snapshot = await askServer(options, () => afterGap(gap), signal);
    const { untold: { length: tables } = [] } = snapshot.gap ?? {};
    logger.warn({ tables, reason: message, ...gap }, "changes are lost: all tables are read anew");
    return { start, mending: { snapshot } };
  }
}

function gapPlace({ serverUuid, boundary, gtidSet }: SourcePosition): GapPlace {
  const { file, position } = boundary;
  return { server_uuid: serverUuid, file, position, gtid_set: gtidSet };
}

async function fresh(options: Beginning, signal: AbortSignal): Promise<Start> {
  const { hosts, commitLog, progress, logger } = options;
  const { server } = hosts; // A file is that of one server: the others are not asked for it.
  const start = await askServer(options, () => startFresh(server, options.start), signal);
  const resume = { nextOffsets: undefined, sameServer: true, sameOutput: true };
  const nextOffsets = await openSink(options, resume, signal);
  progress.begin({ generation: 1, position: start.position, nextOffsets });
  // A crash before the first release must begin here again, not at a later `latest`.
  if (__MUTANT__ !== "start-late") await commitLog.append(progress.nextCheckpoint(), signal);
  logger.info(describe(start), "begins without a checkpoint");
  return start;
}

function describe({ position }: Start): object {
  const { file, position: offset } = position.boundary;
  return file === "" ? { gtid_set: position.gtidSet } : { position: `${file}:${offset}` };
}

async function askServer<T>(
  options: BeginOptions,
  attempt: () => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const { patience, troubles, logger } = options;
  patience.waitingFor("MySQL", "SOURCE_UNAVAILABLE");
  const doing = "Asking MySQL";
  return retrying(attempt, { clock: systemClock, logger, signal, doing, troubles });
}

async function openSink(
  options: Beginning,
  resume: Omit<SinkResume, "destinations">,
  signal: AbortSignal,
): Promise<NextOffsets> {
  const { sink, sinkEvents, patience, destinations } = options;
  patience.waitingFor("The destination", "SINK_UNAVAILABLE");
  return sink.open({ ...resume, destinations }, sinkEvents, signal);
}
