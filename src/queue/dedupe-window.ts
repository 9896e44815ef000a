/**
 * Holds each changed row for a while, and merges the changes that follow into it (held-row.ts).
 *
 *   pending channel ──take──▶ window: row ▸ merged change ──due──▶ parcels ──▶ flusher
 *                                │                                               │ delivered
 *   commit-log map ◀── entries, in order ◀── open entries ◀──────────────────────┘
 *
 * Invariants:
 *
 *   1. Changes of one row leave in their order. What cannot be merged with a held change sends it ahead.
 *   2. No entry is acknowledged while a change of it, or of one in front of it, is held or not delivered.
 *      A change that was merged away is delivered with the one that carries it.
 *   3. A row leaves `windowMs` after its first change, however often it changes. It leaves earlier when more
 *      than `maxBytes` are held, or `maxEntries` entries wait for it: so a full queue never waits for us.
 *   4. What is told of a whole table leaves alone, behind everything that is held.
 *   5. Cells are decoded here. When one cannot be, everything held stands in front of it, and leaves first.
 *
 * Rows are told apart by table and key. A table without key, a change of a key, and a row that does not
 * name its key pass at once. When a table has another shape than before, its held rows leave first.
 */
import type { Clock } from "../core/clock.ts";
import type { Change, Entry, Parcel } from "../core/entry.ts";
import { unreadable } from "../core/errors.ts";
import { CellState, hasOnlyAfter, tableId, type Image, type TableShape } from "../core/rows.ts";
import { Wake } from "../core/signal.ts";
import { isKeyChanged } from "../formats/key.ts";
import type { Place } from "../sinks/sink.ts";
import type { Supply } from "./flusher.ts";
import { HeldRow } from "./held-row.ts";
import { OpenEntries } from "./open-entries.ts";

export interface DedupeWindowOptions {
  readonly pending: { take(signal: AbortSignal): Promise<Entry[]> };
  readonly windowMs: number;
  readonly maxBytes: number;
  readonly maxEntries: number;
  /** A parcel is cut at so many rows or bytes, as an entry is. */
  readonly parcelRows: number;
  readonly parcelBytes: number;
  /** Whether a message is to be made of the row; asked before anything is merged. */
  readonly wants: (change: Change, row: number) => boolean;
  /** Nothing of the entry's rows is held any more, but for the copies made here. */
  readonly copied: (seq: number) => void;
  readonly acknowledge: (seq: number, places: readonly Place[]) => void;
  readonly onMerged: () => void;
  readonly clock: Clock;
}

interface Held {
  readonly key: string;
  /** The entry of its first change. */
  readonly firstSeq: number;
  readonly dueMs: number;
  /** What is sent: the row as it is by now, as the last change of it. */
  change: LoneChange;
}

/** A change of one row, with a copy of it. */
interface LoneChange extends Change {
  readonly rows: HeldRow;
}

/** Rows after which the event loop may turn. */
const CHUNK_ROWS = 1_000;
/** What the objects around a row cost, its transaction included. */
const HELD_BYTES = 800;

export class DedupeWindow implements Supply {
  readonly #options: DedupeWindowOptions;
  readonly #open: OpenEntries;
  /** In the order of their first changes, which is that in which they are due. */
  readonly #held = new Map<string, Held>();
  readonly #shapes = new Map<string, TableShape>();
  readonly #changed = new Wake();
  #bytes = 0;
  /** Rows looked at since the event loop turned. */
  #looked = 0;
  #arrived: Entry[] | undefined;
  #isTaking = false;
  #hasEnded = false;
  #fault: Error | undefined;
  /** The parcels that are made, and the one in the making with the first entry of each of its changes. */
  #parcels: Parcel[] = [];
  #changes: Change[] = [];
  #firstSeqs: number[] = [];
  #parcelBytes = 0;
  #nextParcel = 0;
  readonly #onTheirWay = new Map<number, readonly number[]>();

  constructor(options: DedupeWindowOptions) {
    this.#options = options;
    this.#open = new OpenEntries(options.acknowledge);
  }

