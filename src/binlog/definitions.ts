/**
 * Table definitions for binlogs that do not name columns: row metadata MINIMAL, and all of MySQL 5.7.
 *
 *   rows ──missing──▶ stream ends ─▶ load: read each table under a lock, then scan for DDL ─▶ stream again
 *
 * The server tells only today's definitions. Each is read while a lock keeps everybody from changing the
 * table, together with the end E of the binlog. It is that of an event at P < E if no DDL on the table
 * stands between P and E; so that stretch is read once, and the last DDL on each table remembered. From E
 * on the stream itself shows every DDL. And as a table gets a new number in the binlog whenever the server
 * opens it anew, one that comes under another number behind E is read again, so that a change which the
 * binlog does not tell is noticed. Where nothing is proven, the stream ends:
 * docs/adr/0005-definitions-for-minimal-metadata.md.
 */
import { createHash } from "node:crypto";
import { partsOf } from "../core/rows.ts";
import { isBefore, type BinlogPlace } from "./binlog-place.ts";
import { EventFault } from "./event-fault.ts";
import type { BinlogEvent, DumpStart, TableFilter } from "./reader.ts";
import { changesDefinition } from "./statements.ts";

export interface ColumnDefinition {
  readonly name: string;
  /** DATA_TYPE, as information_schema gives it. */
  readonly dataType: string;
  /** The whole type, as in `enum('a','b')`. */
  readonly declared: string;
  readonly unsigned: boolean;
  readonly nullable: boolean;
  readonly charset: string | undefined;
  /** Members of an ENUM or SET. */
  readonly members: readonly string[];
  /** Bytes of a text or binary column, digits of a number or of a fraction. */
  readonly size: number | undefined;
  readonly scale: number | undefined;
}

export interface TableDefinition {
  readonly database: string;
  readonly name: string;
  readonly columns: readonly ColumnDefinition[];
  /** Indexes of the primary key's columns in key order. */
  readonly primaryKey: readonly number[];
}

/** What the server said of one table, while nobody could change it. */
export interface ReadTable {
  readonly database: string;
  readonly name: string;
  /** Or why it cannot be had. */
  readonly definition: TableDefinition | string;
  /** Where the binlog ended then. */
  readonly end: BinlogPlace;
}

export interface ReadTables {
  /** Where the binlog ended before the tables were listed: one that is not among them may be younger. */
  readonly listedAt: BinlogPlace;
  readonly tables: readonly ReadTable[];
}

export interface DefinitionSource {
  readTables(wants: TableFilter): Promise<ReadTables>;
  /** Events of no rows. */
  scan(start: DumpStart, signal: AbortSignal): AsyncIterable<readonly BinlogEvent[]>;
}

/** A table map that names no columns. */
export interface Unnamed {
  readonly database: string;
  readonly name: string;
  /** The number by which the server calls the table as long as it has it open. */
  readonly tableId: number;
  readonly at: BinlogPlace;
  /** Where the group begins in which it stands. */
  readonly group: BinlogPlace;
}

/** Ends the stream: definitions have to be loaded before it can go on. */
export class DefinitionsMissing extends Error {
  override readonly name = "DefinitionsMissing";
  readonly at: BinlogPlace;
  /** Where the group begins whose rows need them. */
  readonly from: BinlogPlace;

  constructor({ at, group }: Unnamed) {
    super("table definitions have to be read");
    this.at = at;
    this.from = group;
  }
}

/** A definition, and where the table has it: behind `after`, in front of `until`. */
interface Known extends ReadTable {
  /** The last DDL on the table in front of the place where it was read. */
  after: BinlogPlace | undefined;
  /** The first DDL on it behind that place. */
  until: BinlogPlace | undefined;
  /** The number under which the table came last. */
  tableId: number | undefined;
  /** What was known of it in front of that DDL. */
  readonly earlier: Defined | undefined;
}

type Defined = Known & { readonly definition: TableDefinition };

interface Loaded {
  readonly tables: ReadonlyMap<string, Known>;
  readonly listedAt: BinlogPlace;
  /** From here on all DDL is known. */
  readonly from: BinlogPlace;
}

/** What was read once is proven for what had been written by then; more loads for one place help nobody. */
const LOADS_MAX = 3;
/** They stand in every checkpoint. */
const HASHES_MAX = 500;

