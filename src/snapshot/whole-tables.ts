/**
 * Tables whose rows have no key, one after the other: each is read whole, as it was at one place of the stream,
 * and the stream waits there until all of its rows are through.
 *
 *   stream   … changes that the rows hold ─▶ ┃ emptied, row, row, … ┃ changes behind them ─▶
 *                                        barrier               the last row
 *
 * Nothing tells one row from its like, so nothing can be left out or sent once more by itself: where anything comes
 * between, the table is emptied for those who read, and sent again from its first row on.
 */
import { Backoff } from "../core/backoff.ts";
import { sleep, type Clock } from "../core/clock.ts";
import type { Entry } from "../core/entry.ts";
import type { Logger } from "../core/logger.ts";
import { Wake } from "../core/signal.ts";
import { Barrier } from "./barrier.ts";
import type { LockedRows, LockPlace, TableLocks } from "./chunk-source.ts";
import type { ReadyChunk } from "./copier.ts";
import type { HandedOut } from "./handed-out.ts";
import type { ListedTable } from "./table-list.ts";

export interface WholeTablesOptions {
  readonly locks: TableLocks;
  readonly handedOut: HandedOut;
  /** Raised with each start: a table that is read again has other rows, and they have other ids. */
  readonly generation: number;
  /** Fired when there may be something to take, or the stream may go on. */
  readonly changed: Wake;
  readonly clock: Clock;
  readonly logger: Logger;
}

type Part = Omit<ReadyChunk, "endsTails">;
type Outcome = "done" | "gone" | keyof typeof TRIED_AGAIN;

/** Of the size of an entry. */
const PARTS_MAX = 4;
/** While a lock is asked for, writers of the table wait: so not too often. */
const LOCK_AGAIN = { firstMs: 2_000, maxMs: 60_000 };
const TRIED_AGAIN = {
  busy: "waits to lock a table: a transaction has changed it and is not committed yet",
  lost: "reads a table again: the stream comes from another server now",
} as const;

export class WholeTables {
  readonly #options: WholeTablesOptions;
  /** A part was taken, or the barrier lost. */
  readonly #moved = new Wake();
  #barrier: Barrier | undefined;
  #locked: LockedRows | undefined;
  #parts: Part[] = [];
  #attempts = 0;

  constructor(options: WholeTablesOptions) {
    this.#options = options;
  }

  /** Whether the stream may hand this out before anything else is taken. */
  mayPass(entry: Entry): boolean {
    const barrier = this.#barrier;
    if (barrier === undefined) return true;
    const mayPass = barrier.mayPass(entry);
    if (barrier.isLost) {
      this.#locked?.close(); // Its server may not answer any more.
      this.#moved.notify();
    }
    return mayPass;
  }

  take(): Part | undefined {
    const [head] = this.#parts;
    const isReached = this.#barrier?.isReached(this.#options.handedOut) === true;
    if (head === undefined || !isReached) return undefined;
    this.#parts.shift();
    this.#moved.notify();
    return head;
  }

  /**
   * Resolves when all rows are taken.
   *
   * @param asking tries again what fails because a server is down.
   * @returns false if there is no such table.
   */
  async copy(
    table: ListedTable,
    asking: (attempt: () => Promise<Outcome>) => Promise<Outcome>,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { clock, logger } = this.#options;
    const backoff = new Backoff(LOCK_AGAIN);
    for (;;) {
      const outcome = await asking(() => this.#attempt(table, signal));
      if (outcome === "done" || outcome === "gone") return outcome === "done";
      logger.info({ table: table.id }, TRIED_AGAIN[outcome]);
      await sleep(clock, backoff.delayMs(), signal);
    }
  }

  async #attempt(table: ListedTable, signal: AbortSignal): Promise<Outcome> {
    const { locks, changed } = this.#options;
    const barriers: Barrier[] = [];
    const hold = (place: LockPlace): void => {
      this.#barrier = new Barrier(place);
      barriers.push(this.#barrier);
    };
    try {
      const found = await locks.open(table.id, hold, signal);
      const [barrier] = barriers;
      if (typeof found === "string" || barrier === undefined)
        return found === "busy" ? found : "gone";
      this.#locked = found;
      return await this.#handOver(table, { locked: found, barrier }, signal);
    } catch (thrown) {
      if (barriers[0]?.isLost === true) return "lost";
      throw thrown;
    } finally {
      this.#locked?.close();
      this.#locked = undefined;
      this.#barrier = undefined;
      this.#parts = [];
      changed.notify();
    }
  }

  /** Part by part, while the stream waits. */
  async #handOver(
    { id, run }: ListedTable,
    { locked, barrier }: { readonly locked: LockedRows; readonly barrier: Barrier },
    signal: AbortSignal,
  ): Promise<"done" | "lost"> {
    this.#attempts += 1;
    const ids = `${run}-${this.#options.generation}.${this.#attempts}`;
    const common = { table: id, run: ids, window: UNCHANGED, key: null, isLast: false };
    const room = (parts: number): Promise<void> =>
      this.#moved.until(() => barrier.isLost || this.#parts.length < parts, signal);
    let rowsBefore = 0;
    this.#offer({ ...common, rowsBefore, batches: [], empties: true });
    for await (const rows of locked.batches) {
      await room(PARTS_MAX);
      if (barrier.isLost) return "lost";
      this.#offer({ ...common, rowsBefore, batches: [{ rows, key: {} }] });
      rowsBefore += rows.count;
    }
    this.#offer({ ...common, rowsBefore, batches: [], isLast: true });
    await room(1);
    return barrier.isLost ? "lost" : "done";
  }

  #offer(part: Part): void {
    this.#parts.push(part);
    this.#options.changed.notify();
  }
}

/** The rows are as they were where they enter. */
const UNCHANGED = { hasChanged: (): boolean => false };
