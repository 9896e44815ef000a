/**
 * Reads the rows that tables had before, chunk by chunk, beside the stream.
 *
 *   window opened ─▶ server caught up with the stream ─▶ SELECT ─▶ what may it have seen? ─▶ written down
 *        ╰──────────────────── the stream goes on, and tells us what it hands out ─────────────╯    │
 *   stream: between two transactions, once all of that is handed out: take() ◀── ready ◀───────────╯
 *
 * 1. Nothing is read before the stream has handed out all that was committed at the start. So after a
 *    restart no row enters in front of changes that were sent before it.
 * 2. A chunk is taken in the order of the key, and only if its window is over and says enough; otherwise
 *    it is read again, and what was read behind it too.
 * 3. Up to where rows may be sent stands in the commit log before they are.
 * 4. One chunk waits while the next one is read.
 *
 * A table that cannot be read in the order of a key has no chunks (whole-tables.ts).
 */
import type { Clock } from "../core/clock.ts";
import type { Entry } from "../core/entry.ts";
import type { Logger } from "../core/logger.ts";
import { retrying } from "../core/retry.ts";
import { Wake } from "../core/signal.ts";
import type { SnapshotKey } from "../core/snapshot-state.ts";
import type { Troubles } from "../core/troubles.ts";
import type { ChunkSize } from "./chunk-size.ts";
import {
  KeyChanged,
  KeyMissing,
  type Batch,
  type Chunk,
  type ChunkSource,
  type TableLocks,
} from "./chunk-source.ts";
import { joinSets, type HandedOut } from "./handed-out.ts";
import type { Pace } from "./pace.ts";
import type { ListedTable, TableList } from "./table-list.ts";
import { WholeTables } from "./whole-tables.ts";
import { Noted, Window } from "./window.ts";

export interface CopierOptions {
  readonly list: TableList;
  readonly source: ChunkSource;
  readonly handedOut: HandedOut;
  readonly size: ChunkSize;
  readonly pace: Pace;
  /** False where nobody writes to the tables: then there is nothing that a chunk could miss. */
  readonly windowed: boolean;
  /** For tables without a key; undefined where they are refused. */
  readonly locks?: TableLocks | undefined;
  /** Of this start of the pipeline. */
  readonly generation: number;
  /** Resolves when the commit log says that rows of the table up to this key may be sent. */
  readonly announce: (table: string, until: SnapshotKey, signal: AbortSignal) => Promise<void>;
  /** Fired when there may be something to take. */
  readonly changed: Wake;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly troubles?: Troubles | undefined;
}

/** A chunk of which nothing is left out yet. */
export interface ReadyChunk {
  readonly table: string;
  readonly run: string;
  readonly batches: readonly Batch[];
  readonly window: Pick<Window, "hasChanged">;
  /** Rows of the table in front of it. */
  readonly rowsBefore: number;
  /** Where the copy stands behind it. */
  readonly key: SnapshotKey | null;
  /** The table ends here. */
  readonly isLast: boolean;
  /** All that may have been sent before the start is behind us. */
  readonly endsTails: boolean;
  /** What was sent of the table until now is void. */
  readonly empties?: boolean;
}

/** Where a chunk begins. */
interface Cursor {
  /** Index among the tables of this copier. */
  readonly table: number;
  readonly key: SnapshotKey | null;
  readonly rows: number;
  /** Rows up to here may have been sent by the run before. */
  readonly redo: SnapshotKey | null;
}

interface Ready extends Omit<ReadyChunk, "endsTails"> {
  readonly from: Cursor;
  readonly next: Cursor;
  readonly window: Window;
}

/** What was handed out when a window was opened; the server was waited for until it had it. */
interface Opening {
  readonly noted: Noted;
  readonly seen: string;
  /** Other chunks may be read in it until then. */
  readonly untilMs: number;
}

