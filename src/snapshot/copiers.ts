/**
 * Copiers at work on one list of tables, each with a connection and a window of its own.
 *
 *   list of tables ─┬─▶ copier ─┬─ chunks ─▶ take()
 *                   └─▶ copier ─┘
 *
 * They work in rounds: one begins when a table is listed, and ends when all are copied. Only during a round
 * has the stream to tell what it hands out.
 */
import type { Entry } from "../core/entry.ts";
import { Wake } from "../core/signal.ts";
import type { ChunkSize } from "./chunk-size.ts";
import type { ChunkSource } from "./chunk-source.ts";
import { Copier, type CopierOptions, type ReadyChunk } from "./copier.ts";
import { TableList, type ListedTable } from "./table-list.ts";

type Shared =
  | "handedOut"
  | "pace"
  | "windowed"
  | "locks"
  | "generation"
  | "announce"
  | "clock"
  | "logger"
  | "troubles";

export interface CopiersOptions extends Pick<CopierOptions, Shared> {
  /** Of each copier. */
  readonly copiers: readonly { readonly source: ChunkSource; readonly size: ChunkSize }[];
}

export class Copiers {
  readonly #options: CopiersOptions;
  readonly #list = new TableList();
  readonly #copiers: readonly Copier[];
  /** Fired when there may be something to take, or nothing any more. */
  readonly changed = new Wake();
  #isAtWork = false;

  constructor(options: CopiersOptions) {
    this.#options = options;
    const shared = { ...options, list: this.#list, changed: this.changed };
    this.#copiers = options.copiers.map(own => new Copier({ ...shared, ...own }));
  }

  add(tables: readonly ListedTable[]): void {
    this.#list.add(tables);
    this.#look();
  }

  get isFinished(): boolean {
    return this.#list.isFinished;
  }

  /** No round is under way. */
  get isIdle(): boolean {
    return !this.#isAtWork;
  }

  /** The stream hands these out while no round is under way. */
  pass(entries: readonly Entry[]): void {
    this.#options.handedOut.pass(entries);
  }

  /** The stream hands this out. */
  note(entry: Entry): void {
    this.#options.handedOut.note(entry);
    for (const copier of this.#copiers) copier.note(entry);
  }

  /** Whether the stream may hand this out before anything else is taken. */
  mayPass(entry: Entry): boolean {
    return this.#copiers.every(copier => copier.mayPass(entry));
  }

  /** The next chunk, if the stream stands where its rows may enter. */
  take(): ReadyChunk | undefined {
    for (const copier of this.#copiers) {
      const chunk = copier.take();
      if (chunk === undefined) continue;
      if (this.isFinished) this.#look();
      return chunk;
    }
    return undefined;
  }

  #look(): void {
    for (const copier of this.#copiers) copier.look();
    this.changed.notify();
  }

  /** Round after round, until the signal aborts. Waits for a server that is down. */
  async run(signal: AbortSignal): Promise<void> {
    for (;;) {
      await this.changed.until(() => !this.isFinished, signal);
      this.#options.handedOut.begin();
      this.#isAtWork = true;
      await Promise.all(this.#copiers.map(copier => copier.run(signal)));
      this.#isAtWork = false;
    }
  }
}
