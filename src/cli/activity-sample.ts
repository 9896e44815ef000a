/** What changed between two looks at the counters, by schema and table. */
import { partsOf } from "../core/rows.ts";
import { OTHER_TABLES, type RowCounts } from "../core/vitals.ts";

/** Of the binlog, where nothing is only read. */
export type ChangeCounts = Omit<RowCounts, "read">;

export interface TableActivity {
  readonly name: string;
  /** Rows since the last look. */
  readonly rows: ChangeCounts;
  /** Rows since the beginning. */
  readonly total: number;
}

export interface SchemaActivity extends TableActivity {
  /** The busiest first. */
  readonly tables: readonly TableActivity[];
}

export interface ActivitySample {
  /** How long it was since the last look. */
  readonly seconds: number;
  /** The busiest first. */
  readonly schemas: readonly SchemaActivity[];
}

type Counts = ReadonlyMap<string, Readonly<ChangeCounts>>;

const NONE: ChangeCounts = { insert: 0, update: 0, delete: 0 };

export const sum = ({ insert, update, delete: deleted }: ChangeCounts): number =>
  insert + update + deleted;

/** Takes the difference to what it saw the last time. */
export class ActivitySampler {
  #before: Counts = new Map();

  sample(counts: Counts, seconds: number): ActivitySample {
    const bySchema = new Map<string, TableActivity[]>();
    for (const [id, now] of counts) {
      const [schema, table] = parted(id);
      const before = this.#before.get(id) ?? NONE;
      const tables = bySchema.get(schema) ?? [];
      tables.push({ name: table, rows: difference(now, before), total: sum(now) });
      bySchema.set(schema, tables);
    }
    this.#before = new Map([...counts].map(([id, now]) => [id, { ...now }]));
    const schemas = [...bySchema].map(([name, tables]) => ({
      name,
      rows: tables.map(({ rows }) => rows).reduce(together, NONE),
      total: tables.reduce((all, { total }) => all + total, 0),
      tables: tables.sort(busiestFirst),
    }));
    return { seconds, schemas: schemas.sort(busiestFirst) };
  }
}

export function busiestFirst(a: TableActivity, b: TableActivity): number {
  return sum(b.rows) - sum(a.rows) || b.total - a.total || (a.name < b.name ? -1 : 1);
}

/** Tables beyond those that are counted apart have no schema of their own. */
function parted(id: string): readonly [schema: string, table: string] {
  return id === OTHER_TABLES ? ["(others)", "(others)"] : partsOf(id);
}

function difference(now: ChangeCounts, before: ChangeCounts): ChangeCounts {
  return {
    insert: now.insert - before.insert,
    update: now.update - before.update,
    delete: now.delete - before.delete,
  };
}

function together(a: ChangeCounts, b: ChangeCounts): ChangeCounts {
  return {
    insert: a.insert + b.insert,
    update: a.update + b.update,
    delete: a.delete + b.delete,
  };
}
