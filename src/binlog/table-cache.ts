/**
 * The tables that rows events refer to by number.
 *
 * MySQL repeats the table map in every transaction. As long as it is the same, byte for byte, the same
 * `TableShape` object is handed out, so that formats can keep what they derived from it.
 */
import type { Collations } from "./charsets.ts";
import type { Definitions, Unnamed } from "./definitions.ts";
import type { TableFilter } from "./reader.ts";
import { HEADER_SIZE } from "./event-header.ts";
import { tableIdOf } from "./rows-event.ts";
import {
  parseTableMap,
  tableNameOf,
  type Define,
  type MapContext,
  type MappedTable,
} from "./table-map.ts";

interface Known {
  readonly body: Buffer;
  /** Undefined for a table that nobody wants. */
  readonly mapped: MappedTable | undefined;
}

/** Tables whose maps are kept; a server with more only pays for parsing them again. */
const TABLES_MAX = 10_000;
/** Bytes at the start of a table map that may differ for one table: its number. */
const TABLE_ID_SIZE = 6;

export class TableCache {
  readonly #wants: TableFilter;
  readonly #definitions: Definitions | undefined;
  #context: MapContext = { collations: new Map(), serverVersion: "" };
  /** By name, over the whole stream. */
  readonly #known = new Map<string, Known>();
  #last: Known | undefined;
  /** By number, within one transaction: numbers are given anew when a table is opened again. */
  readonly #mapped = new Map<number, Known>();

  constructor(wants: TableFilter, definitions: Definitions | undefined) {
    this.#wants = wants;
    this.#definitions = definitions;
  }

  set collations(collations: Collations) {
    this.#context = { ...this.#context, collations };
  }

  /** A file may have been written before an upgrade of the server. */
  set serverVersion(serverVersion: string) {
    if (serverVersion === this.#context.serverVersion) return;
    this.#context = { ...this.#context, serverVersion };
    this.#known.clear();
    this.#last = undefined;
  }

  /**
   * Takes a table map event that stands in `bytes` if it says the same as the one before, as that of the
   * next statement mostly does. Otherwise it is left to `map`.
   */
  again(bytes: Buffer, start: number, end: number): boolean {
    const known = this.#last;
    // A definition may have ended since.
    if (known === undefined || known.mapped?.definition) return false;
    if (!isSame(known, bytes, start, end)) return false;
    const tableId = tableIdOf(bytes, start + HEADER_SIZE);
    if (this.#mapped.get(tableId) !== known) this.#mapped.set(tableId, known);
    return true;
  }

  /** Takes a table map event. */
  map(event: Buffer, where: Pick<Unnamed, "at" | "group">): void {
    const known = this.#find(event.subarray(HEADER_SIZE), where);
    this.#last = known;
    this.#mapped.set(tableIdOf(event, HEADER_SIZE), known);
  }

  #find(body: Buffer, where: Pick<Unnamed, "at" | "group">): Known {
    const key = nameKey(body);
    const tableId = tableIdOf(body, 0);
    const definitions = this.#definitions;
    const define: Define | undefined =
      definitions && (table => definitions.find({ ...table, ...where, tableId }));
    let known = this.#known.get(key);
    if (!known?.body.equals(body.subarray(TABLE_ID_SIZE)) || isOutdated(known, define)) {
      known = this.#learn(body, define);
      if (this.#known.size >= TABLES_MAX) this.#known.clear();
      this.#known.set(key, known);
    }
    return known;
  }

  #learn(body: Buffer, define?: Define): Known {
    const { database, name } = tableNameOf(body);
    return {
      body: Buffer.from(body.subarray(TABLE_ID_SIZE)),
      mapped: this.#wants(database, name) ? parseTableMap(body, this.#context, define) : undefined,
    };
  }

  /** "unmapped" if no table map came before the rows; undefined if the table is not wanted. */
  find(tableId: number): MappedTable | "unmapped" | undefined {
    const known = this.#mapped.get(tableId);
    return known ? known.mapped : "unmapped";
  }

  endTransaction(): void {
    this.#mapped.clear();
  }
}

/** Whether a table map event says the same, but for the number. */
function isSame({ body }: Known, bytes: Buffer, start: number, end: number): boolean {
  const from = start + HEADER_SIZE + TABLE_ID_SIZE;
  return end - from === body.length && body.compare(bytes, from, end) === 0;
}

/** Its columns have other names by now, or nobody can tell. */
function isOutdated({ mapped }: Known, define?: Define): boolean {
  return mapped?.definition !== undefined && define?.(mapped.table) !== mapped.definition;
}

/** Database and table as they stand in the event, with their lengths, so that two never look alike. */
function nameKey(body: Buffer): string {
  const databaseEnd = 9 + body.readUInt8(8) + 1;
  return body.toString("latin1", 8, databaseEnd + 1 + body.readUInt8(databaseEnd));
}
