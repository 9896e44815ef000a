/**
 * Writes JSON as bytes into a buffer that grows.
 *
 * Cells are UTF-8 bytes already: turning them into strings, strings into objects and these into JSON
 * would cost several times what copying the bytes does. What is not valid UTF-8 becomes U+FFFD, so that
 * no column content can make a message that is not JSON.
 */
import { isUtf8 } from "node:buffer";
import type { JsonTextTarget } from "../core/rows.ts";
import { JsonInString } from "./json-in-string.ts";

/** Large enough that few are made, small enough that one message which waits long holds little. */
const CHUNK_BYTES = 64 * 1024;
/** Up to this length a loop beats the call into Buffer.set, and that into Buffer.write. */
const SHORT_BYTES = 12;
const SHORT_TEXT = 24;
const BILLION = 1_000_000_000;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const MINUS = 0x2d;
const ZERO = 0x30;

const PLAIN = 0;
const ESCAPED = 1;
const HIGH = 2;

/** What to do with each byte inside a string: copy it, escape it, or see that it is valid UTF-8. */
const kinds = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (byte < 0x20 || byte === QUOTE || byte === BACKSLASH) return ESCAPED;
  return byte < 0x80 ? PLAIN : HIGH;
});

/** The escape of each byte that has one, such as `\n`; the same that JSON.stringify writes. */
const escapes: readonly Buffer[] = Array.from({ length: 256 }, (_, byte) =>
  kinds[byte] === ESCAPED
    ? Buffer.from(JSON.stringify(String.fromCharCode(byte)).slice(1, -1))
    : Buffer.alloc(0),
);

/** Keeps a byte order mark: it is content here. */
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

export class JsonWriter {
  /** Writes JSON within a string. */
  readonly inString: JsonTextTarget = new JsonInString(this);
  #buffer: Buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  /** Where what is being written begins. */
  #start = 0;
  #end = 0;
  /** Where the last piece that was kept stands. */
  keptData = this.#buffer;
  keptStart = 0;
  keptEnd = 0;

  /** Bytes written since the last `take` or `keep`. */
  get length(): number {
    return this.#end - this.#start;
  }

  /** Forgets what was written since. */
  clear(): void {
    this.#end = this.#start;
  }

  /** Hands over what was written, in a buffer of its exact size. */
  take(): Buffer {
    const written = Buffer.allocUnsafe(this.length);
    this.#buffer.copy(written, 0, this.#start, this.#end);
    this.#end = this.#start;
    if (this.#buffer.length > CHUNK_BYTES) this.#renew();
    return written;
  }

  /** Leaves what was written where it stands, tells where that is, and goes on behind it. */
  keep(): void {
    if (this.#buffer.length > CHUNK_BYTES) {
      this.keptData = this.take();
      this.keptStart = 0;
      this.keptEnd = this.keptData.length;
      return;
    }
    this.keptData = this.#buffer;
    this.keptStart = this.#start;
    this.keptEnd = this.#end;
    this.#start = this.#end;
  }

  #renew(): void {
    this.#buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
    this.#start = 0;
    this.#end = 0;
  }

  /** Makes room; what stands in the old buffer stays there. */
  #reserve(bytes: number): void {
    if (this.#end + bytes <= this.#buffer.length) return;
    const needed = this.length + bytes;
    const room = needed <= CHUNK_BYTES ? CHUNK_BYTES : Math.max(needed, 2 * this.length);
    const larger = Buffer.allocUnsafeSlow(room);
    this.#buffer.copy(larger, 0, this.#start, this.#end);
    this.#end -= this.#start;
    this.#start = 0;
    this.#buffer = larger;
  }

  /** One ASCII character, given as its code. */
  byte(code: number): void {
    this.#reserve(1);
    this.#buffer[this.#end++] = code;
  }

  /** Replaces a byte written since the last `take` or `keep`. */
  patch(at: number, code: number): void {
    this.#buffer[this.#start + at] = code;
  }

  /** Bytes that are JSON already. */
  raw(bytes: Uint8Array): void {
    const { length } = bytes;
    this.#reserve(length);
    if (length <= SHORT_BYTES) {
      const buffer = this.#buffer;
      let end = this.#end;
      for (let i = 0; i < length; i++) buffer[end++] = bytes[i] as number;
      this.#end = end;
    } else {
      this.#buffer.set(bytes, this.#end);
      this.#end += length;
    }
  }

