/**
 * How far the rows that a table had before are copied: the field `snapshot` of a checkpoint.
 *
 *   key      the last row that is released; the copy goes on behind it
 *   until    rows behind `key` up to here may have been sent: it is written down before they are
 *   tails    where the records of such rows begin in each partition, as long as not all are passed
 */
import type { NextOffsets } from "./checkpoint.ts";

/** Column of the primary key → its value as text, that of a binary column in hexadecimal digits. */
export type SnapshotKey = Readonly<Record<string, string>>;

export interface SnapshotTable {
  readonly rows: number;
  /** Null in front of the first row. */
  readonly key: SnapshotKey | null;
  /** Null if nothing may be on its way. */
  readonly until: SnapshotKey | null;
  readonly done: boolean;
  /** Set if it was asked for while the pipeline ran, or is needed in any mode: a run of its own. */
  readonly run?: string;
}

/** A place of the stream between two transactions. */
export interface GapPlace {
  readonly server_uuid: string;
  readonly file: string;
  readonly position: number;
  readonly gtid_set: string;
}

/** A stretch of the stream that nobody can read any more: its tables are read again. */
export interface Gap {
  readonly from: GapPlace;
  readonly to: GapPlace;
}

export interface SnapshotState {
  /** Part of the ids of its rows. */
  readonly run: string;
  /** A table that each of these lists takes was there to be copied: one that is not in `tables` came later. */
  readonly patterns: readonly (readonly string[])[];
  readonly tables: Readonly<Record<string, SnapshotTable>>;
  readonly tails: NextOffsets | null;
  /** Number of the last request that was taken. */
  readonly requested?: number;
  /**
   * What these rows take the place of, if anything; `untold`: the tables whose consumers do not know of it yet,
   * `unemptied`: those whose consumers have not been told to forget their rows.
   */
  readonly gap?: Gap & {
    readonly untold: readonly string[];
    readonly unemptied: readonly string[];
  };
}

/** What releasing an entry adds. */
export interface SnapshotStep {
  readonly table: string;
  readonly rows: number;
  readonly key: SnapshotKey | null;
  readonly done: boolean;
  /** All that may have been sent before the start is passed: the tails are not needed any more. */
  readonly endsTails: boolean;
}

export const NOTHING_COPIED: SnapshotTable = { rows: 0, key: null, until: null, done: false };

export function isFinished({ tables }: SnapshotState): boolean {
  return Object.values(tables).every(({ done }) => done);
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isText = (value: unknown): boolean => typeof value === "string";
const isKey = (value: unknown): boolean =>
  value === null || (isRecord(value) && Object.values(value).every(isText));
const isTable = (value: unknown): boolean =>
  isRecord(value) &&
  Number.isSafeInteger(value["rows"]) &&
  isKey(value["key"]) &&
  isKey(value["until"]) &&
  typeof value["done"] === "boolean" &&
  (value["run"] === undefined || isText(value["run"]));

const isPlace = (value: unknown): boolean =>
  isRecord(value) &&
  isText(value["server_uuid"]) &&
  isText(value["file"]) &&
  Number.isSafeInteger(value["position"]) &&
  isText(value["gtid_set"]);
const isGap = (value: unknown): boolean =>
  isRecord(value) &&
  isPlace(value["from"]) &&
  isPlace(value["to"]) &&
  Array.isArray(value["untold"]) &&
  value["untold"].every(isText) &&
  Array.isArray(value["unemptied"]) &&
  value["unemptied"].every(isText);

/** @param isNextOffsets of the checkpoint that it is part of. */
export function isSnapshotState(
  value: unknown,
  isNextOffsets: (offsets: unknown) => boolean,
): boolean {
  return (
    isRecord(value) &&
    isText(value["run"]) &&
    Array.isArray(value["patterns"]) &&
    value["patterns"].every(list => Array.isArray(list) && list.every(isText)) &&
    isRecord(value["tables"]) &&
    Object.values(value["tables"]).every(isTable) &&
    (value["tails"] === null || isNextOffsets(value["tails"])) &&
    (value["requested"] === undefined || Number.isSafeInteger(value["requested"])) &&
    (value["gap"] === undefined || isGap(value["gap"]))
  );
}
