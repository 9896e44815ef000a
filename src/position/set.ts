/**
 * Puts a pipeline to another place of the binlog:
 *
 *   1. the place is looked for on the server; nothing is changed if it cannot be read from there
 *   2. the commit log is opened, under its lock where it has one, even if its record is damaged
 *   3. a record of the next generation is written, which ends an instance that runs, with the present ends
 *      of the destination: what stands before them is not compared with what will be sent
 */
import type { MysqlServer } from "../binlog/server.ts";
import type { Config, PipelineConfig, StartConfig } from "../config/config.ts";
import { outputHash } from "../config/output-hash.ts";
import { parsePlace } from "../config/place.ts";
import { compileTableFilter } from "../config/table-pattern.ts";
import { sourcePosition, type Checkpoint } from "../core/checkpoint.ts";
import { systemClock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import { retrying } from "../core/retry.ts";
import type { Fence } from "../kafka/fence.ts";
import { withoutActivity } from "../pipeline/activity-offsets.ts";
import { split } from "../pipeline/dead-letter-sink.ts";
import { SourceHosts } from "../pipeline/hosts.ts";
import { withNothingSent } from "../pipeline/snapshot-plan.ts";
import { Patience } from "../pipeline/patience.ts";
import { startFresh, type Start } from "../pipeline/start.ts";
import { kafkaClient } from "../pipeline/clients.ts";
import { makeCommitLog, makeFence, routerOf, type TargetOptions } from "../pipeline/target.ts";
import type { LastRecord } from "../watcher/commit-log.ts";
import { Progress } from "../watcher/progress.ts";
import { effectOf } from "./effect.ts";
import { isPositionFile, readPositionFile, transactionStart } from "./file.ts";
import { endsWithoutTopics, topicEnds, type Ends } from "./ends.ts";

export interface PositionRequest {
  readonly config: Config;
  readonly pipeline: PipelineConfig;
  /** How long MySQL and the destination may take to be reached. */
  readonly timeoutMs: number;
  readonly logger: Logger;
}

export interface PositionSet {
  readonly checkpoint: Checkpoint;
  readonly before: LastRecord;
  /** What is skipped or repeated, in a sentence. */
  readonly effect: string;
  readonly tornBytes: number;
}

/**
 * @param place as a person writes it, or the path of a position file.
 * @throws TidemarkError POSITION_UNUSABLE for a place that the server has not, TAKEN_OVER for a lock.
 */
export async function setPosition(request: PositionRequest, place: string): Promise<PositionSet> {
  const { config, pipeline, timeoutMs, logger } = request;
  const patience = new Patience(timeoutMs, systemClock);
  const { signal } = patience;
  const hosts = new SourceHosts({ source: config.source, clock: systemClock, logger });
  const { server } = hosts;
  const fence = fenceOf(request);
  const commitLog = makeCommitLog({ ...parts(request), fence });
  const ask = <T>(doing: string, attempt: () => Promise<T>): Promise<T> =>
    retrying(attempt, { clock: systemClock, logger, signal, doing });
  try {
    patience.waitingFor("MySQL", "SOURCE_UNAVAILABLE");
    if (hosts.areSeveral) await ask("Asking MySQL", () => hosts.reach());
    const start: Start = await ask("Asking MySQL", async () =>
      startFresh(server, await placeFrom(place, server, signal)),
    );
    const topics = await ask("Asking MySQL", () => topicsOf(server, pipeline));
    patience.waitingFor("The commit log", "SINK_UNAVAILABLE");
    const before = await commitLog.openToReplace(signal);
    patience.waitingFor("The destination", "SINK_UNAVAILABLE");
    const { nextOffsets, tornBytes } = await endsOf(request, { topics, before, fence, signal });
    const progress = new Progress({
      pipeline: pipeline.name,
      reader: config.source.reader,
      delivery: pipeline.sink.delivery,
      output: outputHash(pipeline),
      clock: systemClock,
    });
    const { snapshot = null } = before.checkpoint ?? {};
    progress.begin({
      ...{ generation: before.generation + 1, position: start.position, nextOffsets },
      snapshot: snapshot && withNothingSent(snapshot),
    });
    const checkpoint = progress.nextCheckpoint();
    await commitLog.append(checkpoint, signal);
    const old = before.checkpoint && sourcePosition(before.checkpoint);
    const effect = await ask("Asking MySQL", () => effectOf(server, old, start.position));
    return { checkpoint, before, effect, tornBytes };
  } finally {
    patience.end();
    fence?.close();
    await commitLog.close();
  }
}

async function placeFrom(
  place: string,
  server: MysqlServer,
  signal: AbortSignal,
): Promise<StartConfig> {
  if (!isPositionFile(place)) return parsePlace(place);
  return transactionStart(server, readPositionFile(place), signal);
}

type Parts = Pick<TargetOptions, "config" | "pipeline" | "logger" | "clock" | "identities">;

const parts = ({ config, pipeline, logger }: PositionRequest): Parts => ({
  ...{ config, pipeline, logger, clock: systemClock, identities: new Map() },
});

/** What an instance that runs has sent stands before the ends that we take: it is replaced first. */
function fenceOf(request: PositionRequest): Fence | undefined {
  const { sink, name } = request.pipeline;
  return sink.type === "kafka" ? makeFence(sink, { ...parts(request), name }) : undefined;
}

/** The valid checkpoint; undefined if there is none. */
export async function readPosition(request: PositionRequest): Promise<Checkpoint | undefined> {
  const patience = new Patience(request.timeoutMs, systemClock);
  const commitLog = makeCommitLog(parts(request));
  patience.waitingFor("The commit log", "SINK_UNAVAILABLE");
  try {
    return await commitLog.read(patience.signal);
  } finally {
    patience.end();
    await commitLog.close();
  }
}

/** Those that the tables lead to which exist now. */
async function topicsOf(server: MysqlServer, { tables, sink }: PipelineConfig): Promise<string[]> {
  if (sink.type !== "kafka") return [];
  const wants = compileTableFilter(tables);
  const router = routerOf(sink);
  // A name without placeholders is known without asking for tables, which our user may not see.
  const fixed = sink.topic.includes("{") ? [] : [sink.topic];
  const all = await server.tables();
  const named = all
    .filter(({ database, name }) => wants(database, name))
    .map(({ database, name }) => router(database, name));
  return [...new Set([...fixed, ...named])];
}

function endsOf(
  { pipeline, logger }: PositionRequest,
  known: {
    topics: readonly string[];
    before: LastRecord;
    fence: Fence | undefined;
    signal: AbortSignal;
  },
): Promise<Ends> {
  const { topics, before, fence, signal } = known;
  const { sink } = pipeline;
  if (sink.type !== "kafka" || fence === undefined) return endsWithoutTopics(pipeline);
  // Dead letters begin at their end wherever a checkpoint does not name them.
  const written = Object.keys(withoutActivity(split(before.checkpoint?.next_offsets).own ?? {}));
  const names = [...new Set([...topics, ...written])];
  return topicEnds(kafkaClient(sink), names, { fence, logger, signal });
}
