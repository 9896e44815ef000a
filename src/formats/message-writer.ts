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

/** Told of each message while `out` still holds its places: an object for each would cost too much. */
export type OnMessage = (out: MessageWriter, idSuffix: IdSuffix) => void;

const LINE_FEED = 0x0a;
const NOTHING: Buffer = Buffer.alloc(0);

export class MessageWriter {
  readonly keys = new JsonWriter();
  readonly values = new JsonWriter();
  readonly #onMessage: OnMessage;
  /** Where the key of the message stands, if it has one. */
  hasKey = false;
  keyData = NOTHING;
  keyStart = 0;
  keyEnd = 0;
  /** Where its value stands, if it has one. */
  hasValue = false;
  valueData = NOTHING;
  valueStart = 0;
  valueEnd = 0;

  constructor(onMessage: OnMessage) {
    this.#onMessage = onMessage;
  }

  /** Forgets what belongs to no message yet, and begins with the next row. */
  beginRow(): void {
    this.keys.clear();
    this.values.clear();
    this.hasKey = false;
  }

  /** What was written to `keys` is the key of the messages that follow. */
  endKey(): void {
    const { keys } = this;
    keys.keep();
    this.hasKey = true;
    this.keyData = keys.keptData;
    this.keyStart = keys.keptStart;
    this.keyEnd = keys.keptEnd;
  }

  /** What was written to `values` is the value of a message. */
  message(idSuffix: IdSuffix): void {
    const { values } = this;
    values.byte(LINE_FEED);
    values.keep();
    this.hasValue = true;
    this.valueData = values.keptData;
    this.valueStart = values.keptStart;
    this.valueEnd = values.keptEnd - 1;
    this.#onMessage(this, idSuffix);
  }

  tombstone(idSuffix: IdSuffix): void {
    this.hasValue = false;
    this.#onMessage(this, idSuffix);
  }
}
