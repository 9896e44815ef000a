/**
 * Writes the records of a batch, one behind the other. Nine in ten bytes of headers stand in the record
 * before already (the names, the pipeline, the transaction): those are copied as bytes.
 */

/** One record as it is sent. Header values are text. */
export interface OutgoingRecord {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: readonly Header[];
}

type Header = readonly [name: string, value: string];

const VARINT_MAX = 5;
/** Most records have between 64 bytes and 8 KB, and a length of two bytes. */
const LENGTH_BYTES = 2;

/** An upper bound: three bytes for each UTF-16 unit of text. */
export function mostBytes({ key, value, headers }: OutgoingRecord): number {
  let most = 5 * VARINT_MAX + 1 + (key?.length ?? 0) + (value?.length ?? 0);
  for (const [name, text] of headers) most += 2 * VARINT_MAX + 3 * (name.length + text.length);
  return most;
}

export class RecordWriter {
  readonly #bytes: Buffer;
  /** Where the next record will stand. */
  at: number;
  #count = 0;
  /** Headers of the record before; and where each name and each value of them begins, and the last ends. */
  #headers: readonly Header[] = [];
  #places: number[] = [];

  /** @param bytes have room for all records. */
  constructor(bytes: Buffer, start: number) {
    this.#bytes = bytes;
    this.at = start;
  }

  write({ key, value, headers }: OutgoingRecord): void {
    const bytes = this.#bytes;
    const start = this.at;
    const content = start + LENGTH_BYTES;
    bytes[content] = 0; // Attributes.
    bytes[content + 1] = 0; // Time, counted from that of the batch.
    let at = writeVarint(bytes, content + 2, this.#count);
    at = writeBytes(bytes, at, key);
    at = writeBytes(bytes, at, value);
    at = writeVarint(bytes, at, headers.length);
    at = this.#writeHeaders(at, headers);
    this.#count += 1;
    this.at = this.#writeLength(start, at);
  }

  #writeHeaders(start: number, headers: readonly Header[]): number {
    const bytes = this.#bytes;
    const places: number[] = [];
    let at = start;
    for (let i = 0; i < headers.length; i += 1) {
      const [name, text] = headers[i] as Header;
      const last = this.#headers[i];
      places.push(at);
      at = last?.[0] === name ? this.#repeat(at, 2 * i) : writeText(bytes, at, name);
      places.push(at);
      at = last?.[1] === text ? this.#repeat(at, 2 * i + 1) : writeText(bytes, at, text);
    }
    places.push(at);
    this.#headers = headers;
    this.#places = places;
    return at;
  }

  /** Copies what stands at this place of the record before. Returns where the copy ends. */
  #repeat(at: number, place: number): number {
    const from = this.#places[place] as number;
    const to = this.#places[place + 1] as number;
    this.#bytes.copyWithin(at, from, to);
    return at + to - from;
  }

  /** Puts the length in front of a record that ends at `end`. Returns where it ends then. */
  #writeLength(start: number, end: number): number {
    const bytes = this.#bytes;
    const length = end - start - LENGTH_BYTES;
    const shift = sizeOfVarint(length) - LENGTH_BYTES;
    if (shift !== 0) {
      bytes.copyWithin(start + LENGTH_BYTES + shift, start + LENGTH_BYTES, end);
      for (let i = 0; i < this.#places.length; i += 1) (this.#places[i] as number) += shift;
    }
    writeVarint(bytes, start, length);
    return end + shift;
  }
}

function sizeOfVarint(value: number): number {
  let rest = ((value << 1) ^ (value >> 31)) >>> 7;
  let size = 1;
  for (; rest !== 0; rest >>>= 7) size += 1;
  return size;
}

function writeVarint(bytes: Buffer, start: number, value: number): number {
  let at = start;
  let rest = ((value << 1) ^ (value >> 31)) >>> 0;
  for (; rest > 0x7f; rest >>>= 7) bytes[at++] = (rest & 0x7f) | 0x80;
  bytes[at++] = rest;
  return at;
}

function writeBytes(bytes: Buffer, start: number, value: Buffer | null): number {
  if (value === null) return writeVarint(bytes, start, -1);
  const at = writeVarint(bytes, start, value.length);
  bytes.set(value, at);
  return at + value.length;
}

function writeText(bytes: Buffer, start: number, text: string): number {
  const at = start + sizeOfVarint(text.length);
  const length = bytes.write(text, at);
  const end = writeVarint(bytes, start, length);
  if (end === at) return at + length;
  // Longer than its text, and so much that the length takes another byte: its place was taken.
  return end + bytes.write(text, end);
}
