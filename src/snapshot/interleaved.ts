/**
 * The stream with the existing rows in it: what the pipeline reads in place of the stream alone.
 *
 *   stream  ──entries──▶ ┬─ noted by the copiers' windows ─▶ numbered ─▶ pipeline
 *   copiers ──chunks───▶ ╯  between two transactions
 *
 * The stream goes on meanwhile, but for a table without a key: its rows belong to one place of it.
 *
 * Rows of a chunk have the mark of the last entry of the stream, with how far the copy is then.
 */
import type { Clock } from "../core/clock.ts";
import type { Change, Entry, TableNotice } from "../core/entry.ts";
import { partsOf, type Rows } from "../core/rows.ts";
import type { SnapshotStep } from "../core/snapshot-state.ts";
import type { ReadyChunk } from "./copier.ts";
import type { Copiers } from "./copiers.ts";
import type { HandedOut } from "./handed-out.ts";

export interface EntrySource {
  entries(signal: AbortSignal): AsyncGenerator<readonly Entry[], void, undefined>;
}

export interface InterleavedOptions {
  readonly stream: EntrySource;
  readonly copiers: Copiers;
  readonly handedOut: HandedOut;
  readonly serverId: number;
  readonly clock: Clock;
  /** Told of each chunk that is handed out, with how many of its rows. */
  readonly onChunk?: (chunk: ReadyChunk, rows: number) => void;
}

/** As for runs of changed rows: what one costs beside its bytes. */
const CHANGE_BYTES = 768;

type Pulled = IteratorResult<readonly Entry[], void>;

interface Found {
  pulled?: Pulled | undefined;
  fault?: { readonly thrown: unknown };
}

export class Interleaved implements EntrySource {
  readonly #options: InterleavedOptions;
  /** Number of the next entry. */
  #seq = 0;
  /** What stands in front of the stream. */
  #first: readonly Omit<Entry, "seq">[] = [];

  constructor(options: InterleavedOptions) {
    this.#options = options;
  }

  /** To be called before anything is read: these entries come before all others. */
  begin(entries: readonly Omit<Entry, "seq">[]): void {
    this.#first = entries;
  }

  /** Ends when the stream does, or the signal aborts; throws what the stream throws, or a copier. */
  async *entries(signal: AbortSignal): AsyncGenerator<readonly Entry[], void, undefined> {
    const { stream, copiers } = this.#options;
    const ended = new AbortController();
    const either = AbortSignal.any([signal, ended.signal]);
    const reading = stream.entries(either);
    const copying = copiers.run(either);
    try {
      if (this.#first.length > 0) yield this.#numbered(this.#first);
      yield* this.#both(reading, copying, either);
    } finally {
      ended.abort();
      await copying.catch(() => undefined);
    }
  }

  async *#both(
    reading: AsyncGenerator<readonly Entry[], void, undefined>,
    copying: Promise<void>,
    signal: AbortSignal,
  ): AsyncGenerator<readonly Entry[], void, undefined> {
    const { copiers } = this.#options;
    const found: Found = {};
    const fail = (thrown: unknown): void => {
      found.fault ??= { thrown };
      copiers.changed.notify();
    };
    copying.catch(fail);
    const pull = (): void => {
      found.pulled = undefined;
      const arrive = (pulled: Pulled): void => {
        found.pulled = pulled;
        copiers.changed.notify();
      };
      reading.next().then(arrive, fail);
    };
    pull();
    for (;;) {
      yield* this.#takeChunks();
      const { pulled, fault } = found;
      if (pulled !== undefined) {
        if (pulled.done === true) return;
        yield* this.#pass(pulled.value, found, signal);
        if (signal.aborted) return;
        pull();
      } else if (fault !== undefined) {
        // Told to end, the copiers do so with the signal's reason; the stream just ends.
        if (signal.aborted) return;
        throw fault.thrown;
      } else {
        await copiers.changed.wait(signal).catch(() => undefined);
        if (signal.aborted) return;
      }
    }
  }

