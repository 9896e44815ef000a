/**
 * What the consumers of each table are told of a gap, in front of everything else: that changes are missing, and,
 * where its rows are read again, that they have to forget what they have of it.
 */
import type { Entry, Mark, RowsOrigin, TableNotice } from "../core/entry.ts";
import { partsOf } from "../core/rows.ts";
import type { SnapshotState } from "../core/snapshot-state.ts";

export interface GapEntriesOptions {
  readonly state: SnapshotState;
  /** Of the place at which the stream begins. */
  readonly mark: Mark;
  readonly serverId: number;
  readonly nowMs: number;
}

export function gapEntries(options: GapEntriesOptions): readonly Omit<Entry, "seq">[] {
  const { state, mark, serverId, nowMs } = options;
  const { run, gap } = state;
  if (gap === undefined) return [];
  const { file, position } = mark.boundary;
  const origin: RowsOrigin = { file, position, serverId, timestampS: Math.floor(nowMs / 1000) };
  const transaction = { id: `gap/${run}`, gtid: undefined, thread: undefined };
  const { from, to } = gap;
  // In the order of before, whatever of it is left.
  const left = [...new Set([...gap.untold, ...gap.unemptied])].sort();
  return left.flatMap(id => {
    const [database, table] = partsOf(id);
    const about = { database, table, transaction, origin };
    const missing: TableNotice = { ...about, operation: "gap", gap: { from, to } };
    const emptied: TableNotice = { ...about, operation: "truncate" };
    const notices = [
      ...(gap.untold.includes(id) ? [missing] : []),
      ...(gap.unemptied.includes(id) ? [emptied] : []),
    ];
    return notices.map(notice => {
      const toldGap = { table: id, operation: notice.operation };
      return { ...{ bytes: NOTICE_BYTES, changes: [], notice }, mark: { ...mark, toldGap } };
    });
  });
}

/** About what one costs while it waits. */
const NOTICE_BYTES = 1024;
