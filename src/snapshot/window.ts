/**
 * The stretch of the stream around the reading of one chunk.
 *
 *   stream   … ─┬──────────────────────────────────────────────┬─▶ rows of the chunk enter here
 *             opened     SELECT sees at least what was           over: all that the SELECT may have seen
 *             here       handed out before the opening           was handed out
 *               └───────── changed rows are noted ─────────────┘
 *
 * A row of the chunk that the stream changed meanwhile is dropped: the stream has delivered it as it is by
 * the end of the window, or later than the SELECT saw it. The others are as the SELECT saw them, since
 * nothing of the stream changed them up to there. Dropping one too many is never wrong.
 */
import type { Entry } from "../core/entry.ts";
import { GtidSet } from "../core/gtid-set.ts";
import { CellState, tableId, type Image, type Rows } from "../core/rows.ts";

/** More changed rows, or transactions, than this: the chunk is read again, and smaller. */
const NOTED_MAX = 200_000;

/** What the stream changed since a window was opened. Several chunks may be read in the same. */
export class Noted {
  readonly #table: string;
  readonly #keys = new Set<string>();
  /** Transactions handed out since the opening. */
  readonly #passed: string[] = [];
  #fault: string | undefined;

  /** @param table as `tableId` names it. */
  constructor(table: string) {
    this.#table = table;
  }

  /** The stream hands this out. */
  note({ changes, mark }: Entry): void {
    for (const { rows, first, count } of changes) {
      if (tableId(rows.table) === this.#table) this.#noteRows(rows, first, first + count);
    }
    if (mark.statement === true) this.#fault ??= "a table was changed or emptied meanwhile";
    for (const gtid of mark.gtids) this.#passed.push(gtid);
    if (this.size > NOTED_MAX) {
      this.#fault ??= "too many rows were changed meanwhile";
      this.#keys.clear();
      this.#passed.length = 0;
    }
  }

  #noteRows(rows: Rows, from: number, to: number): void {
    for (let row = from; row < to; row += 1) {
      for (const image of IMAGES[rows.operation]) {
        const key = keyOf(rows, row, image) ?? (image === "after" ? "" : undefined);
        // An update may show its key in the image before it alone: it is the same then.
        if (key === undefined) this.#fault ??= "a changed row did not show its key";
        else this.#keys.add(key);
      }
    }
  }

  get table(): string {
    return this.#table;
  }

  /** Of changed rows, or of transactions. */
  get size(): number {
    return Math.max(this.#keys.size, this.#passed.length);
  }

  /** Why nothing can be said about a chunk. */
  get fault(): string | undefined {
    return this.#fault;
  }

  get passed(): readonly string[] {
    return this.#passed;
  }

  has(key: string): boolean {
    return this.#keys.has(key);
  }
}

export class Window {
  readonly #noted: Noted;
  #missing: GtidSet | undefined;
  #left = Infinity;
  /** So many of the transactions that were handed out are looked at. */
  #counted = 0;

  constructor(noted: Noted) {
    this.#noted = noted;
  }

  /**
   * The chunk is read. May be called again with fewer, if some turn out never to come.
   *
   * @param missing what the SELECT may have seen that was not handed out when the window was opened.
   */
  close(missing: string): void {
    this.#missing = GtidSet.parse(missing);
    this.#left = countOf(this.#missing.toString());
    this.#counted = 0;
  }

  /** As it was told. */
  get missing(): string {
    return this.#missing?.toString() ?? "";
  }

  get isOver(): boolean {
    const { passed } = this.#noted;
    for (; this.#counted < passed.length && this.#left > 0; this.#counted += 1) {
      if (this.#missing?.contains(passed[this.#counted] as string) === true) this.#left -= 1;
    }
    return this.#left <= 0;
  }

  get fault(): string | undefined {
    return this.#noted.fault;
  }

  get noted(): Noted {
    return this.#noted;
  }

  hasChanged(rows: Rows, row: number): boolean {
    if (__MUTANT__ === "forget-window") return false;
    const key = keyOf(rows, row, "after");
    return key === undefined || this.#noted.has(key);
  }
}

const IMAGES: Readonly<Record<Rows["operation"], readonly Image[]>> = {
  insert: ["after"],
  read: [],
  update: ["before", "after"],
  delete: ["before"],
};

/** Canonical bytes of all columns of the key, with their names; undefined if the image lacks one. */
function keyOf(rows: Rows, row: number, image: Image): string | undefined {
  const { columns, primaryKey } = rows.table;
  let key = "";
  for (const column of primaryKey) {
    if (rows.state(row, image, column) !== CellState.present) return undefined;
    const cell = rows.cell(row, image, column);
    key += `${columns[column]?.name ?? ""}\0${cell.length}:${cell.toString("latin1")}\0`;
  }
  return key;
}

/** Of the canonical text of a set. */
function countOf(gtids: string): number {
  let count = 0;
  for (const [, first = "", last = first] of gtids.matchAll(/:(\d+)(?:-(\d+))?(?=[:,\s]|$)/g)) {
    count += Number(last) - Number(first) + 1;
  }
  return count;
}