const READY_MAX = 1;
/** Waiting takes a tenth of the time at most, where the server has to be waited for. */
const SHARED_PER_WAITED = 10;
/** A server that answers sooner is asked again for each chunk. */
const SHARED_FROM_MS = 200;
/** More keys than this are not noted for others. */
const SHARED_NOTED_MAX = 50_000;
/** A transaction that was about to be committed, and never was, is looked for after this time. */
const LOOK_AGAIN_MS = 5_000;

export class Copier {
  readonly #options: CopierOptions;
  /** Those that it has taken from the list. */
  readonly #tables: ListedTable[] = [];
  /** What the stream changes is noted in each: of the chunk at the head, and of the one that is read. */
  readonly #open = new Set<Noted>();
  #shared: Opening | undefined;
  readonly #whole: WholeTables | undefined;
  /** The stream moved, a chunk was taken, or the list changed. */
  readonly #moved = new Wake();
  #ready: Ready[] = [];
  #cursor: Cursor;
  /** Raised when what was read is thrown away. */
  #turn = 0;
  /** Committed before the start. */
  #base: string | undefined;

  constructor(options: CopierOptions) {
    this.#options = options;
    this.#cursor = this.#startOf(0);
    const { locks } = options;
    this.#whole = locks === undefined ? undefined : new WholeTables({ ...options, locks });
  }

