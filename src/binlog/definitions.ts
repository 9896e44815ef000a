/**
 * Table definitions for binlogs that do not name columns: row metadata MINIMAL, and all of MySQL 5.7.
 *
 *   rows ──missing──▶ stream ends ─▶ load: ask the server, then scan [group, end] for DDL ─▶ stream again
 *
 * The server tells only today's definitions. One that was read while the binlog ended at E is that of an
 * event at P < E only if no DDL on the table stands between P and E; so that stretch is read once, and
 * the last DDL on each table remembered. From E on the stream itself shows every DDL. Where nothing is
 * proven, the stream ends: docs/adr/0005-definitions-for-minimal-metadata.md.
 */
import { EventFault } from "./event-fault.ts";
import type { DumpStart, BinlogEvent, TableFilter } from "./reader.ts";
import { changesDefinition } from "./statements.ts";

export interface ColumnDefinition {
  readonly name: string;
  /** DATA_TYPE and COLUMN_TYPE, as information_schema gives them. */
  readonly dataType: string;
  readonly columnType: string;
  readonly nullable: boolean;
  readonly charset: string | undefined;
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

export interface BinlogPlace {
  readonly file: string;
  readonly position: number;
}

/** Ends the stream: definitions have to be loaded before it can go on. */
export class DefinitionsMissing extends Error {
  override readonly name = "DefinitionsMissing";
  /** Where the group begins whose rows need them. */
  readonly from: BinlogPlace;

  constructor(from: BinlogPlace) {
    super("table definitions have to be read");
    this.from = from;
  }
}

export interface DefinitionSource {
  /** Every wanted table, and where the binlog ended after they were read. */
  definitions(wants: TableFilter): Promise<{
    readonly tables: readonly TableDefinition[];
    readonly end: BinlogPlace;
  }>;
  /** Events of no rows. */
  scan(start: DumpStart, signal: AbortSignal): AsyncIterable<readonly BinlogEvent[]>;
}

interface Proven {
  readonly definition: TableDefinition;
  /** The last DDL on the table that the scan met: rows behind it have this definition. */
  after: BinlogPlace | undefined;
}

export class Definitions {
  readonly #source: DefinitionSource;
  readonly #wants: TableFilter;
  #tables = new Map<string, Proven>();
  /** All DDL from one to the other is known; undefined before anything was loaded. */
  #scanned: { readonly from: BinlogPlace; readonly to: BinlogPlace } | undefined;

  constructor(source: DefinitionSource, wants: TableFilter) {
    this.#source = source;
    this.#wants = wants;
  }

  /**
   * The definition that a table has at this place of the stream.
   *
   * @param group where the group begins that the stream is in.
   * @throws DefinitionsMissing if reading them anew may help, EventFault if it does not.
   */
  find(
    table: { database: string; name: string },
    at: BinlogPlace,
    group: BinlogPlace,
  ): TableDefinition {
    const proven = this.#tables.get(keyOf(table.database, table.name));
    if (this.#scanned === undefined || isBefore(at, this.#scanned.from)) {
      throw new DefinitionsMissing(group);
    }
    if (proven && (proven.after === undefined || isBefore(proven.after, at)))
      return proven.definition;
    if (isBefore(this.#scanned.to, at)) throw new DefinitionsMissing(group);
    throw unproven(
      table,
      proven ? "it was changed behind this place" : "the server does not show it",
    );
  }

  /** A statement that the stream met. */
  note(at: BinlogPlace, database: string, sql: string): void {
    // The scan has met it already.
    if (this.#scanned === undefined || !isBefore(this.#scanned.to, at)) return;
    for (const [key, { definition }] of this.#tables) {
      if (changesDefinition(sql, database, definition)) this.#tables.delete(key);
    }
  }

  async load({ from }: DefinitionsMissing, signal: AbortSignal): Promise<void> {
    const { tables, end } = await this.#source.definitions(this.#wants);
    const found = new Map<string, Proven>(
      tables.map(definition => [
        keyOf(definition.database, definition.name),
        { definition, after: undefined },
      ]),
    );
    let file = from.file;
    for await (const events of this.#source.scan({ kind: "position", ...from }, signal)) {
      for (const event of events) {
        if (event.kind === "file") {
          ({ file } = event);
          continue;
        }
        if (event.kind === "statement") {
          const at = { file, position: event.position };
          for (const proven of found.values()) {
            if (changesDefinition(event.sql, event.database, proven.definition)) proven.after = at;
          }
        }
        if (isBefore({ file, position: event.nextPosition }, end)) continue;
        this.#tables = found;
        this.#scanned = { from, to: end };
        return;
      }
    }
  }
}

export function unproven(table: { database: string; name: string }, reason: string): EventFault {
  return new EventFault(
    `the binlog does not name the columns of table ${table.database}.${table.name}, and its definition ` +
      `here is not proven: ${reason}; run SET GLOBAL binlog_row_metadata = FULL (MySQL 8.0 and newer, ` +
      "MariaDB 10.5 and newer), and begin behind the change with tidemark position set",
  );
}

function keyOf(database: string, name: string): string {
  return JSON.stringify([database, name]);
}

/** Files are counted: binlog.1000000 comes after binlog.999999. */
function isBefore(one: BinlogPlace, other: BinlogPlace): boolean {
  if (one.file === other.file) return one.position < other.position;
  return numberOf(one.file) < numberOf(other.file);
}

function numberOf(file: string): number {
  return Number(file.slice(file.lastIndexOf(".") + 1));
}
