/**
 * Entries from MySQL for as long as the pipeline runs: reads, reconnects, and goes on where it was.
 *
 * A lost connection is waited for, with back-off, for ever; each attempt has a new reader, which begins
 * at the last boundary handed out, so that nothing is skipped and nothing comes twice.
 */
import { Backoff } from "../core/backoff.ts";
import { sleep, type Clock } from "../core/clock.ts";
import type { Entry } from "../core/entry.ts";
import { TidemarkError, toTidemarkError, type ErrorCode } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import type { TableName } from "../core/name-template.ts";
import { unlessAborted } from "../core/retry.ts";
import type { SourceGauges } from "../core/vitals.ts";
import type { Assembler } from "./assembler.ts";
import { DefinitionsMissing, type Definitions } from "./definitions.ts";
import type { PreparedGroups } from "./prepared-groups.ts";
import type { NewColumns } from "./new-columns.ts";
import type { BinlogEvent, BinlogReader, DumpStart, ReaderTraffic, TableFilter } from "./reader.ts";
import { touchedTables } from "./touched-tables.ts";
import { emptiedBy, untoldRows } from "./untold-rows.ts";

export interface BinlogSourceOptions {
  readonly reader: BinlogReader;
  readonly assembler: Assembler;
  readonly definitions: Definitions;
  readonly wants: TableFilter;
  readonly wantsDatabase: (database: string) => boolean;
  /** However a statement writes the name of a table, the server means that in lower case. */
  readonly lowerCaseNames?: boolean;
  /** Messages tell of a table that is emptied; where they do not, the log does. */
  readonly tellsTruncate?: boolean;
  readonly preparedGroups: PreparedGroups;
  /** Of tables that a statement changes; undefined where nobody wants to be told of statements. */
  readonly newColumns?: NewColumns | undefined;
  /**
   * Asks for the server to read from `start` on who it is: another one may answer at the same address.
   *
   * @throws TidemarkError POSITION_LOST and others, if it cannot be read from there.
   */
  readonly identify: (start: DumpStart) => Promise<string>;
  readonly serverUuid: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called for each connection that was lost or could not be made, before it is tried again. */
  readonly onLoss?: () => void;
}

type Statement = Extract<BinlogEvent, { kind: "statement" }>;

const RECONNECT_FIRST_MS = 200;
const RECONNECT_MAX_MS = 5_000;

export class BinlogSource {
  readonly #options: BinlogSourceOptions;
  readonly #backoff = new Backoff({ firstMs: RECONNECT_FIRST_MS, maxMs: RECONNECT_MAX_MS });
  /** From a loss until events arrive again: an outage is logged at each end, and when its kind changes. */
  #lost: ErrorCode | undefined;
  /** Events have come over the present connection. */
  #isConnected = false;
  #reason: string | undefined;
  #file = "";
  #turns = 0;
  #traffic: ReaderTraffic = { bytesRead: 0, paused: false, obstacle: undefined };

  constructor(options: BinlogSourceOptions) {
    this.#options = options;
  }

