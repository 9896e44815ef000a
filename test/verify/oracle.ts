/**
 * Judges what arrived against what was written. Imports nothing of the program under test.
 *
 *   plain consumer ──observe(delivery)──▶ oracle ◀── journal (what was committed), SELECT (what is there)
 *
 *   lost           a committed change, or the tombstone after a delete, that never arrived
 *   duplicated     the same message twice: the same id, or the same change of the same row
 *   out_of_order   a first delivery behind a later change of its row, or behind a later position of the
 *                  binlog in its partition; a tombstone on a row that lives again
 *   phantom        a message of something that was never committed: rolled back, never written, or a
 *                  row image that is not the one written with that version
 *   stale          a row whose last message is not what SELECT says, although nothing of it is missing
 *   repeated       where delivery is at-least-once: the same message again, with the same content, of what
 *                  the commit log had not released at the last kill; no fault
 *   commit_ahead   a change that the commit log counts as released and that is not in the topics
 *
 * It keeps a few bytes for each change and 8 bytes for each message, so that millions fit.
 */
import { GtidRanges } from "./gtids.ts";
import { GrowingArray } from "./grow.ts";
import { HashSet } from "./hash-set.ts";
import type { CommittedTransaction, Journal } from "./journal.ts";

/** One message, as a plain consumer sees it. */
export interface Delivery {
  /** Topic and partition, or file. */
  readonly lane: string;
  /** The header `id`; undefined where messages carry none (a file). */
  readonly id: string | undefined;
  /** The transaction that the message names. */
  readonly transaction: string | undefined;
  /** Binlog file number and offset of the event, where known. */
  readonly position: readonly [number, number] | undefined;
  /** Index of the table in the journal; -1 if it is none of ours. */
  readonly table: number;
  readonly slot: number;
  readonly kind: "create" | "update" | "delete" | "tombstone";
  /** Of the row's `version` column; a tombstone has none: 0. */
  readonly version: number;
  /** False if the image is not what the writer put in with this version. */
  readonly sound: boolean;
  /** Stands for all of the message but the time at which it was made, where repeats are allowed. */
  readonly content?: string;
}

/** The checkpoint as it stands in the commit log. */
export interface CommitRecord {
  readonly generation: number;
  readonly sequence: number;
  readonly gtid_set: string;
  readonly transaction: {
    readonly id: string;
    readonly tables: Readonly<Record<string, { readonly rows: number }>>;
  } | null;
  readonly next_offsets: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

export interface OracleOptions {
  readonly journal: Journal;
  /** False where deletes are not followed by tombstones (a file). */
  readonly tombstones: boolean;
  /** Where older values of a row may be gone: its last message counts, and repeats are no faults. */
  readonly compacted: boolean;
  /** False where messages carry no ids (a file). */
  readonly ids: boolean;
  /** Whether what is not released may come again, each row from there on in its order. */
  readonly repeats?: boolean;
  /** False where the destination promises no order. */
  readonly ordered?: boolean;
  /**
   * The source comes to be another server: a position of one means nothing on the other, which may also
   * number the rows of a table without key in another order. So these may come again, and are counted as `repeated`.
   */
  readonly moves?: boolean;
  /** The database, as `transaction.tables` of a checkpoint names tables `database.table`. */
  readonly database: string;
}

export interface Verdict {
  readonly written: number;
  readonly delivered: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly out_of_order: number;
  readonly phantom: number;
  readonly stale: number;
  readonly commit_ahead: number;
  readonly repeated?: number;
}

const UPSERT = 1;
const DELETE = 2;
const TOMBSTONE = 4;

interface Lane {
  file: number;
  offset: number;
}

/** Rows seen, by table, of a transaction that the commit log does not yet count as complete. */
type OpenRows = Map<string, { messages: number; readonly numbers: GrowingArray }>;

const EXAMPLES_MAX = 12;

export class Oracle {
  readonly #options: OracleOptions;
  readonly #seen = new GrowingArray("bytes");
  readonly #ids = new HashSet();
  readonly #lanes = new Map<string, Lane>();
  /** By table and slot: the highest stamp of a first delivery. */
  readonly #highest: GrowingArray[] = [];
  /** By table and slot: the stamp of the last delivery, repeats included. */
  readonly #mirror: GrowingArray[] = [];
  /** Rows seen by transaction, until the commit log covers it. */
  readonly #open = new Map<string, OpenRows>();
  /** Transactions of the journal before this one were found whole in the topics. */
  readonly #checked = new Set<number>();
  #checkedBelow = 0;
  #delivered = 0;
  #deliveredChanges = 0;
  readonly #deliveredByTable: number[] = [];
  #duplicated = 0;
  #outOfOrder = 0;
  #phantom = 0;
  #commitAhead = 0;
  #repeated = 0;
  /** By id, where repeats are allowed. */
  readonly #contents = new Map<string, string>();
  /** Whether a message is released by the checkpoint that was last compared. */
  #isReleased: (delivery: Delivery) => boolean = () => false;
  /** A few faults in words, for the log. */
  readonly examples: string[] = [];

