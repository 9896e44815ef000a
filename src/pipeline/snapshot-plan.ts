/** Which tables have rows to be copied, by the configuration and by what the checkpoint says is done. */
import type { SnapshotConfig } from "../config/config.ts";
import { compileTableFilter } from "../config/table-pattern.ts";
import type { Checkpoint } from "../core/checkpoint.ts";
import { isFinished, NOTHING_COPIED, type SnapshotState } from "../core/snapshot-state.ts";

export interface PlanRequest {
  readonly mode: Exclude<SnapshotConfig["mode"], "never">;
  /** A table has to match one pattern of each list. */
  readonly patterns: readonly (readonly string[])[];
  /** All tables that are there. */
  readonly tables: readonly { readonly database: string; readonly name: string }[];
  /** What the checkpoint holds. */
  readonly known: SnapshotState | null;
  /** The name of a run that begins now. */
  readonly run: string;
  /** With `always`: a run that is finished is followed by another. */
  readonly again: boolean;
}

export function planSnapshot(request: PlanRequest): SnapshotState {
  const { mode, patterns, tables, known, run, again } = request;
  const wanted = tables.filter(wants(patterns)).map(idOf).sort();
  if (known === null || (mode === "always" && again && isFinished(known))) {
    return { run, patterns, tables: untouched(wanted), tails: null };
  }
  // A table that the lists of before would have taken was made later: all its rows came as changes.
  const cameLater = new Set(tables.filter(wants(known.patterns)).map(idOf));
  const added = wanted.filter(id => !(id in known.tables) && !cameLater.has(id));
  return {
    run: isFinished(known) ? run : known.run,
    patterns: added.length === 0 ? known.patterns : patterns,
    tables: { ...known.tables, ...untouched(added) },
    tails: known.tails,
  };
}

type Name = PlanRequest["tables"][number];

function idOf({ database, name }: Name): string {
  return `${database}.${name}`;
}

function wants(patterns: PlanRequest["patterns"]): (table: Name) => boolean {
  const filters = patterns.map(compileTableFilter);
  return ({ database, name }) => filters.every(isWanted => isWanted(database, name));
}

function untouched(tables: readonly string[]): SnapshotState["tables"] {
  return Object.fromEntries(tables.map(id => [id, NOTHING_COPIED]));
}

/** What a checkpoint says of the snapshot; rows that may have been sent begin where the checkpoint ends. */
export function withTails({ snapshot, next_offsets }: Checkpoint): SnapshotState | null {
  if (snapshot === null || snapshot.tails !== null) return snapshot;
  const isUnderWay = Object.values(snapshot.tables).some(({ until }) => until !== null);
  return isUnderWay ? { ...snapshot, tails: next_offsets } : snapshot;
}

/** What is copied stays copied; what may have been sent behind it is none of the next run's. */
export function withNothingSent(state: SnapshotState): SnapshotState {
  const tables = Object.entries(state.tables).map(([id, table]) => [id, { ...table, until: null }]);
  return { ...state, tables: Object.fromEntries(tables) as SnapshotState["tables"], tails: null };
}