  /** Rows that are held. */
  get rows(): number {
    return this.#held.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** @throws TidemarkError EVENT_UNREADABLE, when everything in front of the row at fault was taken. */
  async take(signal: AbortSignal): Promise<Parcel[]> {
    for (;;) {
      if (this.#fault !== undefined) throw this.#fault;
      if (this.#hasEnded) return [];
      const entries = await this.#next(signal);
      if (entries?.length === 0) this.#hasEnded = true;
      for (const entry of entries ?? []) {
        this.#admit(entry);
        if (this.#isOver) break;
        await this.#turn(signal);
      }
      this.#letGo(({ dueMs }) => this.#isOver || dueMs <= this.#options.clock.nowMs());
      const parcels = this.#takeParcels();
      if (parcels.length > 0) return parcels;
    }
  }

  /** Every message of a parcel is delivered. */
  readonly delivered = (parcel: number, places: readonly Place[]): void => {
    const firstSeqs = this.#onTheirWay.get(parcel) ?? [];
    this.#onTheirWay.delete(parcel);
    this.#open.delivered(firstSeqs, places);
  };

  get #isOver(): boolean {
    return this.#hasEnded || this.#fault !== undefined;
  }

  get #oldest(): Held | undefined {
    return this.#held.values().next().value;
  }

  /** Resolves with what the channel gives, or with undefined when a row is due before that. */
  async #next(signal: AbortSignal): Promise<Entry[] | undefined> {
    const { pending, clock } = this.#options;
    if (!this.#isTaking && this.#arrived === undefined) {
      this.#isTaking = true;
      void pending.take(signal).then(
        entries => {
          this.#arrived = entries;
          this.#isTaking = false;
          this.#changed.notify();
        },
        () => undefined, // It only fails when the signal aborts, which `until` tells too.
      );
    }
    const oldest = this.#oldest;
    const timer = { over: false };
    const cancel =
      oldest &&
      clock.after(Math.max(0, oldest.dueMs - clock.nowMs()), () => {
        timer.over = true;
        this.#changed.notify();
      });
    try {
      await this.#changed.until(() => timer.over || this.#arrived !== undefined, signal);
    } finally {
      cancel?.();
    }
    const entries = this.#arrived;
    this.#arrived = undefined;
    // The timer itself says that the time is over: it may fire a little before `nowMs` shows it.
    if (timer.over && oldest !== undefined) this.#send(oldest);
    return entries;
  }

  #admit({ seq, changes, schemaChanges, notice }: Entry): void {
    const { maxBytes, maxEntries, copied } = this.#options;
    const told = { ...(schemaChanges && { schemaChanges }), ...(notice && { notice }) };
    if (schemaChanges !== undefined || notice !== undefined) this.#passAlone(told, seq);
    for (const change of changes) {
      try {
        this.#merge(change, seq);
      } catch (thrown) {
        this.#fault = unreadable(change.origin.file, change.origin.position, thrown);
        return; // Never acknowledged.
      }
      this.#looked += change.count;
    }
    copied(seq);
    this.#open.read(seq);
    this.#letGo(({ firstSeq }) => this.#bytes > maxBytes || firstSeq <= seq - maxEntries);
  }

  async #turn(signal: AbortSignal): Promise<void> {
    if (this.#looked < CHUNK_ROWS) return;
    this.#looked = 0;
    await this.#options.clock.turn();
    signal.throwIfAborted();
  }

  #merge(change: Change, seq: number): void {
    const { rows, first, count } = change;
    const { table } = rows;
    const name = tableId(table);
    const known = this.#shapes.get(name);
    if (known !== table) {
      if (known !== undefined) this.#sendTable(known);
      this.#shapes.set(name, table);
    }
    for (let row = first; row < first + count; row += 1) {
      if (this.#options.wants(change, row)) this.#mergeRow(change, row, seq);
    }
  }

