/** How much of what the shop wrote the last commit record covers. */
import { GtidRanges } from "../../test/verify/gtids.ts";

export interface CommitRecord {
  readonly gtid_set: string;
  readonly transaction: {
    readonly id: string;
    readonly tables: Readonly<Record<string, { readonly rows: number }>>;
  } | null;
}

/** Row changes of the given transactions that the record does not cover. */
export function notReleased(
  rowsByGtid: ReadonlyMap<string, number>,
  record: CommitRecord | undefined,
): number {
  const covered = new GtidRanges(record?.gtid_set ?? "");
  let rows = 0;
  for (const [gtid, count] of rowsByGtid) {
    if (!covered.has(gtid)) rows += count;
  }
  const part = record?.transaction ?? null;
  if (part === null || covered.has(part.id) || !rowsByGtid.has(part.id)) return rows;
  const partRows = Object.values(part.tables).map(table => table.rows);
  return rows - partRows.reduce((sum, count) => sum + count, 0);
}
