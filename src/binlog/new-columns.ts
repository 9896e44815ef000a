/**
 * The columns that tables have behind a statement which the stream has met.
 *
 *   statement ───────────── other statements? ─────────────▶ end of the binlog ◀── columns, under a lock
 *
 * The server tells only those of now. They are those behind the statement if no other one on the table stands between
 * it and the end of the binlog at which they were read; so that stretch is looked through, each part once.
 */
import { TidemarkError } from "../core/errors.ts";
import type { ChangedColumn } from "../core/schema-change.ts";
import { isBefore, type BinlogPlace } from "./binlog-place.ts";
import type { DefinitionSource, ReadTable, TableDefinition } from "./definitions.ts";
import { errnoOf } from "./statement-answers.ts";
import { changesDefinition } from "./statements.ts";
import { LOCK_TIMEOUT, type TableId } from "./table-reading.ts";

export interface ColumnSource extends Pick<DefinitionSource, "scan"> {
  readSome(tables: readonly TableId[]): Promise<readonly ReadTable[]>;
}

interface Statement {
  readonly at: BinlogPlace;
  readonly database: string;
  readonly sql: string;
}

/** From a place to another, with the statements between them. */
interface Stretch {
  to: BinlogPlace;
  statements: Statement[];
}

/** Longer the stream does not wait for a look at what comes behind a statement. */
const LOOK_MS = 10_000;
/** What is remembered of a stretch, in characters of statements. */
const STATEMENTS_MAX = 1 << 22;

export class NewColumns {
  readonly #source: ColumnSource;
  #seen: (Stretch & { readonly from: BinlogPlace }) | undefined;

  constructor(source: ColumnSource) {
    this.#source = source;
  }

  /** By table; a table of which they are not known, or that is not there, is left out. */
  async behind(
    place: BinlogPlace,
    tables: readonly TableId[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<TableId, readonly ChangedColumn[]>> {
    const known = new Map<TableId, readonly ChangedColumn[]>();
    for (const table of tables) {
      const read = await this.#read(table);
      if (typeof read?.definition !== "object") continue;
      if (await this.#isChanged(table, place, read.end, signal)) continue;
      known.set(table, columnsOf(read.definition));
    }
    return known;
  }

  async #read(table: TableId): Promise<ReadTable | undefined> {
    try {
      const [read] = await this.#source.readSome([table]);
      return read;
    } catch (thrown) {
      // A change of the table waits, perhaps for hours, or parts of the binlog are hidden.
      const isUntold = thrown instanceof TidemarkError && thrown.code === "SOURCE_SETTING";
      if (isUntold || errnoOf((thrown as Error).cause) === LOCK_TIMEOUT) return undefined;
      throw thrown;
    }
  }

  /** Whether a statement behind `place` has changed the table, or may have. */
  async #isChanged(
    { database, name }: TableId,
    place: BinlogPlace,
    end: BinlogPlace,
    signal: AbortSignal,
  ): Promise<boolean> {
    const statements = await this.#statements(place, end, signal);
    if (statements === undefined) return true;
    return statements.some(
      ({ at, database: inside, sql }) =>
        !isBefore(at, place) && changesDefinition(sql, inside, { database, name }),
    );
  }

  /** Those between two places; undefined if there is too much to look through. */
  async #statements(
    from: BinlogPlace,
    end: BinlogPlace,
    signal: AbortSignal,
  ): Promise<readonly Statement[] | undefined> {
    const isSeen = this.#seen && !isBefore(from, this.#seen.from) && !isBefore(this.#seen.to, from);
    this.#seen =
      isSeen && this.#seen ? { ...this.#seen, from } : { from, to: from, statements: [] };
    const seen = this.#seen;
    seen.statements = seen.statements.filter(({ at }) => !isBefore(at, from));
    if (isBefore(seen.to, end)) await this.#look(seen, end, signal);
    return isBefore(seen.to, end) ? undefined : seen.statements;
  }

  async #look(seen: Stretch, end: BinlogPlace, signal: AbortSignal): Promise<void> {
    const either = AbortSignal.any([signal, AbortSignal.timeout(LOOK_MS)]);
    let { file } = seen.to;
    let left = STATEMENTS_MAX;
    for (const { sql } of seen.statements) left -= sql.length;
    const start = { kind: "position", ...seen.to } as const;
    try {
      for await (const events of this.#source.scan(start, either)) {
        for (const event of events) {
          if (event.kind === "file") {
            ({ file } = event);
            continue;
          }
          if (event.kind === "statement") {
            left -= event.sql.length;
            if (left < 0) return;
            const { database, sql, position } = event;
            seen.statements.push({ at: { file, position }, database, sql });
          }
          const next = { file, position: event.nextPosition };
          if (isBefore(seen.to, next)) seen.to = next;
        }
        if (either.aborted || !isBefore(seen.to, end)) return;
      }
    } catch (thrown) {
      if (signal.aborted || !either.aborted) throw thrown;
    }
  }
}

function columnsOf({ columns, primaryKey }: TableDefinition): readonly ChangedColumn[] {
  return columns.map(({ name, declared, nullable }, index) => {
    const place = primaryKey.indexOf(index);
    return { name, type: declared, nullable, key: place < 0 ? undefined : place + 1 };
  });
}