  get gauges(): SourceGauges {
    // While a connection is being closed, there is none that could tell: that is silence too.
    const { bytesRead: last } = this.#traffic;
    const silence = { bytesRead: last, paused: false, obstacle: undefined };
    this.#traffic = this.#options.reader.traffic() ?? silence;
    const { bytesRead, paused, obstacle } = this.#traffic;
    const connected = this.#isConnected;
    return { connected, reason: obstacle ?? this.#reason, bytesRead, paused, turns: this.#turns };
  }

  /** Ends when the signal aborts; throws what waiting cannot mend. */
  async *entries(signal: AbortSignal): AsyncGenerator<readonly Entry[], void, undefined> {
    for (;;) {
      this.#turns += 1;
      try {
        yield* this.#connection(this.#options.assembler.restart(), signal);
        if (signal.aborted) return;
      } catch (thrown) {
        if (signal.aborted) return;
        const error = await this.#define(thrown, signal);
        if (error === undefined) continue;
        const held = this.#options.assembler.flushAt(error);
        if (held.length > 0) yield held;
        await this.#wait(error, signal);
      }
    }
  }

  async *#connection(
    start: DumpStart,
    signal: AbortSignal,
  ): AsyncGenerator<readonly Entry[], void, undefined> {
    const { reader, assembler } = this.#options;
    await unlessAborted(() => this.#checkIdentity(start), signal);
    for await (const events of reader.events(start, signal)) {
      let entries: Entry[] = [];
      try {
        for (const event of events) {
          if (event.kind === "file") this.#file = event.file;
          else if (event.kind === "statement") {
            await this.#tellOf(event, signal);
            if (signal.aborted) break;
            for (const entry of this.#statement(event)) entries.push(entry);
            continue;
          } else if (event.kind === "xa") {
            for await (const earlier of this.#preparedRows(event, signal)) {
              yield [...entries, ...earlier];
              entries = [];
            }
          }
          for (const entry of assembler.push(event)) entries.push(entry);
        }
        for (const entry of assembler.flush()) entries.push(entry);
      } catch (thrown) {
        if (entries.length > 0) yield entries;
        throw thrown;
      }
      this.#found();
      if (entries.length > 0) yield entries;
    }
  }

  #statement(event: Statement): readonly Entry[] {
    const { tellsTruncate = false, assembler } = this.#options;
    const emptied = this.#emptied(event);
    if (emptied === "temporary") return assembler.push(event);
    const told = tellsTruncate ? emptied : undefined;
    if (told === undefined) this.#warnOf(event);
    return assembler.push(event, told);
  }

  /** The server marks any DROP like a statement on a temporary table; one that is names it so. */
  #emptied(event: Statement): TableName | "temporary" | undefined {
    const emptied = emptiedBy(...this.#named(event), this.#options.wants);
    return emptied !== undefined && event.isTemporary === true ? "temporary" : emptied;
  }

  /** The statement and its database, with names as the server knows them. */
  #named({ sql, database }: Statement): readonly [sql: string, database: string] {
    if (this.#options.lowerCaseNames !== true) return [sql, database];
    return [sql.toLowerCase(), database.toLowerCase()];
  }

  #warnOf(event: Statement): void {
    const { logger } = this.#options;
    for (const { table, what } of untoldRows(...this.#named(event), this.#options)) {
      const fields = { table, what, position: `${this.#file}:${event.position}` };
      logger.warn(
        fields,
        "rows of a table came or went by a statement, and no message tells of it",
      );
    }
  }

  /** Statements that touch captured tables are told of where somebody wants it. */
  async #tellOf(event: Statement, signal: AbortSignal): Promise<void> {
    const { wants, newColumns, assembler } = this.#options;
    if (newColumns === undefined || this.#emptied(event) === "temporary") return;
    const touched = touchedTables(...this.#named(event)).filter(table =>
      wants(table.database, table.name),
    );
    if (touched.length === 0) return;
    const there = touched.filter(({ isGone }) => !isGone);
    const behind = { file: this.#file, position: event.nextPosition };
    const columns = await newColumns.behind(behind, there, signal);
    if (signal.aborted) return;
    const tables = touched.map(table => ({
      ...{ database: table.database, name: table.name },
      columns: table.isGone ? [] : columns.get(table),
    }));
    assembler.changeSchema(event, tables);
  }

  /** Entries of the rows that this end of an XA transaction makes last, where they have to be read anew. */
  async *#preparedRows(
    end: Extract<BinlogEvent, { kind: "xa" }>,
    signal: AbortSignal,
  ): AsyncGenerator<readonly Entry[], void, undefined> {
    const { assembler, preparedGroups } = this.#options;
    const lacking = assembler.lacking(end);
    if (lacking === undefined) return;
    const isKnown = "file" in lacking;
    const group = isKnown ? lacking : await preparedGroups.find(end.xid, lacking.before, signal);
    for await (const batch of preparedGroups.rows(group, signal)) {
      const entries = batch.flatMap(rows => assembler.pushRead(rows, end));
      if (entries.length > 0) yield entries;
    }
  }

  /** Why the stream ended; undefined if for want of definitions, which are now there. */
  async #define(thrown: unknown, signal: AbortSignal): Promise<TidemarkError | undefined> {
    if (!(thrown instanceof DefinitionsMissing)) return toTidemarkError(thrown);
    try {
      await this.#options.definitions.load(thrown, signal);
      return undefined;
    } catch (failed) {
      return signal.aborted ? undefined : toTidemarkError(failed);
    }
  }

  async #checkIdentity(start: DumpStart): Promise<void> {
    const { identify, serverUuid } = this.#options;
    const found = await identify(start);
    if (found === serverUuid) return;
    throw new TidemarkError(
      "SOURCE_CHANGED",
      `Another MySQL server answers now: ${found} instead of ${serverUuid}.`,
    );
  }

  #found(): void {
    this.#turns += 1;
    this.#isConnected = true;
    this.#backoff.reset();
    if (this.#lost === undefined) return;
    this.#lost = undefined;
    this.#reason = undefined;
    this.#options.logger.info({}, "reading from MySQL again");
  }

  async #wait(error: TidemarkError, signal: AbortSignal): Promise<void> {
    const { clock, logger, onLoss } = this.#options;
    this.#isConnected = false;
    if (error.reaction !== "retry") throw error;
    onLoss?.();
    this.#turns += 1;
    this.#reason = error.message;
    if (this.#lost !== error.code) {
      this.#lost = error.code;
      logger.warn({ code: error.code, reason: error.message }, "MySQL is waited for");
    }
    await sleep(clock, this.#backoff.delayMs(), signal).catch(() => undefined);
  }
}
