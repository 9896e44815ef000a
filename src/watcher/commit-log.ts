/**
 * Where checkpoints are kept: a compacted Kafka topic or a file.
 * test/contract/commit-log.ts holds the tests that every implementation passes.
 */
import type { Checkpoint } from "../core/checkpoint.ts";
import type { TidemarkError } from "../core/errors.ts";

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

  /**
   * Rejects with TAKEN_OVER when a record of a higher generation appears; resolves when the signal aborts.
   *
   * @param answered is called about once a second, whenever the store has answered.
   */
  follow(signal: AbortSignal, answered?: () => void): Promise<void>;

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

/** For `tidemark position`, which looks at checkpoints and replaces them. */
export interface ReplaceableCommitLog extends CommitLog {
  /**
   * As `open`, but damage does not stop it. A record of a higher generation, appended after that, counts
   * whatever stands before it.
   */
  openToReplace(signal: AbortSignal): Promise<LastRecord>;

  /** The valid record, without taking the lock and without making anything. */
  read(signal: AbortSignal): Promise<Checkpoint | undefined>;
}
