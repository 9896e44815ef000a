/**
 * Rows events of MariaDB with log_bin_compress: as others up to the bits of their columns; behind these
 * the rows, packed.
 *
 *   head │ 0x80 + bytes of the length │ length of the rows, highest byte first │ zlib
 */
import { inflateSync } from "node:zlib";
import { ByteCursor } from "./byte-cursor.ts";
import { EventFault } from "./event-fault.ts";
import type { RowsLayout } from "./rows-event.ts";

/** The highest bit is always set; 0 below it stands for zlib. */
const KIND = 0xf8;
const ZLIB = 0x80;
const LENGTH_BYTES = 0x07;

/**
 * The body of the event as it would be without compression.
 *
 * @throws EventFault ROW_TOO_LARGE where this takes more than `bytesMax`.
 */
export function unpackRows(body: Buffer, layout: RowsLayout, bytesMax: number): Buffer {
  const cursor = new ByteCursor(body, 8);
  if (layout.hasExtra) cursor.skip(cursor.uint(2) - 2);
  const bitsBytes = (cursor.packedUint() + 7) >> 3;
  cursor.skip(layout.operation === "update" ? 2 * bitsBytes : bitsBytes);
  const head = body.subarray(0, cursor.offset);
  const mark = cursor.uint(1);
  if ((mark & KIND) !== ZLIB)
    throw new EventFault(`its rows are packed in the unknown way ${mark}`);
  let length = 0;
  for (const byte of cursor.take(mark & LENGTH_BYTES)) length = length * 256 + byte;
  if (length > bytesMax) throw compressedTooLarge(length, bytesMax);
  const rows = inflateSync(body.subarray(cursor.offset), { maxOutputLength: Math.max(1, length) });
  if (rows.length !== length)
    throw new EventFault("its rows unpack to another length than it says");
  return Buffer.concat([head, rows]);
}

/** Only a single row makes an event so large. */
export function compressedTooLarge(bytes: number, bytesMax: number): EventFault {
  return new EventFault(
    `its rows are compressed and take ${bytes} bytes, more than twice what queue.max_row allows ` +
      `(${bytesMax / 2}): raise it, and queue.memory with it`,
    "ROW_TOO_LARGE",
  );
}
