/** A byte offset in a binlog file, and which of two comes first. */
import { binlogFileNumber } from "../core/checkpoint.ts";

export interface BinlogPlace {
  readonly file: string;
  readonly position: number;
}

export function isBefore(one: BinlogPlace, other: BinlogPlace): boolean {
  if (one.file === other.file) return one.position < other.position;
  return binlogFileNumber(one.file) < binlogFileNumber(other.file);
}
