/**
 * Asks a pipeline for the existing rows of tables:
 *
 *   1. it is looked whether they can be copied, as `tidemark check` would; nothing is changed otherwise
 *   2. the request is written beside the checkpoint, joined with one that nobody has taken yet
 *   3. the instance that runs takes it, and says so with its next checkpoint; without one, the next start does
 */
import { replicaFindings } from "../check/replica.ts";
import { copiedTables, snapshotFindings, TABLES_MAX } from "../check/snapshot.ts";
import type { Config, PipelineConfig } from "../config/config.ts";
import { compileTableFilter } from "../config/table-pattern.ts";
import type { Checkpoint } from "../core/checkpoint.ts";
import { systemClock } from "../core/clock.ts";
import { TidemarkError } from "../core/errors.ts";
import { errorOf } from "../core/finding.ts";
import type { Logger } from "../core/logger.ts";
import { retrying } from "../core/retry.ts";
import type { Wanted } from "../core/snapshot-request.ts";
import type { SnapshotState } from "../core/snapshot-state.ts";
import { SourceHosts } from "../pipeline/hosts.ts";
import { Patience } from "../pipeline/patience.ts";
import { wasSent } from "../pipeline/snapshot-plan.ts";
import { snapshotReplica } from "../pipeline/snapshot-replica.ts";
import { makeCommitLog } from "../pipeline/target.ts";
import type { ReplaceableCommitLog } from "../watcher/commit-log.ts";

export interface SnapshotAsk {
  readonly config: Config;
  readonly pipeline: PipelineConfig;
  /** As in `source.snapshot.tables`. */
  readonly patterns: readonly string[];
  /** Also what was sent already. */
  readonly force: boolean;
  /** How long servers, and the pipeline, may take to answer. */
  readonly timeoutMs: number;
  readonly logger: Logger;
  /** Called when the pipeline has taken the request, and then with each checkpoint until all is copied. */
  readonly onProgress?: (asked: Asked, state: SnapshotState) => void;
  readonly signal: AbortSignal;
}

export interface Asked {
  /** What is to be copied, as `database.table`. */
  readonly tables: readonly string[];
  /** What was sent already, and is not asked for. */
  readonly sent: readonly string[];
}

/**
 * Resolves when the pipeline has taken the request; with `onProgress`, when all of it is copied.
 *
 * @throws TidemarkError USAGE if no captured table is meant, NOT_TAKEN if nobody takes it in time, or what
 *   keeps the tables from being copied.
 */
export async function requestSnapshot(ask: SnapshotAsk): Promise<Asked> {
  const { config, pipeline, timeoutMs, logger } = ask;
  const patience = new Patience(timeoutMs, systemClock);
  const signal = AbortSignal.any([ask.signal, patience.signal]);
  const commitLog = makeCommitLog({
    ...{ config, pipeline, logger, clock: systemClock, identities: new Map() },
  });
  try {
    patience.waitingFor("MySQL", "SOURCE_UNAVAILABLE");
    const tables = await copyable(ask, signal);
    patience.waitingFor("The commit log", "SINK_UNAVAILABLE");
    const checkpoint = await commitLog.read(signal);
    if (checkpoint === undefined) throw notBegun(pipeline.name);
    const { snapshot } = checkpoint;
    const isSent = (table: Name): boolean => !ask.force && wasSent(snapshot, table);
    const asked: Asked = {
      tables: tables.filter(table => !isSent(table)).map(idOf),
      sent: tables.filter(isSent).map(idOf),
    };
    if (asked.tables.length === 0) return asked;
    const number = await write(ask, { commitLog, snapshot, tables: asked.tables }, signal);
    patience.end();
    await follow(ask, { commitLog, asked, number });
    return asked;
  } finally {
    patience.end();
    await commitLog.close();
  }
}

interface Name {
  readonly database: string;
  readonly name: string;
}

const idOf = ({ database, name }: Name): string => `${database}.${name}`;

/** The captured tables that are meant. @throws TidemarkError if they cannot be copied. */
async function copyable(ask: SnapshotAsk, signal: AbortSignal): Promise<readonly Name[]> {
  const { config, pipeline, patterns, logger } = ask;
  const hosts = new SourceHosts({ source: config.source, clock: systemClock, logger });
  const { server } = hosts;
  const replica = snapshotReplica(config.source, server, logger);
  const doing = "Asking MySQL";
  const asking = { clock: systemClock, logger, signal, doing };
  try {
    if (hosts.areSeveral) await retrying(() => hosts.reach(), asking);
    return await retrying(async () => {
      const captures = compileTableFilter(pipeline.tables);
      const captured = (await server.tables()).filter(({ database, name }) =>
        captures(database, name),
      );
      const snapshot = { ...config.source.snapshot, mode: "initial" as const, tables: patterns };
      const meant = copiedTables({ snapshot, tables: captured });
      const grantee = await server.grantee();
      const { onLostPosition } = config.source;
      const scene = {
        ...{ snapshot, onLostPosition, tables: captured },
        ...{ patterns: pipeline.tables, grantee, server },
      };
      const findings = [
        ...(await snapshotFindings(scene)),
        ...(replica === undefined
          ? []
          : await replicaFindings({
              ...{ name: replica.name, replica: replica.server, source: server, tables: meant },
            })),
      ];
      const error = errorOf(findings) ?? preparedFault(config);
      if (error !== undefined) throw error;
      const lacking = patterns.filter(pattern => !isMet(pattern, captured));
      if (lacking.length > 0 || meant.length === 0) throw noTable(lacking, pipeline);
      return meant;
    }, asking);
  } finally {
    replica?.close();
    hosts.close();
  }
}