  get #hasMore(): boolean {
    return this.#cursor.table < this.#tables.length || this.#options.list.hasWaiting;
  }

  /** The list changed. */
  look(): void {
    this.#moved.notify();
  }

  /** The stream hands this out, and `handedOut` has noted it. */
  note(entry: Entry): void {
    for (const noted of this.#open) noted.note(entry);
    if (this.#base === undefined) this.#moved.notify();
  }

  /** Whether the stream may hand this out before anything else is taken. */
  mayPass(entry: Entry): boolean {
    return this.#whole?.mayPass(entry) ?? true;
  }

  /** The next chunk, if the stream stands where its rows may enter. */
  take(): ReadyChunk | undefined {
    const { list, handedOut } = this.#options;
    const part = this.#whole?.take();
    if (part !== undefined) {
      if (part.isLast) list.finish();
      // What was sent before the start is void too.
      return { ...part, endsTails: part.empties === true && list.passRedone(part.table) };
    }
    const [head] = this.#ready;
    if (head === undefined || !handedOut.isBetween) return undefined;
    const { table, window, from, next } = head;
    if (window.fault !== undefined) {
      this.#readAgain(head, window.fault);
      return undefined;
    }
    if (!window.isOver) return undefined;
    this.#ready.shift();
    this.#forget(window.noted);
    this.#moved.notify();
    const endsRedo = from.redo !== null && (next.redo === null || next.table !== from.table);
    const endsTails = endsRedo && list.passRedone(table);
    if (head.isLast) list.finish();
    return { ...head, endsTails };
  }

  #readAgain({ from, table }: Ready, reason: string): void {
    const { logger, size } = this.#options;
    logger.info({ table, reason }, "reads a chunk of the snapshot again");
    size.halve();
    this.#turn += 1;
    this.#ready = [];
    this.#open.clear();
    this.#shared = undefined;
    this.#cursor = from;
    this.#moved.notify();
  }

  /** Unless other chunks are read in the same window. */
  #forget(noted: Noted): void {
    const isUsed = noted === this.#shared?.noted;
    if (!isUsed && !this.#ready.some(({ window }) => window.noted === noted)) {
      this.#open.delete(noted);
    }
  }

  /** Resolves when all tables of the list are finished. Waits for a server that is down. */
  async run(signal: AbortSignal): Promise<void> {
    const { list, source } = this.#options;
    this.#base = undefined;
    this.#shared = undefined;
    this.#open.clear(); // What was handed out between two rounds is not noted.
    try {
      await this.#reachBase(signal);
      for (;;) {
        const canRead = (): boolean => this.#hasMore && this.#ready.length < READY_MAX;
        await this.#until(() => list.isFinished || canRead(), signal);
        if (list.isFinished) return;
        await this.#readNext(signal);
      }
    } finally {
      source.close();
    }
  }

  async #reachBase(signal: AbortSignal): Promise<void> {
    const { source, handedOut } = this.#options;
    const end = await this.#asking("Asking for the end of the binlog", signal, () =>
      source.end(signal),
    );
    await this.#moved.until(() => handedOut.hasPassed(end), signal);
    this.#base = end.gtids;
  }

  /** Waits, and looks now and then whether what the chunk at the head waits for can still come. */
  async #until(condition: () => boolean, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    while (!condition()) {
      const cancel = clock.after(LOOK_AGAIN_MS, () => this.#moved.notify());
      const sinceMs = clock.nowMs();
      try {
        await this.#moved.wait(signal);
      } finally {
        cancel();
      }
      if (!condition() && clock.nowMs() - sinceMs >= LOOK_AGAIN_MS) await this.#lookAgain(signal);
    }
  }

  async #lookAgain(signal: AbortSignal): Promise<void> {
    const { source } = this.#options;
    const [head] = this.#ready;
    const missing = head?.window.missing ?? "";
    if (head === undefined || missing === "") return;
    const still = await this.#asking("Asking what is committed", signal, () =>
      source.stillThere(missing, signal),
    );
    head.window.close(still);
    this.#options.changed.notify();
  }

  async #readNext(signal: AbortSignal): Promise<void> {
    const turn = this.#turn;
    const from = this.#begin();
    const table = this.#tables[from.table]?.id;
    if (table === undefined) return; // Another copier was faster.
    const { chunk, window } = await this.#asking(`Reading existing rows of ${table}`, signal, () =>
      this.#readChunk(from, table, signal),
    );
    if (chunk === "no-key") {
      await this.#copyWhole(from, signal);
      return;
    }
    if (chunk === "key-changed") {
      const { logger } = this.#options;
      logger.warn({ table }, "the table has another primary key now: its copy begins anew");
      this.#cursor = { ...from, key: null, rows: 0, redo: null };
      return;
    }
    const ready = this.#readyOf({ from, table, window }, chunk);
    if (turn === this.#turn && from.redo === null && ready.key !== null) {
      await this.#options.announce(table, ready.key, signal);
    }
    if (turn !== this.#turn) {
      this.#forget(window.noted);
      return;
    }
    this.#offer(ready);
  }

  #offer(ready: Ready): void {
    this.#cursor = ready.next;
    this.#ready.push(ready);
    this.#options.changed.notify();
  }

  async #copyWhole(from: Cursor, signal: AbortSignal): Promise<void> {
    const listed = this.#tables[from.table];
    if (listed === undefined || this.#whole === undefined) return;
    const { id: table } = listed;
    await this.#options.announce(table, {}, signal);
    const isThere = await this.#whole.copy(
      listed,
      attempt => this.#asking(`Reading existing rows of ${table}`, signal, attempt),
      signal,
    );
    if (isThere) {
      this.#cursor = this.#startOf(from.table + 1);
      return;
    }
    const window = new Window(new Noted(table));
    window.close("");
    this.#offer(this.#readyOf({ from, table, window }, undefined));
  }

  /** Where to read on; at the end of a table, in the next one of the list. */
  #begin(): Cursor {
    if (this.#cursor.table === this.#tables.length) {
      const next = this.#options.list.take();
      if (next !== undefined) this.#tables.push(next);
      this.#cursor = this.#startOf(this.#cursor.table);
    }
    return this.#cursor;
  }

  /** One attempt. */
  async #readChunk(
    from: Cursor,
    table: string,
    signal: AbortSignal,
  ): Promise<{
    readonly chunk: Chunk | "key-changed" | "no-key" | undefined;
    readonly window: Window;
  }> {
    const { source, size, pace, windowed, clock } = this.#options;
    await pace.free(signal);
    const { noted, seen, waitedMs } = await this.#openWindow(table, signal);
    const window = new Window(noted);
    try {
      const startMs = clock.nowMs();
      const request = { table, after: from.key, until: from.redo, limit: pace.most(size.rows) };
      const chunk = await source.read(request, signal);
      if (chunk !== undefined) {
        const read = sizeOf(chunk);
        size.note({ ...read, ms: clock.nowMs() - startMs, waitedMs });
        pace.note(read.rows);
      }
      window.close(windowed ? await source.seenBeside(seen, signal) : "");
      return { chunk, window };
    } catch (thrown) {
      const isWhole = thrown instanceof KeyMissing && this.#whole !== undefined;
      if (isWhole || thrown instanceof KeyChanged) {
        this.#forget(noted);
        return { chunk: isWhole ? "no-key" : "key-changed", window };
      }
      this.#giveUp(noted);
      throw thrown;
    }
  }

  async #openWindow(
    table: string,
    signal: AbortSignal,
  ): Promise<Pick<Opening, "noted" | "seen"> & { readonly waitedMs: number }> {
    const { source, handedOut, windowed, clock } = this.#options;
    const shared = this.#shared;
    if (shared !== undefined) {
      const isGood = shared.noted.table === table && shared.noted.fault === undefined;
      const isSmall = shared.noted.size <= SHARED_NOTED_MAX;
      if (isGood && isSmall && clock.nowMs() < shared.untilMs) return { ...shared, waitedMs: 0 };
      this.#shared = undefined;
      this.#forget(shared.noted);
    }
    const noted = new Noted(table);
    this.#open.add(noted);
    const seen = joinSets(this.#base ?? "", handedOut.gtids);
    const openMs = clock.nowMs();
    try {
      if (windowed) await source.caughtUp(seen, signal);
    } catch (thrown) {
      this.#giveUp(noted);
      throw thrown;
    }
    const waitedMs = clock.nowMs() - openMs;
    if (waitedMs >= SHARED_FROM_MS && this.#open.has(noted)) {
      this.#shared = { noted, seen, untilMs: clock.nowMs() + waitedMs * SHARED_PER_WAITED };
    }
    return { noted, seen, waitedMs };
  }

  /** The next chunk is read over another connection. */
  #giveUp(noted: Noted): void {
    this.#shared = undefined;
    this.#forget(noted);
    this.#options.source.close();
  }

  #readyOf(
    { from, table, window }: Pick<Ready, "from" | "table" | "window">,
    chunk: Chunk | undefined,
  ): Ready {
    const run = this.#tables[from.table]?.run ?? "";
    const common = { table, run, window, from, rowsBefore: from.rows };
    const nextTable = this.#startOf(from.table + 1);
    if (chunk === undefined) {
      this.#options.logger.warn({ table }, "the table is gone: nothing of it is left to copy");
      return { ...common, batches: [], key: from.key, isLast: true, next: nextTable };
    }
    const { batches, isLast } = chunk;
    const lastKey = chunk.end ?? batches.at(-1)?.key ?? from.key;
    if (isLast && from.redo === null) {
      return { ...common, batches, key: lastKey, isLast: true, next: nextTable };
    }
    const key = isLast ? from.redo : lastKey;
    const rows = from.rows + sizeOf(chunk).rows;
    const next = { ...from, key, rows, redo: isLast ? null : from.redo };
    return { ...common, batches, key, isLast: false, next };
  }

  #startOf(table: number): Cursor {
    const { key = null, until = null, rows = 0 } = this.#tables[table]?.known ?? {};
    return { table, key, rows, redo: until };
  }

  #asking<T>(doing: string, signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
    const { clock, logger, troubles } = this.#options;
    return retrying(attempt, { clock, logger, signal, doing, troubles });
  }
}

function sizeOf({ batches }: Chunk): { rows: number; bytes: number } {
  let rows = 0;
  let bytes = 0;
  for (const batch of batches) {
    rows += batch.rows.count;
    bytes += batch.rows.bytes;
  }
  return { rows, bytes };
}
