/**
 * Where a format writes the messages of a row. Their bytes stay where they were written, one after the
 * other in buffers that many messages share: neither key nor value is copied again before it is sent.
 *
 *   out.keys …      ─▶ endKey()         the key of the messages that follow
 *   out.values …    ─▶ message("")      a message with that value
 *                      tombstone(":t")  a message with the same key and no value
 *
 * A line feed is put behind each value, so that a file can take the lines of many messages as they stand.
 */
import { JsonWriter } from "./json-writer.ts";

/** Added to the row's id: "" for the row itself, ":t" tombstone, ":d" and ":c" the halves of a key change. */
export type IdSuffix = "" | ":t" | ":d" | ":c";

/** Bytes `start` to before `end` of `data`. */
export interface Slice {
  readonly data: Buffer;
  readonly start: number;
  readonly end: number;
}

const LINE_FEED = 0x0a;

export class MessageWriter {
  readonly keys = new JsonWriter();
  readonly values = new JsonWriter();
  readonly #emit: (idSuffix: IdSuffix, key: Slice | null, value: Slice | null) => void;
  #key: Slice | null = null;

  constructor(emit: (idSuffix: IdSuffix, key: Slice | null, value: Slice | null) => void) {
    this.#emit = emit;
  }

  /** Forgets what belongs to no message yet, and begins with the next row. */
  beginRow(): void {
    this.keys.clear();
    this.values.clear();
    this.#key = null;
  }

  /** What was written to `keys` is the key of the messages that follow. */
  endKey(): void {
    this.#key = this.keys.keep();
  }

  /** What was written to `values` is the value of a message. */
  message(idSuffix: IdSuffix): void {
    this.values.byte(LINE_FEED);
    const { data, start, end } = this.values.keep();
    this.#emit(idSuffix, this.#key, { data, start, end: end - 1 });
  }

  tombstone(idSuffix: IdSuffix): void {
    this.#emit(idSuffix, this.#key, null);
  }
}