/** `database.table` → what a definition says that the binlog does not. */
export type DefinitionHashes = Readonly<Record<string, string>>;

export class Definitions {
  readonly #source: DefinitionSource;
  readonly #wants: TableFilter;
  /** Of tables that no statement has changed since: replaced, never changed, for marks share it. */
  #hashes: DefinitionHashes;
  #loaded: Loaded | undefined;
  /** For which place definitions were loaded last, and how often in turn. */
  #lastFor: { readonly at: BinlogPlace; readonly loads: number } | undefined;

  /** @param hashes what was known where the stream begins. */
  constructor(source: DefinitionSource, wants: TableFilter, hashes: DefinitionHashes = {}) {
    this.#source = source;
    this.#wants = wants;
    this.#hashes = Object.fromEntries(
      Object.entries(hashes).filter(([table]) => wants(...partsOf(table))),
    );
  }

  /** Of the tables as they are where the stream is. */
  get hashes(): DefinitionHashes {
    return this.#hashes;
  }

  /**
   * The definition that a table has at this place of the stream.
   *
   * @throws DefinitionsMissing if reading them anew may help, EventFault if it does not.
   */
  find(unnamed: Unnamed): TableDefinition {
    const { at } = unnamed;
    if (this.#loaded === undefined || isBefore(at, this.#loaded.from)) throw this.#lack(unnamed);
    const known = this.#loaded.tables.get(keyOf(unnamed));
    const isLater = !isBefore(at, known?.end ?? this.#loaded.listedAt);
    if (known?.until !== undefined && !isBefore(at, known.until)) throw this.#lack(unnamed);
    if (known?.after !== undefined && !isBefore(known.after, at)) {
      const { earlier } = known;
      if (earlier && holdsAt(at, earlier)) return earlier.definition;
      throw unproven(unnamed, "it was changed behind this place");
    }
    if (known === undefined || !isDefined(known)) {
      if (isLater) throw this.#lack(unnamed);
      const reason = known?.definition;
      throw unproven(unnamed, typeof reason === "string" ? reason : NOT_SHOWN);
    }
    if (isLater && known.tableId !== unnamed.tableId) throw this.#lack(unnamed);
    known.tableId = unnamed.tableId;
    return known.definition;
  }

  #lack(unnamed: Unnamed): Error {
    if (isSame(this.#lastFor?.at, unnamed.at) && this.#lastFor.loads >= LOADS_MAX) {
      return unproven(unnamed, "the server's binlog seems to end in front of what it sent");
    }
    return new DefinitionsMissing(unnamed);
  }

  /** A statement that the stream met. */
  note(at: BinlogPlace, database: string, sql: string): void {
    if (this.#loaded) noteIn(this.#loaded.tables.values(), { at, database, sql });
    const entries = Object.entries(this.#hashes);
    const left = entries.filter(([table]) => {
      const [inside, name] = partsOf(table);
      return !changesDefinition(sql, database, { database: inside, name });
    });
    if (left.length < entries.length) this.#hashes = Object.fromEntries(left);
  }

  /** The server began anew, and so did the numbers of its tables. */
  forgetNumbers(): void {
    for (const known of this.#loaded?.tables.values() ?? []) known.tableId = undefined;
  }

  async load({ at, from }: DefinitionsMissing, signal: AbortSignal): Promise<void> {
    const { listedAt, tables } = await this.#source.readTables(this.#wants);
    const fresh = tables.map(knownFrom);
    const end = fresh.map(known => known.end).reduce(laterOf, listedAt);
    let file = from.file;
    for await (const events of this.#source.scan({ kind: "position", ...from }, signal)) {
      for (const event of events) {
        if (event.kind === "file") {
          ({ file } = event);
          continue;
        }
        if (event.kind === "statement") {
          const statement = { ...event, at: { file, position: event.position } };
          noteIn(fresh, statement);
          noteIn(this.#loaded?.tables.values() ?? [], statement);
        }
        if (isBefore({ file, position: event.nextPosition }, end)) continue;
        const earlier = isSame(this.#lastFor?.at, at) ? this.#lastFor.loads : 0;
        this.#lastFor = { at, loads: earlier + 1 };
        this.#take({ listedAt, from, tables: new Map(fresh.map(known => [keyOf(known), known])) });
        return;
      }
    }
  }

  #take(loaded: Loaded): void {
    const tables = new Map(loaded.tables);
    for (const [key, before] of this.#loaded?.tables ?? []) {
      if (!isDefined(before)) continue;
      const gone = { ...before, definition: NOT_SHOWN, end: loaded.listedAt };
      const known = tables.get(key) ?? { ...knownFrom(gone), after: before.until };
      tables.set(key, succeed(known, before, loaded.from));
    }
    const hashes = { ...this.#hashes };
    for (const [key, known] of tables) {
      if (!isDefined(known)) continue;
      const id = `${known.database}.${known.name}`;
      const hash = hashOf(known.definition);
      // Told of by no statement: a restart must find that too.
      if (known.after === undefined && (hashes[id] ?? hash) !== hash) {
        tables.set(key, { ...known, definition: UNSEEN });
      } else hashes[id] = hash;
    }
    this.#hashes = Object.fromEntries(Object.entries(hashes).slice(0, HASHES_MAX));
    this.#loaded = { ...loaded, tables };
  }
}

function knownFrom({ database, name, definition, end }: ReadTable): Known {
  const table = { database, name, definition, end };
  return { ...table, after: undefined, until: undefined, tableId: undefined, earlier: undefined };
}

/** What was read now, beside what was known, where that still held at a place. */
function succeed(known: Known, before: Defined, place: BinlogPlace): Known {
  if (!holdsAt(place, before)) return known;
  if (known.after !== undefined) return { ...known, earlier: { ...before, earlier: undefined } };
  if (!isDefined(known)) return known;
  // The same object, so that what was derived from it stays.
  if (JSON.stringify(before.definition) === JSON.stringify(known.definition)) {
    return { ...known, definition: before.definition };
  }
  const isAlike = hashOf(before.definition) === hashOf(known.definition);
  return isAlike ? known : { ...known, definition: UNSEEN };
}

/** Types are in the binlog, and servers write them differently. */
function hashOf({ columns, primaryKey }: TableDefinition): string {
  const told = columns.map(({ name, unsigned, charset, members }) => [
    ...[name, unsigned, charset === "utf8" ? "utf8mb3" : charset, members],
  ]);
  return createHash("sha256")
    .update(JSON.stringify([told, primaryKey]))
    .digest("hex")
    .slice(0, 8);
}

const NOT_SHOWN = "the server does not show it; it is gone, or our user lacks SELECT on it";
const UNSEEN =
  "it was changed since, and the binlog does not tell where (by a session with sql_log_bin = 0?)";

function isDefined(known: Known): known is Defined {
  return typeof known.definition === "object";
}

/** As far as the binlog tells. */
function holdsAt(place: BinlogPlace, { after, until }: Known): boolean {
  const isBehind = after === undefined || isBefore(after, place);
  return isBehind && (until === undefined || isBefore(place, until));
}

interface Statement {
  readonly at: BinlogPlace;
  readonly database: string;
  readonly sql: string;
}

/** The same statement may be met again: by the scan and by the stream, or after a reconnection. */
function noteIn(tables: Iterable<Known>, { at, database, sql }: Statement): void {
  for (const known of tables) {
    if (!changesDefinition(sql, database, known)) continue;
    if (isBefore(at, known.end)) known.after = known.after ? laterOf(known.after, at) : at;
    else if (known.until === undefined || isBefore(at, known.until)) known.until = at;
  }
}

export function unproven(
  { database, name }: { readonly database: string; readonly name: string },
  reason: string,
): EventFault {
  return new EventFault(
    `the binlog does not name the columns of table ${database}.${name}, and its definition here is not ` +
      `proven: ${reason}; run SET GLOBAL binlog_row_metadata = FULL where the server has it (MySQL 8.0, ` +
      "MariaDB 10.5), and begin behind the change with tidemark position set",
  );
}

function keyOf({ database, name }: { database: string; name: string }): string {
  return `${database}\0${name}`; // No name holds a zero.
}

function isSame(one: BinlogPlace | undefined, other: BinlogPlace): one is BinlogPlace {
  return one?.file === other.file && one.position === other.position;
}

function laterOf(one: BinlogPlace, other: BinlogPlace): BinlogPlace {
  return isBefore(one, other) ? other : one;
}