  #mergeRow(change: Change, row: number, seq: number): void {
    const { rows } = change;
    const { primaryKey } = rows.table;
    const now = HeldRow.of(rows, row);
    const lone = loneChange(change, row, now);
    if (primaryKey.length === 0) {
      this.#pass(lone, seq);
      return;
    }
    const key = keyOf(now, hasOnlyAfter(now.operation) ? "after" : "before");
    if (key === undefined) {
      this.#sendTable(rows.table);
      this.#pass(lone, seq);
    } else if (now.operation === "update" && isKeyChanged(primaryKey, now, 0)) {
      this.#sendKey(key);
      this.#sendKey(keyOf(now, "after") ?? key);
      this.#pass(lone, seq);
    } else {
      this.#hold(key, lone, seq);
    }
  }

  #hold(key: string, change: LoneChange, seq: number): void {
    const held = this.#held.get(key);
    const merged = held?.change.rows.mergedWith(change.rows);
    if (held !== undefined && merged !== undefined) {
      this.#bytes += merged.bytes - held.change.rows.bytes;
      held.change = { ...change, rows: merged };
      this.#options.onMerged();
      return;
    }
    if (held !== undefined) this.#send(held);
    const { clock, windowMs } = this.#options;
    this.#open.opened(seq);
    this.#held.set(key, { key, firstSeq: seq, dueMs: clock.nowMs() + windowMs, change });
    this.#bytes += change.rows.bytes + HELD_BYTES + 2 * key.length;
  }

  /** The oldest leave as long as they are meant. */
  #letGo(isMeant: (held: Held) => boolean): void {
    for (let held = this.#oldest; held !== undefined && isMeant(held); held = this.#oldest) {
      this.#send(held);
    }
  }

  #sendKey(key: string): void {
    const held = this.#held.get(key);
    if (held !== undefined) this.#send(held);
  }

  #sendTable(table: TableShape): void {
    const name = tableId(table);
    for (const held of this.#held.values()) {
      if (tableId(held.change.rows.table) === name) this.#send(held);
    }
  }

  #send(held: Held): void {
    this.#held.delete(held.key);
    this.#bytes -= held.change.rows.bytes + HELD_BYTES + 2 * held.key.length;
    this.#add(held.change, held.firstSeq);
  }

  #pass(change: Change, seq: number): void {
    this.#open.opened(seq);
    this.#add(change, seq);
  }

  #add(change: Change, firstSeq: number): void {
    this.#changes.push(change);
    this.#firstSeqs.push(firstSeq);
    this.#parcelBytes += change.rows.bytes;
    const { parcelRows, parcelBytes } = this.#options;
    if (this.#changes.length >= parcelRows || this.#parcelBytes >= parcelBytes) this.#cut();
  }

  /** Everything that is held was changed in front of it. */
  #passAlone(told: Pick<Parcel, "schemaChanges" | "notice">, seq: number): void {
    this.#letGo(() => true);
    this.#cut();
    this.#open.opened(seq);
    this.#firstSeqs.push(seq);
    this.#push({ ...told, seq: this.#nextParcel, bytes: 0, changes: [] });
  }

  #cut(): void {
    if (this.#changes.length === 0) return;
    this.#push({ seq: this.#nextParcel, bytes: this.#parcelBytes, changes: this.#changes });
  }

  #push(parcel: Parcel): void {
    this.#nextParcel += 1;
    this.#parcels.push(parcel);
    this.#onTheirWay.set(parcel.seq, this.#firstSeqs);
    this.#changes = [];
    this.#firstSeqs = [];
    this.#parcelBytes = 0;
  }

  #takeParcels(): Parcel[] {
    this.#cut();
    const parcels = this.#parcels;
    this.#parcels = [];
    return parcels;
  }
}

/** The row keeps its number in the event, which formats show. */
function loneChange(change: Change, row: number, copy: HeldRow): LoneChange {
  const { first, count, firstNumber, endsTransaction } = change;
  return {
    ...change,
    rows: copy,
    first: row,
    count: 1,
    firstNumber: firstNumber + row - first,
    endsTransaction: endsTransaction && row === first + count - 1,
  };
}

/** Undefined if the image does not say which row it is of. */
function keyOf(rows: HeldRow, image: Image): string | undefined {
  let key = tableId(rows.table);
  for (const column of rows.table.primaryKey) {
    // With a row image that is not whole, an update that leaves a column alone has it before only.
    const there = rows.state(0, image, column) === CellState.present ? image : "before";
    if (rows.state(0, there, column) !== CellState.present) return undefined;
    const cell = rows.cell(0, there, column);
    key += `\0${cell.length}:${cell.toString("latin1")}`;
  }
  return key;
}
