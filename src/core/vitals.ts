/**
 * What a pipeline does, as plain numbers: stages add to them as entries pass, and nothing else happens
 * until somebody looks. One object a pipeline; it outlives the pipeline's restarts, so counts only rise.
 *
 *   stages ──add──▶ flows, tables, troubles ─┐
 *   stages ◀─────────────ask──────── gauges ─┴─▶ src/metrics
 */
import type { Clock } from "./clock.ts";
import type { Change, Entry } from "./entry.ts";
import { tableId, type Operation, type TableShape } from "./rows.ts";
import { Troubles } from "./troubles.ts";

/** What passed one stage. */
export interface Flow {
  entries: number;
  /** Rows of tables, or messages made of them, by the stage. */
  items: number;
  /** Bytes of row data, or of keys and values of messages. */
  bytes: number;
}

/**
 *   starting    opens what it needs; nothing is read yet
 *   running     reads
 *   restarting  between a failure that passes and the next start
 *   stopping    was asked to stop, and delivers what was read
 *   ended       will not go on without a person
 */
export type Phase = "starting" | "running" | "restarting" | "stopping" | "ended";

/** The connection to MySQL. */
export interface SourceGauges {
  readonly connected: boolean;
  /** Why it is not connected, or reads nothing although it is; as far as that is known. */
  readonly reason: string | undefined;
  /** Bytes that came over the present connection. */
  readonly bytesRead: number;
  /** True while nobody asks for events, so that none may come. */
  readonly paused: boolean;
  /** Raised with every batch of events, every loss and every attempt to connect. */
  readonly turns: number;
}

/** What only the running stages can tell. */
export interface Gauges {
  readonly source: SourceGauges;
  /** Entries that were read and are not released. */
  readonly waiting: Flow;
  readonly waitingMax: { readonly entries: number; readonly bytes: number };
  /** The oldest of them. */
  readonly oldest: ReadEntry | undefined;
  /** The entry that was read last, also when it is released. */
  readonly newest: ReadEntry | undefined;
  /** Reading waits until the queue has room. */
  readonly full: boolean;
  readonly lastReleaseMs: number | undefined;
  /** Where the oldest message that is not delivered goes. */
  readonly blocker:
    { readonly destination: string; readonly partition: number | undefined } | undefined;
  readonly sink: string;
  /** Since when the commit log lacks something that was released. */
  readonly uncommittedSinceMs: number | undefined;
  readonly released: ReleasedPosition | undefined;
  readonly flushIntervalMs: number;
  /** What the de-duplication window holds, and for how long at most; 0 if there is none. */
  readonly held: { readonly rows: number; readonly bytes: number };
  readonly windowMs: number;
}

export interface ReadEntry {
  readonly readMs: number;
  readonly rows: number;
  readonly mark: { readonly eventTimeS: number };
}

export interface ReleasedPosition {
  readonly file: string;
  readonly fileCreated: number;
  readonly position: number;
  /** Seconds since 1970 of the newest event released; 0 if there is none. */
  readonly eventTimeS: number;
}

/** What the server said about its binlog, the last time it was asked. */
export interface BinlogNews {
  readonly askedMs: number;
  /** All files, oldest first, with their sizes. */
  readonly files: readonly { readonly name: string; readonly bytes: number }[];
  /** After how many seconds the server removes a file by itself; Infinity if it never does. */
  readonly expireS: number;
}

/** From the first table that was asked for until all are copied. */
export interface CopyVitals {
  tables: number;
  tablesLeft: number;
  rows: number;
  /** As the server estimates; undefined until it has told. */
  estimatedRows: number | undefined;
}

const flow = (): Flow => ({ entries: 0, items: 0, bytes: 0 });

export class Vitals {
  readonly pipeline: string;
  readonly clock: Clock;
  readonly read = flow();
  readonly encoded = flow();
  readonly delivered = flow();
  readonly released = flow();
  readonly tables: TableRows;
  readonly sourceTroubles: Troubles;
  readonly sinkTroubles: Troubles;
  readonly commitLogTroubles: Troubles;
  reconnects = 0;
  restarts = 0;
  refused = 0;
  /** Rows that the filter held back. */
  filtered = 0;
  /** Changes that were merged into a later one of the same row. */
  merged = 0;
  /** The copy of existing rows that is under way, or was last; undefined where none was ever asked for. */
  copy: CopyVitals | undefined;
  /** Existing rows that were handed out. */
  copiedRows = 0;
  /** Somebody draws how far it is, so that it need not be logged every few seconds. */
  isCopyDrawn = false;
  checkpoints = 0;
  phase: Phase = "starting";
  phaseSinceMs: number;
  /** What a start waits for, or why the pipeline ended. */
  detail = "";
  commitLogAnsweredMs: number | undefined;
  binlog: BinlogNews | undefined;
  /** Undefined while no stages run. */
  gauges: (() => Gauges) | undefined;

  constructor(pipeline: string, clock: Clock, labels: LabelBudget) {
    this.pipeline = pipeline;
    this.clock = clock;
    this.tables = new TableRows(labels);
    this.sourceTroubles = new Troubles(clock);
    this.sinkTroubles = new Troubles(clock);
    this.commitLogTroubles = new Troubles(clock);
    this.phaseSinceMs = clock.nowMs();
  }

  /** @returns how many rows the entry has. */
  countRead(entry: Entry): number {
    const rows = this.tables.add(entry.changes);
    this.read.entries += 1;
    this.read.items += rows;
    this.read.bytes += entry.bytes;
    return rows;
  }

  enter(phase: Phase, detail = ""): void {
    this.phase = phase;
    this.detail = detail;
    this.phaseSinceMs = this.clock.nowMs();
    if (phase === "running" || phase === "stopping") return;
    this.gauges = undefined;
    this.binlog = undefined;
    this.commitLogAnsweredMs = undefined;
  }
}

/** How many tables may still get a number of their own, in the whole process. */
export interface LabelBudget {
  left: number;
}

export type RowCounts = Record<Operation, number>;

/** Under this name all tables are counted for which no label was left; no table can have it. */
export const OTHER_TABLES = "_other";

/** Rows read, by table and operation. */
export class TableRows {
  readonly #labels: LabelBudget;
  readonly #byName = new Map<string, RowCounts>();
  readonly #byShape = new WeakMap<TableShape, RowCounts>();
  #lastShape: TableShape | undefined;
  #lastCounts: RowCounts = { insert: 0, update: 0, delete: 0, read: 0 };

  constructor(labels: LabelBudget) {
    this.#labels = labels;
  }

  /** @returns how many rows there were. */
  add(changes: readonly Change[]): number {
    let rows = 0;
    for (const change of changes) {
      const { table, operation } = change.rows;
      if (table !== this.#lastShape) this.#lookUp(table);
      this.#lastCounts[operation] += change.count;
      rows += change.count;
    }
    return rows;
  }

  #lookUp(shape: TableShape): void {
    let counts = this.#byShape.get(shape);
    if (counts === undefined) {
      counts = this.#named(tableId(shape));
      this.#byShape.set(shape, counts);
    }
    this.#lastShape = shape;
    this.#lastCounts = counts;
  }

  #named(name: string): RowCounts {
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    if (name !== OTHER_TABLES && this.#labels.left <= 0) return this.#named(OTHER_TABLES);
    if (name !== OTHER_TABLES) this.#labels.left -= 1;
    const counts: RowCounts = { insert: 0, update: 0, delete: 0, read: 0 };
    this.#byName.set(name, counts);
    return counts;
  }

  counts(): ReadonlyMap<string, Readonly<RowCounts>> {
    return this.#byName;
  }
}