  constructor(options: OracleOptions) {
    this.#options = options;
  }

  /** Messages that were no repeats. */
  get delivered(): number {
    return this.#delivered;
  }

  /** Of these, row changes: all but tombstones. */
  get deliveredChanges(): number {
    return this.#deliveredChanges;
  }

  /** Row changes of one table of the journal. */
  deliveredOf(table: number): number {
    return this.#deliveredByTable[table] ?? 0;
  }

  observe(delivery: Delivery): void {
    const { table, slot, kind, version } = delivery;
    if (table < 0 || !Number.isSafeInteger(slot) || slot < 0) {
      this.#fault("phantom", delivery);
      return;
    }
    this.#noteRow(delivery);
    const repeatedId = delivery.id !== undefined && !this.#ids.add(delivery.id);
    if (repeatedId && this.#isRepeat(delivery)) return;
    if (kind === "tombstone") {
      this.#observeTombstone(delivery, repeatedId);
      return;
    }
    if (!this.#isWritten(delivery)) {
      this.#fault("phantom", delivery);
      return;
    }
    const bit = kind === "delete" ? DELETE : UPSERT;
    const repeated = (this.#seen.mark(version, bit) & bit) !== 0;
    const stamp = version * 2 + (kind === "delete" ? 1 : 0);
    if (this.#mayRepeat(table) && repeated) this.#repeated += 1;
    else if (repeated || (repeatedId && !this.#mayRepeat(table))) {
      this.#fault("duplicated", delivery);
    } else this.#observeFirst(delivery, stamp);
    this.#numbers(this.#mirror, table).set(slot, stamp);
  }

  /** A repeat that is no fault: its row goes on from there. */
  #isRepeat(delivery: Delivery): boolean {
    const { id = "", table, slot, kind, version, content } = delivery;
    if (this.#options.repeats !== true || this.#isReleased(delivery)) return false;
    if (this.#contents.get(id) !== content) return false;
    this.#repeated += 1;
    const stamp = version * 2 + (kind === "delete" ? 1 : 0);
    this.#numbers(this.#mirror, table).set(slot, stamp);
    return true;
  }

  /** A first delivery must be later than all before it, in its row and in its partition. */
  #observeFirst(delivery: Delivery, stamp: number): void {
    this.#delivered += 1;
    this.#deliveredChanges += 1;
    this.#deliveredByTable[delivery.table] = this.deliveredOf(delivery.table) + 1;
    const { id, content, slot } = delivery;
    if (id !== undefined && content !== undefined) this.#contents.set(id, content);
    if (this.#options.ordered === false) return;
    const highest = this.#numbers(this.#highest, delivery.table);
    // A row that was repeated has to come back to where it was before anything new.
    const before = this.#numbers(this.#mirror, delivery.table).get(slot);
    const isBehind = this.#options.repeats === true && before < highest.get(slot);
    const lateInRow = highest.get(slot) >= stamp || isBehind;
    if (highest.get(slot) < stamp) highest.set(slot, stamp);
    if (this.#isLateInLane(delivery) || lateInRow) this.#fault("out_of_order", delivery);
  }

  /** Its rows are told by their versions alone. */
  #mayRepeat(table: number): boolean {
    return this.#options.moves === true && this.#options.journal.tables[table]?.keyed === false;
  }

  #isLateInLane({ lane, position }: Delivery): boolean {
    if (!position || this.#options.moves === true) return false;
    const [file, offset] = position;
    const last = this.#lanes.get(lane);
    if (!last) {
      this.#lanes.set(lane, { file, offset });
      return false;
    }
    if (file < last.file || (file === last.file && offset < last.offset)) return true;
    last.file = file;
    last.offset = offset;
    return false;
  }

  #observeTombstone(delivery: Delivery, repeatedId: boolean): void {
    if (this.#options.compacted) {
      // The delete before it may be gone.
      this.#numbers(this.#mirror, delivery.table).set(delivery.slot, 0);
      return;
    }
    const mirror = this.#numbers(this.#mirror, delivery.table).get(delivery.slot);
    const version = mirror >>> 1;
    if (repeatedId) {
      this.#fault("duplicated", delivery);
      return;
    }
    if ((mirror & 1) === 0) {
      // Nothing was deleted here, or the row lives again and this would take it away once more.
      this.#fault(mirror === 0 ? "phantom" : "out_of_order", delivery);
      if (mirror === 0) return;
    } else if ((this.#seen.mark(version, TOMBSTONE) & TOMBSTONE) !== 0) {
      this.#fault("duplicated", delivery);
      return;
    }
    this.#delivered += 1;
  }

  #isWritten({ table, slot, kind, version, sound }: Delivery): boolean {
    const { journal } = this.#options;
    if (!sound || !Number.isSafeInteger(version) || version <= 0) return false;
    if (!journal.isPlanned(version)) return false;
    if (journal.table(version) !== journal.tables[table] || journal.slot(version) !== slot) {
      return false;
    }
    return kind === "delete" || journal.isCreate(version) === (kind === "create");
  }

  /** Remembers row numbers by transaction: `<transaction>:<database.table>:<number>`, with a suffix or none. */
  #noteRow({ id, transaction, table }: Delivery): void {
    if (transaction === undefined) return;
    let tables = this.#open.get(transaction);
    if (!tables) {
      tables = new Map();
      this.#open.set(transaction, tables);
    }
    const name = `${this.#options.database}.${this.#options.journal.tables[table]?.name ?? ""}`;
    let rows = tables.get(name);
    if (!rows) {
      rows = { messages: 0, numbers: new GrowingArray("bytes") };
      tables.set(name, rows);
    }
    rows.messages += 1;
    if (id === undefined) return;
    const number = rowNumber(id);
    if (number >= 0) rows.numbers.set(number, 1);
  }

  /**
   * Compares the commit log with what has been observed. To be called when everything that stood in the
   * topics after the record was read has been observed.
   *
   * @param records one of each pipeline: what all of them have released is released.
   * @param end the end offset of a partition, 0 if there is none.
   * @param count of transactions in the journal that are asked for.
   * @returns how many changes of these the records do not cover: what was in flight.
   */
  checkCommit(
    records: readonly (CommitRecord | undefined)[],
    end: (topic: string, partition: string) => number,
    count: number,
  ): number {
    const { journal } = this.#options;
    const known = records.filter(record => record !== undefined);
    if (known.length < records.length) return journal.transactions[count - 1]?.end ?? 0;
    const sets = known.map(record => new GtidRanges(record.gtid_set));
    const isReleased = (gtid: string): boolean => sets.every(released => released.has(gtid));
    this.#isReleased = delivery => this.#isCovered(delivery, known, isReleased);
    let unreleased = 0;
    const { transactions } = journal;
    for (let i = this.#checkedBelow; i < transactions.length; i += 1) {
      const transaction = transactions[i];
      if (!transaction || this.#checked.has(i)) continue;
      if (transaction.gtid === undefined || isReleased(transaction.gtid)) {
        if (transaction.gtid !== undefined && !this.#options.compacted) {
          const missing = this.#missingOf(i);
          if (missing > 0) this.#ahead(missing, `transaction ${transaction.gtid}`);
          this.#open.delete(transaction.gtid);
        }
        this.#checked.add(i);
      } else if (i < count) {
        unreleased += transaction.end - transaction.first;
      }
    }
    while (this.#checked.delete(this.#checkedBelow)) this.#checkedBelow += 1;
    for (const record of known) this.#checkRecord(record, end);
    return unreleased;
  }

  #isCovered(
    { id = "", transaction, table }: Delivery,
    records: readonly CommitRecord[],
    isReleased: (gtid: string) => boolean,
  ): boolean {
    if (transaction === undefined || isReleased(transaction)) return true;
    const name = `${this.#options.database}.${this.#options.journal.tables[table]?.name ?? ""}`;
    return records.some(({ transaction: open }) => {
      const rows = open?.id === transaction ? (open.tables[name]?.rows ?? 0) : 0;
      return rowNumber(id) < rows;
    });
  }

  #checkRecord(record: CommitRecord, end: (topic: string, partition: string) => number): void {
    if (!this.#options.compacted) this.#checkOpenTransaction(record);
    for (const [topic, partitions] of Object.entries(record.next_offsets)) {
      for (const [partition, offset] of Object.entries(partitions)) {
        const missing = offset - end(topic, partition);
        if (missing > 0) this.#ahead(missing, `next offset ${offset} of ${topic}/${partition}`);
      }
    }
  }

  #missingOf(index: number): number {
    const { journal } = this.#options;
    const transaction = journal.transactions[index];
    let missing = 0;
    if (!transaction) return missing;
    for (const [version, isDelete] of journal.changes(transaction)) {
      if ((this.#seen.get(version) & (isDelete ? DELETE : UPSERT)) === 0) missing += 1;
    }
    return missing;
  }

  #checkOpenTransaction({ transaction }: CommitRecord): void {
    if (!transaction) return;
    const seen = this.#open.get(transaction.id);
    for (const [table, { rows }] of Object.entries(transaction.tables)) {
      const found = seen?.get(table);
      let missing = 0;
      if (this.#options.ids) {
        for (let number = 0; number < rows; number += 1) {
          if (found?.numbers.get(number) !== 1) missing += 1;
        }
      } else {
        // Lines without ids stand in order, so that counting them is enough.
        missing = Math.max(0, rows - (found?.messages ?? 0));
      }
      if (missing > 0) this.#ahead(missing, `${rows} rows of ${table} in ${transaction.id}`);
    }
  }

  #ahead(count: number, what: string): void {
    this.#commitAhead += count;
    this.#example(`commit_ahead: ${what} is released, but ${count} of it are not there`);
  }

  /**
   * Takes the changes of a transaction for delivered that is gone from the binlog. To be called when all that ever
   * arrived of it has been observed.
   */
  forgive(transaction: CommittedTransaction): void {
    const { journal } = this.#options;
    for (const [version, isDelete] of journal.changes(transaction)) {
      this.#seen.mark(version, isDelete ? DELETE | TOMBSTONE : UPSERT);
      const table = journal.tableNumber(version);
      const slot = journal.slot(version);
      const stamp = version * 2 + (isDelete ? 1 : 0);
      for (const arrays of [this.#mirror, this.#highest]) {
        const known = this.#numbers(arrays, table);
        if (known.get(slot) < stamp) known.set(slot, stamp);
      }
    }
  }

  /** Forgets what the last message of each row was, before the log is read again from its beginning. */
  forgetRows(): void {
    this.#mirror.length = 0;
  }

  /** Messages of committed changes that have not arrived. */
  get missing(): number {
    return this.#eachMissing(() => undefined);
  }

  #eachMissing(visit: (version: number, what: string) => void): number {
    const { journal, tombstones } = this.#options;
    let missing = 0;
    for (let version = 0; version < journal.versionsEnd; version += 1) {
      const seen = this.#seen.get(version);
      const miss = (what: string): void => {
        missing += 1;
        visit(version, what);
      };
      if (journal.isCommitted(version) && (seen & UPSERT) === 0) miss("row");
      if (journal.isDeleted(version)) {
        if ((seen & DELETE) === 0) miss("delete");
        if (tombstones && journal.table(version)?.keyed === true && (seen & TOMBSTONE) === 0) {
          miss("tombstone");
        }
      }
    }
    return missing;
  }

  /**
   * The figures. `rows` is what SELECT says now: by table of the journal, slot → version.
   * In a compacted topic `lost` counts the rows whose last message is wrong.
   */
  verdict(rows: readonly ReadonlyMap<number, number>[]): Verdict {
    const { journal, compacted } = this.#options;
    this.#assertJournal(rows);
    let phantom = this.#phantom;
    for (let version = 0; version < journal.versionsEnd; version += 1) {
      const seen = this.#seen.get(version);
      if ((seen & UPSERT) !== 0 && !journal.isCommitted(version)) phantom += 1;
      if ((seen & DELETE) !== 0 && !journal.isDeleted(version)) phantom += 1;
    }
    let lost = 0;
    if (!compacted) {
      lost = this.#eachMissing((version, what) => {
        const table = journal.table(version)?.name ?? "?";
        this.#example(
          `lost: ${what} of version ${version}, ${table} slot ${journal.slot(version)}`,
        );
      });
    }
    const stale = this.#options.ordered === false ? 0 : this.#wrongRows(rows);
    return {
      written: journal.written,
      delivered: this.#delivered,
      lost: compacted ? stale : lost,
      duplicated: this.#duplicated,
      out_of_order: this.#outOfOrder,
      phantom,
      stale: lost > 0 || compacted ? 0 : stale,
      commit_ahead: this.#commitAhead,
      ...(this.#options.repeats === true || this.#options.moves === true
        ? { repeated: this.#repeated }
        : {}),
    };
  }

  /** What can be said of a run that breaks down: nothing about what is lost. */
  soFar(): Readonly<Record<string, number>> {
    return {
      written: this.#options.journal.written,
      delivered: this.#delivered,
      duplicated: this.#duplicated,
      out_of_order: this.#outOfOrder,
      phantom: this.#phantom,
      commit_ahead: this.#commitAhead,
    };
  }

  /** The journal is the oracle's other witness: where it and SELECT differ, neither can be believed. */
  #assertJournal(tables: readonly ReadonlyMap<number, number>[]): void {
    const { journal } = this.#options;
    const latest = journal.tables.map(() => new GrowingArray("numbers"));
    // Versions of a row ascend, so the last one written stays.
    for (let version = 0; version < journal.versionsEnd; version += 1) {
      if (!journal.isCommitted(version)) continue;
      latest[journal.tableNumber(version)]?.set(journal.slot(version), version);
    }
    tables.forEach((rows, table) => {
      const name = journal.tables[table]?.name ?? "?";
      const versions = latest[table];
      if (!versions) throw new Error(`The journal does not know ${name}.`);
      for (let slot = 0; slot < versions.length; slot += 1) {
        const version = versions.get(slot);
        const expected = version === 0 || journal.isDeleted(version) ? undefined : version;
        const found = rows.get(slot);
        if (found === expected) continue;
        throw new Error(
          `The journal and SELECT differ in ${name}, slot ${slot}: ` +
            `${expected ?? "no row"} was written, ${found ?? "no row"} is there.`,
        );
      }
      for (const slot of rows.keys()) {
        if (slot >= versions.length)
          throw new Error(`${name}: no row was written to slot ${slot}.`);
      }
    });
  }

