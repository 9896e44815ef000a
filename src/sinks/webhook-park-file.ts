/** What a park file holds, as bytes: see webhook-park.ts. */
import type { FileHandle } from "node:fs/promises";
import { TidemarkError } from "../core/errors.ts";
import type { Message } from "./sink.ts";

/** Where a record stands. */
export interface Slot {
  readonly at: number;
  /** Of the whole record. */
  readonly bytes: number;
  /** Of its first line. */
  readonly header: number;
}

export type ParkLine =
  | { readonly end: number; readonly sent: string }
  | { readonly end: number; readonly lane: string; readonly slot: Slot };

interface RecordHeader {
  readonly lane: string;
  readonly id: string;
  readonly destination: string;
  readonly table: string;
  readonly operation: Message["operation"];
  readonly partitionKey: string;
  readonly key: string | null;
  readonly transaction: string;
  readonly position: string;
  readonly keyed: boolean;
  /** Of the value. */
  readonly bytes: number;
}

const LINE_FEED = 0x0a;
const CHUNK_BYTES = 1024 * 1024;

export function encodeRecord(lane: string, message: Message): { data: Buffer; header: number } {
  const { id, destination, table, operation, partitionKey, key, transaction, position, keyed } =
    message;
  const value = message.value ?? Buffer.alloc(0);
  const record: RecordHeader = {
    ...{ lane, id, destination, table, operation, transaction, position, keyed },
    partitionKey: partitionKey.toString("base64"),
    key: key === null ? null : key.toString("base64"),
    bytes: value.length,
  };
  const header = Buffer.from(`${JSON.stringify(record)}\n`);
  return { data: Buffer.concat([header, value, Buffer.of(LINE_FEED)]), header: header.length };
}

export function encodeMark(lane: string): Buffer {
  return Buffer.from(`${JSON.stringify({ sent: lane })}\n`);
}

/** The message of a whole record, as it was given. Its entry is gone: it was delivered. */
export function messageOf(data: Buffer, header: number): Message {
  const record = JSON.parse(data.toString("utf8", 0, header)) as RecordHeader;
  const { id, destination, table, operation, transaction, position, keyed } = record;
  const value = data.subarray(header, header + record.bytes);
  const key = record.key === null ? null : Buffer.from(record.key, "base64");
  return {
    ...{ seq: -1, index: 0, id, destination, table, operation, transaction, position, keyed },
    ...{ key, value, bytes: value.length + (key?.length ?? 0) },
    partitionKey: Buffer.from(record.partitionKey, "base64"),
  };
}

/**
 * What stands in the file, in its order, up to a torn end.
 *
 * @throws TidemarkError COMMIT_LOG_UNUSABLE for anything else that is no line of ours.
 */
export async function* readLines(
  handle: FileHandle,
  size: number,
  path: string,
): AsyncGenerator<ParkLine> {
  let at = 0;
  let buffer = Buffer.alloc(0);
  while (at < size) {
    const lineEnd = buffer.indexOf(LINE_FEED);
    if (lineEnd < 0) {
      const more = Buffer.alloc(Math.min(CHUNK_BYTES, size - at - buffer.length));
      if (more.length === 0) {
        if (!isTorn(buffer)) throw damaged(path, at);
        return;
      }
      const { bytesRead } = await handle.read(more, 0, more.length, at + buffer.length);
      buffer = Buffer.concat([buffer, more.subarray(0, bytesRead)]);
      continue;
    }
    const header = lineEnd + 1;
    const line = parseLine(buffer.toString("utf8", 0, lineEnd));
    if (line === undefined) throw damaged(path, at);
    const bytes = header + ("bytes" in line ? line.bytes + 1 : 0);
    if (at + bytes > size || !(await endsLine(handle, at + bytes))) return;
    yield "bytes" in line
      ? { end: at + bytes, lane: line.lane, slot: { at, bytes, header } }
      : { end: at + bytes, sent: line.sent };
    at += bytes;
    // A long value is not looked at.
    buffer = buffer.length > bytes ? buffer.subarray(bytes) : Buffer.alloc(0);
  }
}

async function endsLine(handle: FileHandle, end: number): Promise<boolean> {
  const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, end - 1);
  return buffer[0] === LINE_FEED;
}

function parseLine(text: string): RecordHeader | { readonly sent: string } | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  if ("sent" in value && typeof value.sent === "string") return { sent: value.sent };
  const isRecord = "bytes" in value && Number.isSafeInteger(value.bytes) && "lane" in value;
  return isRecord ? (value as RecordHeader) : undefined;
}

/** The beginning of a line, or zeros, which some file systems leave after a power failure. */
function isTorn(rest: Buffer): boolean {
  return rest[0] === "{".charCodeAt(0) || rest.every(byte => byte === 0);
}

function damaged(path: string, at: number): TidemarkError {
  return new TidemarkError(
    "COMMIT_LOG_UNUSABLE",
    `The parked events in ${path} are damaged at byte ${at}. Restore the file, or move it away to go ` +
      "on without the events that it holds.",
  );
}