  /** ASCII text that is JSON already. */
  ascii(text: string): void {
    const { length } = text;
    this.#reserve(length);
    if (length <= SHORT_TEXT) {
      const buffer = this.#buffer;
      let end = this.#end;
      for (let i = 0; i < length; i++) buffer[end++] = text.charCodeAt(i);
      this.#end = end;
    } else this.#end += this.#buffer.write(text, this.#end, "latin1");
  }

  /** A string whose content is given as UTF-8 bytes, from `from` to before `to`. */
  string(bytes: Uint8Array, from = 0, to = bytes.length): void {
    this.#reserve(1);
    this.#buffer[this.#end++] = QUOTE;
    this.bytes(bytes, from, to);
    this.byte(QUOTE);
  }

  /** A string with this content. */
  text(content: string): void {
    this.byte(QUOTE);
    this.content(content);
    this.byte(QUOTE);
  }

  /** A part of what stands in a string. */
  content(content: string): void {
    const { length } = content;
    this.#reserve(6 * length); // The longest escape of one character is six: \u0000.
    const buffer = this.#buffer;
    let end = this.#end;
    for (let i = 0; i < length; i++) {
      const code = content.charCodeAt(i);
      if (code >= 0x80) {
        this.#end = end;
        const rest = Buffer.from(content.slice(i));
        this.bytes(rest, 0, rest.length);
        return;
      }
      if (kinds[code] === PLAIN) {
        buffer[end++] = code;
      } else {
        const escape = escapes[code] as Buffer;
        for (let j = 0; j < escape.length; j++) buffer[end++] = escape[j] as number;
      }
    }
    this.#end = end;
  }

  /** A part of what stands in a string, as UTF-8 bytes from `from` to before `to`. */
  bytes(bytes: Uint8Array, from: number, to: number): void {
    this.#reserve(6 * (to - from)); // The longest escape of one byte is six: \u0000.
    const buffer = this.#buffer;
    let end = this.#end;
    let isValid = false;
    for (let i = from; i < to; i++) {
      const byte = bytes[i] as number;
      const kind = kinds[byte];
      if (kind === PLAIN) {
        buffer[end++] = byte;
      } else if (kind === ESCAPED) {
        const escape = escapes[byte] as Buffer;
        for (let j = 0; j < escape.length; j++) buffer[end++] = escape[j] as number;
      } else if (isValid || isUtf8(bytes.subarray(i, to))) {
        isValid = true;
        buffer[end++] = byte;
      } else {
        this.#end = end;
        const valid = Buffer.from(decoder.decode(bytes.subarray(i, to)));
        this.bytes(valid, 0, valid.length);
        return;
      }
    }
    this.#end = end;
  }

  /**
   * Within a string, a string of plain characters: `\"…\"`. False, and nothing written, if it has others.
   */
  innerString(bytes: Uint8Array, from: number, to: number): boolean {
    this.#reserve(to - from + 4);
    const buffer = this.#buffer;
    let end = this.#end;
    buffer[end++] = BACKSLASH;
    buffer[end++] = QUOTE;
    for (let i = from; i < to; i++) {
      const byte = bytes[i] as number;
      if (kinds[byte] !== PLAIN) return false;
      buffer[end++] = byte;
    }
    buffer[end++] = BACKSLASH;
    buffer[end++] = QUOTE;
    this.#end = end;
    return true;
  }

  /** A string holding the bytes in base64, with its padding. */
  base64(bytes: Buffer): void {
    const text = bytes.toString("base64");
    this.#reserve(text.length + 2);
    this.#buffer[this.#end++] = QUOTE;
    this.#end += this.#buffer.write(text, this.#end, "latin1");
    this.#buffer[this.#end++] = QUOTE;
  }

  /** A safe integer. */
  integer(value: number): void {
    this.#reserve(17);
    let rest = value;
    if (rest < 0) {
      this.#buffer[this.#end++] = MINUS;
      rest = -rest;
    }
    if (rest < BILLION) {
      this.#digits(rest, 1);
      return;
    }
    const billions = Math.floor(rest / BILLION);
    this.#digits(billions, 1);
    this.#digits(rest - billions * BILLION, 9);
  }

  /** A number below a billion, with at least `width` digits: the lower half of one too large for a double. */
  padded(value: number, width: number): void {
    this.#reserve(9);
    this.#digits(value, width);
  }

  #digits(value: number, width: number): void {
    let count = 1;
    for (let limit = 10; count < 9 && value >= limit; limit *= 10) count++;
    if (count < width) count = width;
    const buffer = this.#buffer;
    let rest = value | 0;
    for (let at = this.#end + count - 1; at >= this.#end; at--) {
      const next = (rest / 10) | 0;
      buffer[at] = ZERO + rest - next * 10;
      rest = next;
    }
    this.#end += count;
  }
}