  /** Rows whose last message is not what stands in the table. */
  #wrongRows(tables: readonly ReadonlyMap<number, number>[]): number {
    let wrong = 0;
    tables.forEach((rows, table) => {
      const mirror = this.#numbers(this.#mirror, table);
      const note = (slot: number, text: string): void => {
        wrong += 1;
        this.#example(
          `stale: ${this.#options.journal.tables[table]?.name ?? "?"} slot ${slot}: ${text}`,
        );
      };
      for (const [slot, version] of rows) {
        if (mirror.get(slot) !== version * 2) {
          note(slot, `the last message is ${stampText(mirror.get(slot))}, the row ${version}`);
        }
      }
      for (let slot = 0; slot < mirror.length; slot += 1) {
        const stamp = mirror.get(slot);
        if (stamp !== 0 && (stamp & 1) === 0 && !rows.has(slot)) {
          note(slot, `the last message is ${stampText(stamp)}, the row is deleted`);
        }
      }
    });
    return wrong;
  }

  #numbers(arrays: GrowingArray[], table: number): GrowingArray {
    return (arrays[table] ??= new GrowingArray("numbers"));
  }

  #fault(fault: "phantom" | "duplicated" | "out_of_order", delivery: Delivery): void {
    if (fault === "phantom") this.#phantom += 1;
    else if (fault === "duplicated") this.#duplicated += 1;
    else this.#outOfOrder += 1;
    this.#example(`${fault}: ${JSON.stringify(delivery)}`);
  }

  #example(text: string): void {
    if (this.examples.length < EXAMPLES_MAX) this.examples.push(text);
  }
}

function stampText(stamp: number): string {
  if (stamp === 0) return "none";
  return (stamp & 1) === 1 ? `the delete of ${stamp >>> 1}` : String(stamp >>> 1);
}

/** The number of the row in a message id; -1 if there is none. */
function rowNumber(id: string): number {
  const match = /:(\d+)(?::[tdc])?$/.exec(id);
  return match ? Number(match[1]) : -1;
}