function isMet(pattern: string, captured: readonly Name[]): boolean {
  if (pattern.startsWith("!")) return true;
  const matches = compileTableFilter([pattern]);
  return captured.some(({ database, name }) => matches(database, name));
}

/** Also what somebody asked for that nobody has taken yet. */
async function write(
  { pipeline, force }: SnapshotAsk,
  {
    commitLog,
    snapshot,
    tables,
  }: {
    readonly commitLog: ReplaceableCommitLog;
    readonly snapshot: SnapshotState | null;
    readonly tables: readonly string[];
  },
  signal: AbortSignal,
): Promise<number> {
  const taken = snapshot?.requested ?? 0;
  const last = await commitLog.lastRequest(signal);
  const isOpen = last !== undefined && last.number > taken;
  const wanted: Wanted = force ? "again" : "missing";
  const asked = Object.fromEntries(tables.map(id => [id, wanted]));
  const all = { ...(isOpen ? last.tables : {}), ...asked };
  if (Object.keys({ ...snapshot?.tables, ...all }).length > TABLES_MAX) throw tooMany();
  const number = Math.max(taken, last?.number ?? 0) + 1;
  const request = { version: 1, pipeline: pipeline.name, number, tables: all } as const;
  await commitLog.request(request, signal);
  return number;
}

/** Until the request is taken; with `onProgress`, until all is copied. */
async function follow(
  ask: SnapshotAsk,
  {
    commitLog,
    asked,
    number,
  }: { readonly commitLog: ReplaceableCommitLog; readonly asked: Asked; readonly number: number },
): Promise<void> {
  const { pipeline, timeoutMs, onProgress } = ask;
  const late = new AbortController();
  const cancel = systemClock.after(timeoutMs, () => late.abort(notTaken(pipeline.name, timeoutMs)));
  try {
    for await (const checkpoint of commitLog.watch(AbortSignal.any([ask.signal, late.signal]))) {
      const state = stateAfter(checkpoint, number);
      if (state === undefined) continue;
      cancel();
      const refused = asked.tables.filter(id => !isListed(state, id));
      if (refused.length > 0) throw notCaptured(refused, pipeline.name);
      if (onProgress === undefined) return;
      onProgress(asked, state);
      if (asked.tables.every(id => state.tables[id]?.done ?? true)) return;
    }
  } finally {
    cancel();
  }
}

function stateAfter({ snapshot }: Checkpoint, number: number): SnapshotState | undefined {
  return snapshot !== null && (snapshot.requested ?? 0) >= number ? snapshot : undefined;
}

/** Many tables are not listed any more once all are copied. */
function isListed({ tables }: SnapshotState, id: string): boolean {
  return id in tables || Object.keys(tables).length === 0;
}

function preparedFault({ source }: Config): TidemarkError | undefined {
  if (source.xa !== "at_prepare") return undefined;
  return new TidemarkError(
    "CONFIG_INVALID",
    "source.xa: at_prepare sends rows before anybody can read them, so existing rows would undo them: use " +
      "at_commit.",
  );
}

function noTable(lacking: readonly string[], { name, tables }: PipelineConfig): TidemarkError {
  const which = lacking.length === 0 ? "these patterns" : lacking.join(", ");
  return new TidemarkError(
    "USAGE",
    `No table that pipeline ${name} captures is meant by ${which}: it captures ${tables.join(", ")}.`,
  );
}

function tooMany(): TidemarkError {
  return new TidemarkError(
    "USAGE",
    `At most ${TABLES_MAX} tables can be copied at once: name some, and others when these are copied.`,
  );
}

function notBegun(pipeline: string): TidemarkError {
  return new TidemarkError(
    "POSITION_UNUSABLE",
    `Pipeline ${pipeline} has no checkpoint yet: with source.snapshot.mode: initial its first start copies the rows.`,
  );
}

function notTaken(pipeline: string, timeoutMs: number): TidemarkError {
  return new TidemarkError(
    "NOT_TAKEN",
    `Pipeline ${pipeline} has not taken the request within ${timeoutMs / 1_000} s: it does not run, or waits for a ` +
      "server. The request is kept, and taken as soon as the pipeline runs.",
  );
}

function notCaptured(tables: readonly string[], pipeline: string): TidemarkError {
  return new TidemarkError(
    "CONFIG_INVALID",
    `The instance of pipeline ${pipeline} that runs has not taken ${tables.join(", ")}: its configuration does not ` +
      "capture them, or another request came at the same moment. Restart it with this configuration, or ask again.",
  );
}
