/** The snapshot's part of the checkpoint in the making. */
import type { NextOffsets } from "../core/checkpoint.ts";
import type { Mark } from "../core/entry.ts";
import { assert } from "../core/errors.ts";
import {
  NOTHING_COPIED,
  type SnapshotKey,
  type SnapshotState,
  type SnapshotStep,
  type SnapshotTable,
} from "../core/snapshot-state.ts";

/**
 * More tables than this are not listed any more once all are copied: each stands in every checkpoint. Which
 * ones there were is what `patterns` says.
 */
const LISTED_MAX = 100;

export class SnapshotProgress {
  #head: Omit<SnapshotState, "tables" | "tails"> | undefined;
  #tables = new Map<string, SnapshotTable>();
  #tails: NextOffsets | null = null;

  begin(state: SnapshotState | null): void {
    this.#head = state ?? undefined;
    this.#tables = new Map(Object.entries(state?.tables ?? {}));
    this.#tails = state?.tails ?? null;
    this.#shorten();
  }

  /** Rows of the table up to this key will be sent. Must be in the commit log before they are. */
  announce(table: string, until: SnapshotKey): void {
    this.#tables.set(table, { ...(this.#tables.get(table) ?? NOTHING_COPIED), until });
  }

  /** To be called in the order of the queue. */
  release({ table, rows, key, done, endsTails }: SnapshotStep): void {
    const known = this.#tables.get(table);
    assert(known !== undefined, `no snapshot of ${table} was planned`);
    this.#tables.set(table, { ...known, rows, key, done, until: done ? null : known.until });
    if (endsTails || (done && this.#isFinished)) this.#tails = null;
    if (done) this.#shorten();
  }

  /** The consumers of a table know of the gap, or to forget their rows. */
  releaseGap({ table, operation }: NonNullable<Mark["toldGap"]>): void {
    if (this.#head?.gap === undefined) return;
    const { gap } = this.#head;
    const list = operation === "gap" ? "untold" : "unemptied";
    const left = gap[list].filter(other => other !== table);
    this.#head = { ...this.#head, gap: { ...gap, [list]: left } };
  }

  #shorten(): void {
    if (this.#tables.size > LISTED_MAX && this.#isFinished) this.#tables.clear();
  }

  get #isFinished(): boolean {
    return [...this.#tables.values()].every(({ done }) => done);
  }

  get state(): SnapshotState | null {
    if (this.#head === undefined) return null;
    return { ...this.#head, tables: Object.fromEntries(this.#tables), tails: this.#tails };
  }
}
