/** What a copier asks of a server. */
import { TidemarkError } from "../core/errors.ts";
import type { Rows, TableShape } from "../core/rows.ts";
import type { SnapshotKey } from "../core/snapshot-state.ts";

export interface Batch {
  readonly rows: Rows;
  /** Of the last row. */
  readonly key: SnapshotKey;
}

export interface Chunk {
  readonly shape: TableShape;
  /** In the order of the key. */
  readonly batches: readonly Batch[];
  /** The range holds no row behind these. */
  readonly isLast: boolean;
  /** Where it ends, if rows behind the last of these were looked at and are not wanted. */
  readonly end?: SnapshotKey | undefined;
}

export interface ChunkRequest {
  /** As `tableId` names it. */
  readonly table: string;
  readonly after: SnapshotKey | null;
  /** The last row that belongs to the range. */
  readonly until: SnapshotKey | null;
  readonly limit: number;
}

/** The keys that a request names are of other columns than the primary key has now. */
export class KeyChanged extends Error {
  override readonly name = "KeyChanged";
}

/** It cannot be read in the order of a key. */
export class KeyMissing extends TidemarkError {
  constructor(table: string) {
    super(
      "CONFIG_INVALID",
      `The existing rows of ${table} cannot be copied: it has no primary key of whole columns. Give it one, ` +
        `or leave it out: add "!${table}" to source.snapshot.tables, or set source.snapshot.no_key: lock.`,
    );
  }
}

/** A place in the binlog of one server. */
export interface LockPlace {
  readonly serverUuid: string;
  readonly file: string;
  readonly position: number;
}

/** All rows of a table as they were at one place. */
export interface LockedRows {
  readonly batches: AsyncIterable<Rows>;
  close(): void;
}

export interface TableLocks {
  /**
   * @param locked is told the place, before anything can change the table behind it.
   * @returns "busy" where somebody else has changed the table, and not committed yet.
   */
  open(
    table: string,
    locked: (place: LockPlace) => void,
    signal: AbortSignal,
  ): Promise<LockedRows | "busy" | "gone">;
}

export interface ChunkSource {
  /** Where the stream has to be so that everything that was committed by now is handed out. */
  end(signal: AbortSignal): Promise<StreamEnd>;
  /** Resolves when all of these transactions can be seen here. */
  caughtUp(gtids: string, signal: AbortSignal): Promise<void>;
  /**
   * Undefined if there is no such table, or no longer.
   *
   * @throws KeyChanged, KeyMissing
   */
  read(request: ChunkRequest, signal: AbortSignal): Promise<Chunk | undefined>;
  /** What may be seen here by now, without these. */
  seenBeside(gtids: string, signal: AbortSignal): Promise<string>;
  /** Those of these transactions that are committed or about to be. */
  stillThere(gtids: string, signal: AbortSignal): Promise<string>;
  /** The next question has a new connection. */
  close(): void;
}

export interface StreamEnd {
  readonly file: string;
  readonly position: number;
  /** Committed in front of it; "" without GTIDs. */
  readonly gtids: string;
}