  /** Entries of the stream, and chunks whose place is between them. */
  async *#pass(
    entries: readonly Entry[],
    found: Found,
    signal: AbortSignal,
  ): AsyncGenerator<readonly Entry[], void, undefined> {
    const { copiers } = this.#options;
    if (copiers.isIdle) {
      copiers.pass(entries);
      yield this.#numbered(entries);
      return;
    }
    let out: Entry[] = [];
    for (const entry of entries) {
      if (!copiers.mayPass(entry)) {
        if (out.length > 0) yield this.#numbered(out);
        out = [];
        yield* this.#takeUntilPassed(entry, found, signal);
        if (signal.aborted) return;
      }
      copiers.note(entry);
      out.push(entry);
      for (let chunk = copiers.take(); chunk !== undefined; chunk = copiers.take()) {
        yield this.#numbered(out);
        out = [];
        yield this.#entriesOf(chunk);
      }
    }
    if (out.length > 0) yield this.#numbered(out);
  }

  /** Chunks that belong in front of this entry. */
  async *#takeUntilPassed(
    entry: Entry,
    found: Found,
    signal: AbortSignal,
  ): AsyncGenerator<readonly Entry[], void, undefined> {
    const { copiers } = this.#options;
    for (;;) {
      yield* this.#takeChunks();
      if (signal.aborted || copiers.mayPass(entry)) return;
      if (found.fault !== undefined) throw found.fault.thrown;
      await copiers.changed.wait(signal).catch(() => undefined);
    }
  }

  *#takeChunks(): Generator<readonly Entry[], void, undefined> {
    const { copiers } = this.#options;
    for (let chunk = copiers.take(); chunk !== undefined; chunk = copiers.take()) {
      yield this.#entriesOf(chunk);
    }
  }

  /** Those of the stream have their numbers, until rows come between. */
  #numbered(
    entries: readonly (Omit<Entry, "seq"> & { readonly seq?: number })[],
  ): readonly Entry[] {
    const first = this.#seq;
    this.#seq += entries.length;
    if (entries[0]?.seq === first) return entries as readonly Entry[];
    return entries.map((entry, index) => ({ ...entry, seq: first + index }));
  }

  /** One for each batch, and one at least: the last says where the copy stands behind the chunk. */
  #entriesOf(chunk: ReadyChunk): readonly Entry[] {
    const { batches, rowsBefore, table, empties = false } = chunk;
    const last = batches.length - 1;
    let rows = rowsBefore;
    let entered = 0;
    const entries = (batches.length === 0 ? [undefined] : batches).map((batch, index): Entry => {
      const changes = batch === undefined ? [] : this.#changesOf(chunk, batch.rows, rows);
      rows += batch?.rows.count ?? 0;
      for (const { count } of changes) entered += count;
      const isEnd = batch === undefined || index === last;
      const step = {
        table,
        rows,
        key: isEnd ? chunk.key : batch.key,
        done: isEnd && chunk.isLast,
        endsTails: isEnd && chunk.endsTails,
      };
      const entry = this.#entry(changes, batch?.rows.bytes ?? 0, step);
      return empties ? { ...entry, notice: this.#noticeOf(chunk) } : entry;
    });
    this.#options.onChunk?.(chunk, entered);
    return entries;
  }

  #entry(changes: readonly Change[], rowBytes: number, snapshot: SnapshotStep): Entry {
    const { mark } = this.#options.handedOut;
    const seq = this.#seq;
    this.#seq += 1;
    return {
      seq,
      bytes: changes.length === 0 ? 0 : rowBytes + changes.length * CHANGE_BYTES,
      changes,
      mark: { ...mark, gtids: [], anonymous: false, statement: false, eventTimeS: 0, snapshot },
    };
  }

  #originOf({ run }: ReadyChunk): Pick<TableNotice, "transaction" | "origin"> {
    const { serverId, clock, handedOut } = this.#options;
    const { file, position } = handedOut.mark.boundary;
    const timestampS = Math.floor(clock.wallMs() / 1000);
    return {
      transaction: { id: `snapshot/${run}`, gtid: undefined, thread: undefined },
      origin: { file, position, serverId, timestampS },
    };
  }

  #noticeOf(chunk: ReadyChunk): TableNotice {
    const [database, table] = partsOf(chunk.table);
    return { operation: "truncate", database, table, ...this.#originOf(chunk) };
  }

  /** The rows that the stream did not change meanwhile, as runs. */
  #changesOf(chunk: ReadyChunk, rows: Rows, numberOfFirst: number): readonly Change[] {
    const { window } = chunk;
    const { transaction, origin } = this.#originOf(chunk);
    const changes: Change[] = [];
    const add = (first: number, end: number): void => {
      if (first === end) return;
      const firstNumber = numberOfFirst + first;
      const part = { rows, first, count: end - first, firstNumber, endsTransaction: false };
      changes.push({ transaction, origin, ...part });
    };
    let first = 0;
    for (let row = 0; row < rows.count; row += 1) {
      if (!window.hasChanged(rows, row)) continue;
      add(first, row);
      first = row + 1;
    }
    add(first, rows.count);
    return changes;
  }
}
