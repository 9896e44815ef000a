/**
 * The second half of a zstd block: how literals and repeats of what came before follow each other.
 *
 *   number of sequences │ modes │ tables for literal lengths, offsets, match lengths │ bits
 */
import { BackwardBits } from "./zstd-bits.ts";
import { DamagedDataError } from "./damaged-data.ts";
import {
  BASE_BITS,
  BITS_MASK,
  FseTable,
  NEXT_BITS,
  NEXT_MASK,
  readFrequencies,
  type Meaning,
} from "./zstd-fse.ts";
import { NATIVE_COPY_MIN, type ZstdWindow } from "./zstd-window.ts";

const range = (end: number, start = 0): number[] =>
  Array.from({ length: end - start }, (_, i) => start + i);

/** Codes that stand for a number alone, then those that need `bits` more; each begins where the last ended. */
function meaningOf(plain: readonly number[], bits: readonly number[]): Meaning {
  const bases = [...plain];
  let base = (plain.at(-1) ?? 0) + 1;
  for (const count of bits) {
    bases.push(base);
    base += 1 << count;
  }
  return { bases, bits: [...plain.map(() => 0), ...bits] };
}

/** An offset of 31 bits is larger than any window. */
const OFFSET_CODE_MAX = 30;

/** One of the three numbers of a sequence. */
interface Kind {
  readonly meaning: Meaning;
  readonly logMax: number;
  readonly usual: FseTable;
}

function kind(meaning: Meaning, logMax: number, log: number, usual: readonly number[]): Kind {
  return { meaning, logMax, usual: new FseTable(usual, log, meaning) };
}

const times = (count: number, frequency: number): number[] =>
  new Array<number>(count).fill(frequency);

const literalLengths = kind(
  meaningOf(range(16), [1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]),
  9,
  6,
  [4, 3, ...times(11, 2), ...times(3, 1), ...times(9, 2), 3, 2, ...times(5, 1), ...times(4, -1)],
);
const matchLengths = kind(
  meaningOf(range(35, 3), [1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]),
  9,
  6,
  [1, 4, 3, ...times(6, 2), ...times(37, 1), ...times(7, -1)],
);
const offsets = kind(
  { bases: range(OFFSET_CODE_MAX + 1).map(code => 2 ** code), bits: range(OFFSET_CODE_MAX + 1) },
  8,
  5,
  [...times(6, 1), ...times(3, 2), ...times(15, 1), ...times(5, -1)],
);

const USUAL = 0;
const SINGLE = 1;
const DESCRIBED = 2;
const READ_MAX = 24;

export class ZstdSequences {
  #literalLengths: FseTable | undefined;
  #offsets: FseTable | undefined;
  #matchLengths: FseTable | undefined;
  /** The last three offsets, which have short codes. */
  #last = 1;
  #second = 4;
  #third = 8;

  /** Runs the sequences that stand in `block` from `start` to `end`. Needs padding behind it. */
  run(
    block: { readonly bytes: Buffer; readonly start: number; readonly end: number },
    literals: { readonly bytes: Buffer; readonly start: number; readonly end: number },
    window: ZstdWindow,
  ): void {
    const { bytes, end } = block;
    const { count, at } = readCount(bytes, block.start, end);
    let used = literals.start;
    if (count > 0) {
      const stream = this.#readTables(bytes, at, end);
      used = this.#runAll(count, new BackwardBits(bytes, stream, end), literals, window);
    } else if (at !== end) throw damaged();
    window.append(literals.bytes, used, literals.end - used);
  }

