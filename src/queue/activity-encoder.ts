/**
 * The format `activity`: at most one message for each schema, interval and destination.
 *
 * The first change of an interval gives the message, and the others give none. Which interval was told of
 * last is part of the checkpoint, as a place that is released together with the message's entry:
 *
 *   next_offsets: { "activity:<destination>/<schema>": { 0: start of the interval, in seconds since 1970 } }
 *
 * So a restart repeats what comes behind the checkpoint, message by message, and nothing in front of it.
 * The id of a message is that of the row it was made for: a later interval never has the same.
 */
import type { NextOffsets } from "../core/checkpoint.ts";
import type { Change, Parcel } from "../core/entry.ts";
import { tableId, type Operation, type TableOperation, type TableShape } from "../core/rows.ts";
import { activityKey, activityValue } from "../formats/activity.ts";
import type { Message, Place } from "../sinks/sink.ts";
import type { Router } from "./encoder.ts";

export interface ActivityEncoderOptions {
  readonly router: Router;
  readonly events: ReadonlySet<Operation | TableOperation>;
  readonly intervalS: number;
}

/** What the tables of one schema share that lead to one destination. */
interface Lane {
  readonly name: string;
  readonly destination: string;
  readonly key: Buffer;
}

/** Begins what stands in a checkpoint for us. */
export const ACTIVITY_PREFIX = "activity:";
/** Schemas of which it is known what was told last. Beyond them the one that was silent longest is forgotten. */
const LANES_MAX = 100_000;

export class ActivityEncoder {
  readonly #options: ActivityEncoderOptions;
  readonly #lanes = new WeakMap<TableShape, Lane>();
  /** By lane: the start of the interval that was told of last. */
  readonly #told = new Map<string, number>();
  /** By entry that is not acknowledged yet. */
  readonly #places = new Map<number, Place[]>();

  constructor(options: ActivityEncoderOptions) {
    this.#options = options;
  }

  /** With what the last checkpoint says. */
  resume(offsets: NextOffsets): void {
    for (const [name, { "0": since }] of Object.entries(offsets)) {
      if (name.startsWith(ACTIVITY_PREFIX) && since !== undefined) this.#told.set(name, since);
    }
  }

  encode(entry: Parcel, messages: Message[]): void {
    for (const change of entry.changes) {
      if (!this.#options.events.has(change.rows.operation)) continue;
      const lane = this.#laneOf(change.rows.table);
      const seconds = secondsOf(change);
      const since = seconds - (seconds % this.#options.intervalS);
      if (this.#told.get(lane.name) === since) continue;
      this.#remember(lane.name, since);
      const place = { destination: lane.name, partition: 0, nextOffset: since };
      this.#places.set(entry.seq, [...(this.#places.get(entry.seq) ?? []), place]);
      messages.push(messageOf(change, lane, { seq: entry.seq, index: messages.length, seconds }));
    }
  }

  /** Those of the sink, and what the entry's messages told: to be called when it is acknowledged. */
  placesOf(seq: number, ofSink: readonly Place[]): readonly Place[] {
    const own = this.#places.get(seq);
    if (own === undefined) return ofSink;
    this.#places.delete(seq);
    return [...ofSink, ...own];
  }

  #remember(lane: string, since: number): void {
    this.#told.delete(lane); // So that it goes to the end.
    this.#told.set(lane, since);
    if (this.#told.size <= LANES_MAX) return;
    const [oldest] = this.#told.keys();
    if (oldest !== undefined) this.#told.delete(oldest);
  }

  #laneOf(table: TableShape): Lane {
    let lane = this.#lanes.get(table);
    if (lane === undefined) {
      const { database } = table;
      const destination = this.#options.router(database, table.name);
      const name = `${ACTIVITY_PREFIX}${destination}/${database}`;
      lane = { name, destination, key: activityKey(database) };
      this.#lanes.set(table, lane);
    }
    return lane;
  }
}

/**
 * When it was committed, where the server says so: of a long transaction, rows are logged with the times of
 * its statements, between those of transactions that began after it.
 */
function secondsOf({ transaction, origin }: Change): number {
  const { committedAtUs } = transaction;
  return committedAtUs === undefined ? origin.timestampS : Math.floor(committedAtUs / 1_000_000);
}

function messageOf(
  { transaction, origin, rows, firstNumber }: Change,
  { destination, key }: Lane,
  { seq, index, seconds }: { seq: number; index: number; seconds: number },
): Message {
  const table = tableId(rows.table);
  const value = activityValue(rows.table.database, seconds);
  return {
    ...{ seq, index, destination, table, key, value },
    id: `${transaction.id}:${table}:${firstNumber}`,
    operation: rows.operation,
    partitionKey: key,
    bytes: key.length + value.length,
    transaction: transaction.id,
    position: `${origin.file}:${origin.position}`,
    keyed: rows.table.primaryKey.length > 0,
  };
}
