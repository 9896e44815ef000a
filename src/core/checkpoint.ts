/**
 * Where a restart begins.
 *
 * MySQL can resume only between transactions, so a checkpoint is a boundary (the end of the last
 * complete transaction) plus how much of the transaction after it has been released. It also holds, for
 * each partition, the offset after the last released message: what stands behind that is the tail,
 * which a restart compares with the replay (docs/guarantees.md).
 */
import { TidemarkError } from "./errors.ts";
import { isSnapshotState, type SnapshotState } from "./snapshot-state.ts";

/** A place between two transactions of one server. */
export interface Boundary {
  readonly file: string;
  /** Header time stamp, in seconds, of the file's format description event: two files of one name differ in it. */
  readonly fileCreated: number;
  /** Byte offset in the file. */
  readonly position: number;
}

/** How many captured rows of one table in the open transaction are released, and the CRC32 over their images. */
export interface TablePart {
  readonly rows: number;
  readonly crc: number;
}

/** The released part of the transaction that follows the boundary. */
export interface TransactionPart {
  readonly id: string;
  readonly tables: Readonly<Record<string, TablePart>>;
}

/** A transaction that XA PREPARE has ended, and that is neither committed nor rolled back yet. */
export interface PreparedGroup {
  /** As the server writes it: X'67',X'62',1. */
  readonly xid: string;
  /** Where its rows stand: the server, and the first event of its group there. */
  readonly server_uuid: string;
  readonly file: string;
  readonly position: number;
}

/** Topic (or file) → partition → the offset after the last released message. */
export type NextOffsets = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** The position half of a checkpoint, as the reader and the assembler know it. */
export interface SourcePosition {
  /** The server the position belongs to; "" where the server has none. */
  readonly serverUuid: string;
  readonly boundary: Boundary;
  readonly gtidSet: string;
  readonly transaction: TransactionPart | undefined;
  /** True if a transaction without GTID was passed, so that the set alone cannot place us. */
  readonly anonymous: boolean;
  /** What `source.xa: at_commit` has passed by so far, the oldest first. */
  readonly prepared?: readonly PreparedGroup[];
  /** `database.table` → hash of the definition there, where the binlog names no columns. */
  readonly definitions?: Readonly<Record<string, string>>;
}

/** One record of the commit log, as it is written (docs/checkpoints.md). */
export interface Checkpoint {
  readonly version: 1;
  /** The reader whose row checksums `transaction` holds. */
  readonly reader: string;
  readonly pipeline: string;
  readonly generation: number;
  readonly sequence: number;
  readonly written_at: string;
  readonly server_uuid: string;
  readonly file: string;
  readonly file_created: number;
  readonly position: number;
  readonly gtid_set: string;
  readonly anonymous: boolean;
  readonly transaction: TransactionPart | null;
  readonly event_time: string | null;
  readonly delivery: "at-least-once" | "effectively-once";
  /** Hash of what decides which messages come out: tables, events, columns, format, routing. */
  readonly output: string;
  readonly next_offsets: NextOffsets;
  /** Null if existing rows were never asked for. */
  readonly snapshot: SnapshotState | null;
  /** Left out where there is none. */
  readonly prepared?: readonly PreparedGroup[];
  readonly definitions?: Readonly<Record<string, string>>;
}

export function sourcePosition(checkpoint: Checkpoint): SourcePosition {
  return {
    serverUuid: checkpoint.server_uuid,
    boundary: {
      file: checkpoint.file,
      fileCreated: checkpoint.file_created,
      position: checkpoint.position,
    },
    gtidSet: checkpoint.gtid_set,
    transaction: checkpoint.transaction ?? undefined,
    anonymous: checkpoint.anonymous,
    prepared: checkpoint.prepared ?? [],
    definitions: checkpoint.definitions ?? {},
  };
}

/** Above 0 if `a` was written after `b`: generations first, then the records of one generation. */
export function compareCheckpoints(
  a: Pick<Checkpoint, "generation" | "sequence">,
  b: Pick<Checkpoint, "generation" | "sequence">,
): number {
  return a.generation - b.generation || a.sequence - b.sequence;
}

/** Binlog files are numbered; as text, `binlog.1000000` would come before `binlog.999999`. */
export function binlogFileNumber(file: string): number {
  return Number(file.slice(file.lastIndexOf(".") + 1));
}

const isText = (value: unknown): boolean => typeof value === "string";
const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && Number(value) >= 0;
const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isPart = (value: unknown): boolean =>
  isRecord(value) && isCount(value["rows"]) && isCount(value["crc"]);
const isTransaction = (value: unknown): boolean =>
  value === null ||
  (isRecord(value) &&
    isText(value["id"]) &&
    isRecord(value["tables"]) &&
    Object.values(value["tables"]).every(isPart));
const isPreparedGroup = (value: unknown): boolean =>
  isRecord(value) &&
  isText(value["xid"]) &&
  isText(value["server_uuid"]) &&
  isText(value["file"]) &&
  isCount(value["position"]);
const isNextOffsets = (value: unknown): boolean =>
  isRecord(value) &&
  Object.values(value).every(
    partitions => isRecord(partitions) && Object.values(partitions).every(isCount),
  );

const FIELDS: Readonly<Record<keyof Checkpoint, (value: unknown) => boolean>> = {
  version: value => value === 1,
  reader: isText,
  pipeline: isText,
  generation: isCount,
  sequence: isCount,
  written_at: isText,
  server_uuid: isText,
  file: isText,
  file_created: isCount,
  position: isCount,
  gtid_set: isText,
  anonymous: value => typeof value === "boolean",
  transaction: isTransaction,
  event_time: value => value === null || isText(value),
  delivery: value => value === "at-least-once" || value === "effectively-once",
  output: isText,
  next_offsets: isNextOffsets,
  snapshot: value => value === null || isSnapshotState(value, isNextOffsets),
  prepared: value => value === undefined || (Array.isArray(value) && value.every(isPreparedGroup)),
  definitions: value =>
    value === undefined || (isRecord(value) && Object.values(value).every(isText)),
};

/**
 * Reads a commit-log record.
 *
 * @param where names the record in the error, such as "record 17 of tidemark.commit-log".
 * @throws TidemarkError COMMIT_LOG_UNUSABLE if it is not a whole checkpoint of a known version: a
 *   damaged commit log stops the pipeline, it never makes it start at the present.
 */
export function parseCheckpoint(text: string, where: string): Checkpoint {
  const unusable = (reason: string): TidemarkError =>
    new TidemarkError(
      "COMMIT_LOG_UNUSABLE",
      `The checkpoint in ${where} cannot be used: ${reason}. ` +
        "Restore it, or say where to go on with: tidemark position set.",
    );
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw unusable("it is not JSON");
  }
  if (!isRecord(value)) throw unusable("it is not an object");
  for (const [field, isValid] of Object.entries(FIELDS)) {
    if (!isValid(value[field])) throw unusable(`its field "${field}" is not valid`);
  }
  return value as unknown as Checkpoint;
}
