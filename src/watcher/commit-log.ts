/**
 * Where checkpoints are kept: a compacted Kafka topic or a file.
 * test/contract/commit-log.ts holds the tests that every implementation passes.
 */
import type { Checkpoint } from "../core/checkpoint.ts";
import type { TidemarkError } from "../core/errors.ts";
import type { SnapshotRequest } from "../core/snapshot-request.ts";

export interface FollowEvents {
  /** About once a second, whenever the store has answered. */
  readonly answered?: () => void;
  /** Somebody asks for a copy; one that was taken before may be told again. */
  readonly requested?: (request: SnapshotRequest) => void;
}

export interface CommitLog {
  /**
   * Takes the lock, where there is one, and reads the valid record with the highest generation and sequence.
   *
   * @returns undefined if this pipeline has none.
   * @throws TidemarkError COMMIT_LOG_UNUSABLE for a damaged record, TAKEN_OVER if another instance holds
   *   the lock, SINK_SETTING if the store cannot keep its promise. Waits for a store that is down.
   */
  open(signal: AbortSignal): Promise<Checkpoint | undefined>;

  /**
   * Resolves when the record is durable. Called with one record at a time, each above the one before,
   * always with all next offsets; the first of a run is written whole.
   */
  append(checkpoint: Checkpoint, signal: AbortSignal): Promise<void>;

  /** Rejects with TAKEN_OVER when a record of a higher generation appears; resolves when the signal aborts. */
  follow(signal: AbortSignal, events?: FollowEvents): Promise<void>;

  /** Asks the store now. Rejects with TAKEN_OVER if another instance has begun; waits for a store that is down. */
  stillOurs(signal: AbortSignal): Promise<void>;

  /**
   * The uuid under which the reader registers with MySQL, once the log is open. It is the same for every
   * instance that uses this commit log, so that the dump of a newer one ends that of an older one.
   */
  replicaUuid(): Promise<string>;

  close(): Promise<void>;
}

/** What a commit log holds for someone who will put another checkpoint in its place. */
export interface LastRecord {
  /** The valid one; undefined if there is none, or it is damaged. */
  readonly checkpoint: Checkpoint | undefined;
  /** The highest that can be read; 0 without any. */
  readonly generation: number;
  /** Why it cannot be used as it is. */
  readonly damage: TidemarkError | undefined;
}

/** For `tidemark position` and `snapshot`, which look at checkpoints of others, and write beside them or over them. */
export interface ReplaceableCommitLog extends CommitLog {
  /**
   * As `open`, but damage does not stop it. A record of a higher generation, appended after that, counts
   * whatever stands before it.
   */
  openToReplace(signal: AbortSignal): Promise<LastRecord>;

  /** The valid record, without taking the lock and without making anything. */
  read(signal: AbortSignal): Promise<Checkpoint | undefined>;

  /** The valid record and each that comes after it, as soon as it is seen. */
  watch(signal: AbortSignal): AsyncGenerator<Checkpoint, void, undefined>;

  /** The last that was asked of the pipeline, whether it was taken or not. */
  lastRequest(signal: AbortSignal): Promise<SnapshotRequest | undefined>;

  /** Resolves when the request is durable; the instance that follows this commit log is told. */
  request(request: SnapshotRequest, signal: AbortSignal): Promise<void>;
}
