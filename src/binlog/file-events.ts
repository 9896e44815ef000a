/**
 * The raw events of a binlog file, with the checksums looked at as in a dump.
 *
 *   fe 62 69 6e │ format description event │ event │ event │ …
 *
 * An event above 16 MB stays in the file, and is read from there in parts once its checksum has held.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { crc32 } from "node:zlib";
import { TidemarkError } from "../core/errors.ts";
import { Checksums } from "./checksums.ts";
import { CHECKSUM_SIZE, EventType, HEADER_SIZE, isInUse, sizeOf, typeOf } from "./event-header.ts";
import { HELD_BYTES_MAX, type EventParts } from "./event-parts.ts";

const MAGIC = Buffer.from("fe62696e", "hex");
const MAGIC_ENCRYPTED = Buffer.from("fd62696e", "hex");
const WINDOW_BYTES = 2 ** 20;

export class FileEvents {
  /** Where the next event begins. */
  position = MAGIC.length;
  /** The file was still being written when it was opened or copied; or its server crashed. */
  isInUse = false;
  readonly #path: string;
  readonly #file: number;
  readonly #checksums = new Checksums();
  #size = 0;
  #window: Buffer = Buffer.alloc(0);
  #windowAt = 0;

  /** @throws TidemarkError USAGE for what cannot be opened, EVENT_UNREADABLE for a file of another kind. */
  constructor(path: string) {
    this.#path = path;
    try {
      this.#file = openSync(path, "r");
    } catch (cause) {
      throw unopened(path, cause);
    }
    try {
      this.#begin();
    } catch (thrown) {
      this.close();
      throw thrown;
    }
  }

  #begin(): void {
    const stat = fstatSync(this.#file);
    if (!stat.isFile()) throw new TidemarkError("USAGE", `${this.#path} is no file.`);
    this.#size = stat.size;
    const magic = this.#readAt(0, Math.min(MAGIC.length, this.#size));
    if (magic.equals(MAGIC_ENCRYPTED)) throw this.#encrypted();
    const head = this.#take(MAGIC.length, HEADER_SIZE);
    if (magic.equals(MAGIC) && head !== undefined && typeOf(head) === EventType.formatDescription) {
      this.isInUse = isInUse(head);
      return;
    }
    throw this.#unreadable("is no binlog file: it does not begin as one");
  }

  /** Its server has the key. */
  #encrypted(): TidemarkError {
    return this.#unreadable(
      "is encrypted; have its server send it: tidemark decode mysql://user@host --start FILE:4",
    );
  }

  #unreadable(what: string): TidemarkError {
    return new TidemarkError("EVENT_UNREADABLE", `${this.#path} ${what}.`);
  }

  /**
   * The next event without its checksum; undefined where no whole one follows.
   *
   * @throws TidemarkError EVENT_UNREADABLE
   */
  next(): Buffer | EventParts | undefined {
    const head = this.#take(this.position, HEADER_SIZE);
    if (head === undefined) return undefined;
    const size = sizeOf(head);
    if (size < HEADER_SIZE) throw this.#unreadable(`is damaged at ${this.position}`);
    if (this.position + size > this.#size) return undefined;
    if (typeOf(head) === EventType.mariadbStartEncryption) throw this.#encrypted();
    const event = size > HELD_BYTES_MAX ? this.#large(head, size) : this.#small(size);
    this.position += size;
    return event;
  }

  /** Bytes follow that are no whole event. */
  get endsWithin(): boolean {
    return this.position < this.#size;
  }

  #small(size: number): Buffer {
    const event = this.#take(this.position, size) ?? Buffer.alloc(0);
    try {
      return this.#checksums.strip(event);
    } catch (thrown) {
      throw this.#mismatch(thrown);
    }
  }

  #large(head: Buffer, size: number): EventParts {
    const start = this.position;
    const hasChecksum = this.#checksums.areThere;
    const end = start + size - (hasChecksum ? CHECKSUM_SIZE : 0);
    if (
      hasChecksum &&
      this.#crcOf(start, end) !== this.#readAt(end, CHECKSUM_SIZE).readUInt32LE()
    ) {
      throw this.#mismatch(this.#checksums.mismatch(head));
    }
    const lengthAt = (offset: number, length: number): number =>
      Math.max(0, Math.min(length, end - start - offset));
    return {
      size: end - start,
      read: (offset, length) => this.#readAt(start + offset, lengthAt(offset, length)),
      copyTo: (target, offset, length) =>
        this.#copyTo(target, start + offset, lengthAt(offset, length)),
    };
  }

  #crcOf(start: number, end: number): number {
    let crc = 0;
    for (let at = start; at < end; at += WINDOW_BYTES) {
      crc = crc32(this.#readAt(at, Math.min(WINDOW_BYTES, end - at)), crc);
    }
    return crc;
  }

  /** Says in which file. */
  #mismatch(thrown: unknown): unknown {
    if (!(thrown instanceof TidemarkError)) return thrown;
    return new TidemarkError(thrown.code, `${this.#path}: ${thrown.message}`, { cause: thrown });
  }

  /** Bytes from a window that moves on through the file; undefined if there are not so many. */
  #take(at: number, length: number): Buffer | undefined {
    if (at + length > this.#size) return undefined;
    if (at < this.#windowAt || at + length > this.#windowAt + this.#window.length) {
      this.#window = this.#readAt(at, Math.min(Math.max(WINDOW_BYTES, length), this.#size - at));
      this.#windowAt = at;
    }
    return this.#window.subarray(at - this.#windowAt, at - this.#windowAt + length);
  }

  #readAt(at: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    this.#copyTo(bytes, at, length);
    return bytes;
  }

  #copyTo(target: Buffer, at: number, length: number): number {
    for (let done = 0; done < length;) {
      const count = readSync(this.#file, target, done, length - done, at + done);
      if (count === 0) throw this.#unreadable("became shorter while it was read");
      done += count;
    }
    return length;
  }

  close(): void {
    closeSync(this.#file);
  }
}

function unopened(path: string, cause: unknown): TidemarkError {
  const code = (cause as NodeJS.ErrnoException).code ?? "";
  const reason = code === "ENOENT" ? "There is no file" : `The file cannot be opened (${code}):`;
  return new TidemarkError(
    "USAGE",
    `${reason} ${path}; decode takes binlog files, or mysql://user@host/database.`,
    { cause },
  );
}
