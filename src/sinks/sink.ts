/**
 * What every destination implements.
 *
 * A sink promises: it calls `delivered(message)` exactly once for each message that the destination has
 * durably accepted, and never for one that it has not. Messages of one lane (a partition, a queue, a
 * file) arrive there in the order in which they were given. The order of `delivered` calls between lanes
 * does not matter; the watcher sorts that out. What is down is waited for inside the sink, for ever. A
 * sink that cannot keep its promise calls `failed`, once, and takes no further action.
 *
 * test/contract/sink.ts holds the tests that every sink passes.
 */
import type { NextOffsets } from "../core/checkpoint.ts";
import type { TidemarkError } from "../core/errors.ts";
import type { Operation, TableOperation } from "../core/rows.ts";

export interface Message {
  /** The entry it comes from. */
  readonly seq: number;
  /** Its number among the messages of that entry. */
  readonly index: number;
  /** The same change always has the same id, over restarts and servers (docs/guarantees.md). */
  readonly id: string;
  /** Topic, queue or route, made from the template. */
  readonly destination: string;
  /** `database.table` of the row. */
  readonly table: string;
  /** What happened to the row, or to the table; both halves of a key change are of an update. `schema`: a statement. */
  readonly operation: Operation | TableOperation | "schema";
  /** Bytes that decide the partition: the key, or the table's name where there is none. */
  readonly partitionKey: Buffer;
  readonly key: Buffer | null;
  /** `null` is a tombstone. */
  readonly value: Buffer | null;
  /** Bytes of key and value together. */
  readonly bytes: number;
  /** The value in bytes that it shares with its neighbours, if it does. A line feed follows it there. */
  readonly line?: Line | undefined;
  /** Copies its bytes out of those it shares: for a message that waits long, and would keep its neighbours'. */
  detach?(): void;
  readonly transaction: string;
  /** `file:offset` of the event. */
  readonly position: string;
  /** False for a table without primary key: its rows may stand in another order on another server. */
  readonly keyed: boolean;
  /**
   * Set if it is about the whole table: where a destination has partitions, each gets the message that this makes for
   * it, and it is delivered when all of them are. Elsewhere it is sent once, as it is.
   */
  forPartition?(partition: number): Message;
}

/** Bytes `start` to before `end` of `data`. */
export interface Line {
  readonly data: Buffer;
  readonly start: number;
  readonly end: number;
}

/** Where a delivered message stands: `nextOffset` is the offset after it. */
export interface Place {
  readonly destination: string;
  readonly partition: number;
  readonly nextOffset: number;
}

export interface SinkEvents {
  /**
   * Each message once, when it is durable at the destination. `place` only where lanes have offsets, and `others`
   * only of a message that went to several partitions.
   */
  delivered(message: Message, place?: Place, others?: readonly Place[]): void;
  /**
   * The destination refuses this message for good, after so many attempts. Resolves when the message is
   * safe in the dead-letter target: the sink then goes on with the lane, without calling `delivered`.
   * Without such a target the pipeline ends with `error`, and this never resolves.
   */
  refused(message: Message, error: TidemarkError, attempts: number): Promise<void>;
  /** The sink is done for; the pipeline ends with this error. */
  failed(error: TidemarkError): void;
  /**
   * Writes the base offsets of partitions used for the first time to the commit log, and resolves when
   * that is durable. A sink waits for it before the first message of such a partition.
   */
  claim(offsets: NextOffsets): Promise<void>;
}

/** What a sink has to know of the run before, to find what arrived after the last checkpoint. */
export interface SinkResume {
  /** Undefined when there is no checkpoint: then the destination must not hold messages of ours. */
  readonly nextOffsets: NextOffsets | undefined;
  /** Destinations that the captured tables lead to as far as they are known now. */
  readonly destinations: readonly string[];
  /** Where rows of an unfinished snapshot may begin that are not released; undefined if there are none. */
  readonly snapshotTails?: NextOffsets | undefined;
  /** False if the source is another server than the checkpoint's. */
  readonly sameServer: boolean;
  /**
   * Told, where the destination can tell it, which transactions have messages behind the checkpoint, before
   * anything is sent: on another server than the checkpoint's it has to be found out whether that has them.
   */
  readonly arrived?: ((transactions: ReadonlySet<string>) => Promise<void>) | undefined;
  /** Another stretch of the stream begins: nothing that stands behind the checkpoint comes again. */
  readonly startsAnew?: boolean;
  /** False if tables, events, columns, format or routing changed since the checkpoint. */
  readonly sameOutput: boolean;
}

export interface Sink {
  readonly name: string;

  /**
   * Connects, makes what is missing, and fixes the end of each tail. Waits for a destination that is down.
   *
   * @returns offsets to start from in partitions that the checkpoint does not know.
   * @throws TidemarkError on what waiting cannot mend, or the signal's reason.
   */
  open(resume: SinkResume, events: SinkEvents, signal: AbortSignal): Promise<NextOffsets>;

  /** Takes messages, in binlog order. Returns at once; the caller awaits `room` before it brings more. */
  write(messages: readonly Message[]): void;

  /** Resolves when the sink's backlog is below its bound. */
  room(signal: AbortSignal): Promise<void>;

  /** The partition that a message goes to, where there are any and it is known: for saying what is waited for. */
  partitionOf?(message: Message): number | undefined;

  /** Releases what was acquired, within a few seconds. No `delivered` comes after it was called. */
  close(): Promise<void>;
}
