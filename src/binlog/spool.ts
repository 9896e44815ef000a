/**
 * A large event on its way to a temporary file, with the checksum of what has come so far. Nothing is
 * read from there before the checksum has held.
 *
 * The file has no name from the moment it is open, so that nothing stays behind, however we end.
 */
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { TidemarkError } from "../core/errors.ts";
import { CHECKSUM_SIZE } from "./event-header.ts";
import type { EventParts } from "./event-parts.ts";

export class Spool {
  readonly #file: number;
  readonly #hasChecksum: boolean;
  #size = 0;
  #crc = 0;
  /** The last bytes, which may be the checksum, and so are not counted into it yet. */
  #tail: Buffer = Buffer.alloc(0);

  /** @throws TidemarkError as `write` does. */
  constructor(hasChecksum: boolean) {
    this.#hasChecksum = hasChecksum;
    try {
      this.#file = openNameless();
    } catch (cause) {
      throw unwritable(cause);
    }
  }

  /**
   * Can be called again with the same bytes after it has thrown.
   *
   * @throws TidemarkError SOURCE_UNAVAILABLE where the disk is full, or cannot be written.
   */
  write(bytes: Buffer): void {
    try {
      this.#write(bytes);
    } catch (cause) {
      throw unwritable(cause);
    }
    this.#size += bytes.length;
    if (this.#hasChecksum) this.#count(bytes);
  }

  #write(bytes: Buffer): void {
    for (let done = 0; done < bytes.length;) {
      done += writeSync(this.#file, bytes, done, bytes.length - done, this.#size + done);
    }
  }

  #count(bytes: Buffer): void {
    const keep = Math.max(0, CHECKSUM_SIZE - bytes.length);
    const old = this.#tail.length - Math.min(keep, this.#tail.length);
    this.#crc = crc32(this.#tail.subarray(0, old), this.#crc);
    const counted = Math.max(0, bytes.length - CHECKSUM_SIZE);
    this.#crc = crc32(bytes.subarray(0, counted), this.#crc);
    this.#tail = Buffer.concat([this.#tail.subarray(old), bytes.subarray(counted)]);
  }

  get bytes(): number {
    return this.#size;
  }

  /** Called at the end of the event: whether its checksum holds, if it has one. */
  get holds(): boolean {
    if (!this.#hasChecksum) return true;
    return this.#tail.length === CHECKSUM_SIZE && this.#tail.readUInt32LE(0) === this.#crc;
  }

  get parts(): EventParts {
    const size = this.#size - (this.#hasChecksum ? CHECKSUM_SIZE : 0);
    const lengthAt = (offset: number, length: number): number =>
      Math.max(0, Math.min(length, size - offset));
    return {
      size,
      read: (offset, length) => {
        const bytes = Buffer.allocUnsafe(lengthAt(offset, length));
        this.#read(bytes, offset, bytes.length);
        return bytes;
      },
      copyTo: (target, offset, length) => this.#read(target, offset, lengthAt(offset, length)),
    };
  }

  #read(target: Buffer, offset: number, length: number): number {
    for (let done = 0; done < length;) {
      const count = readSync(this.#file, target, done, length - done, offset + done);
      if (count === 0) throw new Error("the temporary file of a large event was cut short");
      done += count;
    }
    return length;
  }

  close(): void {
    closeSync(this.#file);
  }
}

function openNameless(): number {
  const folder = mkdtempSync(join(tmpdir(), "tidemark-event-"));
  try {
    return openSync(join(folder, "event"), "wx+", 0o600);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function unwritable(cause: unknown): TidemarkError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const message = `A large event cannot be kept in ${tmpdir()}: ${reason}. Make room there, or set TMPDIR.`;
  return new TidemarkError("SOURCE_UNAVAILABLE", message, { cause });
}

/** Whether room on the disk is all that is missing. */
export function isDiskFull(thrown: unknown): thrown is TidemarkError {
  return thrown instanceof TidemarkError && (thrown.cause as { code?: unknown }).code === "ENOSPC";
}
