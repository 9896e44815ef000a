/**
 * A position as MySQL CDC Setup keeps it in `binlog_position_<schema>_<table>.json`:
 *
 *   { "log_file": "mysql-bin.000123", "log_pos": 45678, "timestamp": 1704067200.0, "readable_time": "…" }
 */
import { readFileSync } from "node:fs";
import type { MysqlServer } from "../binlog/server.ts";
import type { StartConfig } from "../config/config.ts";
import type { Checkpoint } from "../core/checkpoint.ts";
import { TidemarkError } from "../core/errors.ts";

type FilePlace = Extract<StartConfig, { kind: "position" }>;

const BINLOG_FILE = /^[^\s/:]+\.\d+$/;
/** Where the first event of a binlog file begins. */
const FILE_START = 4;

/** A place that is given as a path. */
export function isPositionFile(place: string): boolean {
  return place.endsWith(".json");
}

/** @throws TidemarkError POSITION_UNUSABLE where a checkpoint has no file yet. */
export function positionFile({ file, position, written_at }: Checkpoint): string {
  if (file === "") {
    throw new TidemarkError(
      "POSITION_UNUSABLE",
      "The checkpoint is a GTID set, and nothing was delivered yet: it has no file and position to show.",
    );
  }
  const seconds = Date.parse(written_at) / 1_000;
  const written = {
    ...{ log_file: file, log_pos: position, timestamp: seconds },
    readable_time: `${written_at.slice(0, 19).replace("T", " ")} UTC`,
  };
  return `${JSON.stringify(written, undefined, 2)}\n`;
}

/** @throws TidemarkError USAGE for what is no such file. */
export function readPositionFile(path: string): FilePlace {
  const unusable = (reason: string): TidemarkError =>
    new TidemarkError("USAGE", `The position file ${path} cannot be used: ${reason}.`);
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, "utf8"));
  } catch (thrown) {
    if (thrown instanceof SyntaxError) throw unusable("it is not JSON");
    throw unusable((thrown as Error).message);
  }
  const { log_file: file, log_pos: position } = (value ?? {}) as Record<string, unknown>;
  if (typeof file !== "string" || !BINLOG_FILE.test(file)) {
    throw unusable("its log_file is no binlog file such as mysql-bin.000123");
  }
  if (!Number.isSafeInteger(position) || Number(position) < FILE_START) {
    throw unusable(`its log_pos is no offset of ${FILE_START} or more`);
  }
  return { kind: "position", file, position: Number(position) };
}

/**
 * Such a file is written after each change, so that its place mostly lies inside a transaction. Where that begins, if
 * so; otherwise, and for a place that cannot be read at all, the place itself.
 */
export async function transactionStart(
  server: MysqlServer,
  place: FilePlace,
  signal: AbortSignal,
): Promise<FilePlace> {
  const { file, position } = place;
  const size = await server.fileSize(file);
  if (size === undefined || position >= size) return place;
  if ((await server.eventAt(file, position)) === undefined) return place;
  let opened: { readonly position: number } | undefined;
  const start = { kind: "position", file, position: FILE_START } as const;
  for await (const events of server.scan(start, signal)) {
    for (const event of events) {
      if (event.kind === "heartbeat") return place;
      if (event.kind === "file") {
        if (event.file !== file) return place;
        continue;
      }
      const isBetween = event.kind === "gtid" && event.position === position;
      if (event.position >= position) return isBetween || !opened ? place : { ...place, ...opened };
      if (event.kind === "gtid") opened = { position: event.position };
    }
  }
  return place;
}
