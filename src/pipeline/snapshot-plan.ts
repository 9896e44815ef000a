/** Which tables have rows to be copied, by the configuration and by what the checkpoint says is done. */
import type { SnapshotConfig } from "../config/config.ts";
import { compileTableFilter } from "../config/table-pattern.ts";
import type { Checkpoint } from "../core/checkpoint.ts";
import { partsOf } from "../core/rows.ts";
import type { SnapshotRequest } from "../core/snapshot-request.ts";
import {
  isFinished,
  NOTHING_COPIED,
  type Gap,
  type SnapshotState,
} from "../core/snapshot-state.ts";
import type { ListedTable } from "../snapshot/table-list.ts";

type Mode = SnapshotConfig["mode"];

export interface PlanRequest {
  readonly mode: Exclude<Mode, "never">;
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
    return { ...known, run, patterns, tables: untouched(wanted), tails: null };
  }
  // A table that the lists of before would have taken was made later: all its rows came as changes.
  const cameLater = new Set(tables.filter(wants(known.patterns)).map(idOf));
  const added = wanted.filter(id => !(id in known.tables) && !cameLater.has(id));
  return {
    ...known,
    run: isFinished(known) ? run : known.run,
    patterns: added.length === 0 ? known.patterns : patterns,
    tables: { ...known.tables, ...untouched(added) },
  };
}

/** With `never`: only what was asked for is still copied; what else may have been sent is nobody's. */
export function onlyRequested(known: SnapshotState): SnapshotState {
  const tables = Object.entries(known.tables).map(
    ([id, table]) => [id, table.run === undefined ? { ...table, until: null } : table] as const,
  );
  const isUnderWay = tables.some(([, { until }]) => until !== null);
  const tails = isUnderWay ? known.tails : null;
  return { ...known, tables: Object.fromEntries(tables), tails };
}

/** Those that are still to be copied. */
export function tablesLeft({ run, tables }: SnapshotState, mode: Mode): readonly ListedTable[] {
  return Object.entries(tables)
    .filter(([, known]) => !known.done && (mode !== "never" || known.run !== undefined))
    .map(([id, known]) => ({ id, run: known.run ?? run, known }));
}

/** Whether all rows of the table came already: it was copied, or made later, so that they came as changes. */
export function wasSent(known: SnapshotState | null, table: Name): boolean {
  if (known === null) return false;
  return known.tables[idOf(table)]?.done ?? wants(known.patterns)(table);
}

/** No table: whoever wants all that are there gets them later. */
const NO_TABLE = [[]];

/**
 * What a request adds; undefined if it was taken before.
 *
 * @param run the name of a run that begins now.
 */
export function planRequested(options: {
  readonly request: SnapshotRequest;
  readonly known: SnapshotState | null;
  readonly mode: Mode;
  readonly run: string;
  readonly captures: (database: string, table: string) => boolean;
}): { readonly state: SnapshotState; readonly added: readonly ListedTable[] } | undefined {
  const { request, mode, run, captures } = options;
  const known = options.known ?? { run, patterns: NO_TABLE, tables: {}, tails: null };
  if (request.number <= (known.requested ?? 0)) return undefined;
  const underWay = new Set(tablesLeft(known, mode).map(({ id }) => id));
  const added = Object.entries(request.tables).flatMap(([id, wanted]) => {
    const [database, name] = partsOf(id);
    const isSent = wanted === "missing" && wasSent(known, { database, name });
    if (!captures(database, name) || underWay.has(id) || isSent) return [];
    return [{ id, run, known: { ...NOTHING_COPIED, run } }];
  });
  const tables = Object.fromEntries(added.map(table => [table.id, table.known]));
  const state = { ...known, requested: request.number, tables: { ...known.tables, ...tables } };
  return { state, added };
}

/** All rows anew, in the place of changes that nobody can read any more, whatever the mode. */
export function planAfterGap(
  request: Pick<PlanRequest, "patterns" | "tables" | "known" | "run"> & { readonly gap: Gap },
): SnapshotState {
  const { patterns, tables, known, run, gap } = request;
  const plan = planSnapshot({ ...request, mode: "initial", known: null, again: true });
  const underWay = Object.entries(known?.tables ?? {}).filter(([, { done }]) => !done);
  const all = [...Object.keys(plan.tables), ...underWay.map(([id]) => id)];
  const anew = all.map(id => [id, { ...NOTHING_COPIED, run }] as const);
  // Also those whose rows are never copied: a gap is there too.
  const untold = tables.filter(wants(patterns.slice(0, 1))).map(idOf);
  return {
    ...plan,
    ...(known?.requested !== undefined && { requested: known.requested }),
    tables: Object.fromEntries(anew),
    gap: { ...gap, untold: untold.sort(), unemptied: [...all].sort() },
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