  #readTables(bytes: Buffer, start: number, end: number): number {
    const modes = start < end ? bytes.readUInt8(start) : 3;
    if ((modes & 3) !== 0) throw damaged();
    let at = start + 1;
    const read = (kind: Kind, shift: number, old: FseTable | undefined): FseTable => {
      const mode = (modes >> shift) & 3;
      if (mode === USUAL) return kind.usual;
      if (mode === SINGLE && at < end) return FseTable.single(bytes.readUInt8(at++), kind.meaning);
      if (mode === DESCRIBED && at < end) {
        const head = readFrequencies(bytes, at, end, kind.logMax);
        at = head.end;
        return new FseTable(head.frequencies, head.log, kind.meaning);
      }
      if (old === undefined || mode <= DESCRIBED) throw damaged();
      return old;
    };
    this.#literalLengths = read(literalLengths, 6, this.#literalLengths);
    this.#offsets = read(offsets, 4, this.#offsets);
    this.#matchLengths = read(matchLengths, 2, this.#matchLengths);
    return at;
  }

  /** Returns up to where the literals are used. */
  #runAll(
    count: number,
    bits: BackwardBits,
    literals: { readonly bytes: Buffer; readonly start: number; readonly end: number },
    window: ZstdWindow,
  ): number {
    const lengthTable = this.#literalLengths;
    const offsetTable = this.#offsets;
    const matchTable = this.#matchLengths;
    if (!lengthTable || !offsetTable || !matchTable) throw damaged();
    const { view, start } = bits;
    const { buffer, byteOffset, byteLength } = literals.bytes;
    const source = new DataView(buffer, byteOffset, byteLength);
    const wordAt = (bit: number): number => view.getInt32(start + (bit >> 3), true) >>> (bit & 7);
    let lengthState = bits.read(lengthTable.log);
    let offsetState = bits.read(offsetTable.log);
    let matchState = bits.read(matchTable.log);
    let at = bits.left;
    let used = literals.start;
    // The busiest loop of all: what it needs is in variables, and read as seldom as can be.
    for (let left = count; ; left -= 1) {
      const lengthStep = lengthTable.steps[lengthState] ?? 0;
      const offsetStep = offsetTable.steps[offsetState] ?? 0;
      const matchStep = matchTable.steps[matchState] ?? 0;
      let width = offsetStep >> BASE_BITS;
      at -= width;
      let code = offsetTable.bases[offsetState] ?? 0;
      code += width <= READ_MAX ? wordAt(at) & ((1 << width) - 1) : wideAt(view, start, at, width);
      width = matchStep >> BASE_BITS;
      at -= width;
      const match = (matchTable.bases[matchState] ?? 0) + (wordAt(at) & ((1 << width) - 1));
      width = lengthStep >> BASE_BITS;
      at -= width;
      const length = (lengthTable.bases[lengthState] ?? 0) + (wordAt(at) & ((1 << width) - 1));
      if (used + length > literals.end) throw damaged();
      if (length < NATIVE_COPY_MIN) window.appendFew(source, used, length);
      else window.append(literals.bytes, used, length);
      used += length;
      window.repeat(this.#offset(code, length), match);
      if (left === 1) break;
      width = (lengthStep >> NEXT_BITS) & BITS_MASK;
      at -= width;
      lengthState = (lengthStep & NEXT_MASK) + (wordAt(at) & ((1 << width) - 1));
      width = (matchStep >> NEXT_BITS) & BITS_MASK;
      at -= width;
      matchState = (matchStep & NEXT_MASK) + (wordAt(at) & ((1 << width) - 1));
      width = (offsetStep >> NEXT_BITS) & BITS_MASK;
      at -= width;
      offsetState = (offsetStep & NEXT_MASK) + (wordAt(at) & ((1 << width) - 1));
    }
    if (at !== 0) throw damaged();
    return used;
  }

  /** Codes up to three stand for the last offsets, one further where no literal comes in between. */
  #offset(code: number, literalLength: number): number {
    if (code > 3) {
      this.#third = this.#second;
      this.#second = this.#last;
      this.#last = code - 3;
      return this.#last;
    }
    const which = literalLength === 0 ? code + 1 : code;
    if (which === 1) return this.#last;
    const offset = which === 2 ? this.#second : which === 3 ? this.#third : this.#last - 1;
    if (offset <= 0) throw damaged();
    if (which > 2) this.#third = this.#second;
    this.#second = this.#last;
    this.#last = offset;
    return offset;
  }
}

function wideAt(view: DataView, start: number, bit: number, width: number): number {
  const low = view.getInt32(start + (bit >> 3), true) >>> (bit & 7);
  const high = view.getInt32(start + ((bit + 16) >> 3), true) >>> (bit & 7);
  return (low & 0xffff) + (high & ((1 << (width - 16)) - 1)) * 2 ** 16;
}

function readCount(bytes: Buffer, start: number, end: number): { count: number; at: number } {
  const first = start < end ? bytes.readUInt8(start) : 255;
  const size = first < 128 ? 1 : first < 255 ? 2 : 3;
  if (start + size > end) throw damaged();
  if (size === 1) return { count: first, at: start + 1 };
  if (size === 2) {
    return { count: ((first - 128) << 8) + bytes.readUInt8(start + 1), at: start + 2 };
  }
  return { count: bytes.readUInt16LE(start + 1) + 0x7f00, at: start + 3 };
}

function damaged(): DamagedDataError {
  return new DamagedDataError("its compressed data is damaged (a sequence)");
}
