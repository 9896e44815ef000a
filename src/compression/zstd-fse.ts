/**
 * The tables of finite state entropy, by which zstd packs small numbers (codes): each state stands for a
 * code, and says how many bits lead to the next state.
 */
import type { BackwardBits } from "./zstd-bits.ts";
import { DamagedDataError } from "./damaged-data.ts";

/** What a code means: a number, and how many bits are to be added to it. */
export interface Meaning {
  readonly bases: readonly number[];
  readonly bits: readonly number[];
}

/** A code that is less frequent than one in as many as there are states. */
const RARE = -1;
const LOG_MIN = 5;

/** The parts of a step. */
export const NEXT_MASK = 0xffff;
export const NEXT_BITS = 16;
export const BASE_BITS = 24;
export const BITS_MASK = 0xff;

export class FseTable {
  readonly log: number;
  /** By state. */
  readonly codes: Uint8Array;
  /** By state: the lowest next state, the number of bits to be added to it, and the bits of its base. */
  readonly steps: Int32Array;
  /** By state: the number that its code begins with. */
  readonly bases: Int32Array;

  constructor(frequencies: readonly number[], log: number, meaning?: Meaning) {
    const size = 1 << log;
    this.log = log;
    this.codes = spread(frequencies, size);
    this.steps = new Int32Array(size);
    this.bases = new Int32Array(size);
    const met = frequencies.map(frequency => Math.abs(frequency));
    for (let state = 0; state < size; state += 1) {
      const code = this.codes[state] ?? 0;
      const count = met[code] ?? 0;
      met[code] = count + 1;
      const bits = log - (31 - Math.clz32(count));
      const baseBits = meaning?.bits[code] ?? 0;
      this.steps[state] = ((count << bits) - size) | (bits << NEXT_BITS) | (baseBits << BASE_BITS);
      if (meaning === undefined) continue;
      const base = meaning.bases[code];
      if (base === undefined) throw new DamagedDataError("its compressed data has an unknown code");
      this.bases[state] = base;
    }
  }

  /** All states stand for the one code. */
  static single(code: number, meaning: Meaning): FseTable {
    const frequencies = new Array<number>(code + 1).fill(0);
    frequencies[code] = 1;
    return new FseTable(frequencies, 0, meaning);
  }

  next(state: number, bits: BackwardBits): number {
    const step = this.steps[state] ?? 0;
    return (step & NEXT_MASK) + bits.read((step >> NEXT_BITS) & BITS_MASK);
  }
}

/** Which state stands for which code. */
function spread(frequencies: readonly number[], size: number): Uint8Array {
  const codes = new Uint8Array(size);
  let high = size;
  for (const [code, frequency] of frequencies.entries()) {
    if (frequency === RARE) codes[--high] = code;
  }
  const step = (size >> 1) + (size >> 3) + 3;
  let at = 0;
  for (const [code, frequency] of frequencies.entries()) {
    for (let i = 0; i < frequency; i += 1) {
      codes[at] = code;
      do at = (at + step) & (size - 1);
      while (at >= high);
    }
  }
  return codes;
}

export interface FseHead {
  readonly frequencies: number[];
  readonly log: number;
  /** Where what follows begins. */
  readonly end: number;
}

/** Reads how frequent each code is. Needs `BITS_PADDING` bytes behind `end`. */
export function readFrequencies(
  bytes: Buffer,
  start: number,
  end: number,
  logMax: number,
): FseHead {
  const log = (bytes.readUInt8(start) & 15) + LOG_MIN;
  if (log > logMax) throw damaged();
  const frequencies: number[] = [];
  let bit = 4;
  const peek = (count: number): number =>
    (bytes.readInt32LE(start + (bit >> 3)) >>> (bit & 7)) & ((1 << count) - 1);
  let remaining = 1 << log;
  while (remaining > 0) {
    if (start + (bit >> 3) >= end) throw damaged();
    const width = 32 - Math.clz32(remaining + 1);
    const threshold = (1 << width) - 2 - remaining;
    const short = peek(width - 1);
    let value = short;
    if (short < threshold) bit += width - 1;
    else {
      value = peek(width);
      if (value >= 1 << (width - 1)) value -= threshold;
      bit += width;
    }
    frequencies.push(value - 1);
    remaining -= Math.abs(value - 1);
    if (value !== 1) continue;
    for (let more = 3; more === 3;) {
      if (start + (bit >> 3) >= end) throw damaged();
      more = peek(2);
      bit += 2;
      for (let i = 0; i < more; i += 1) frequencies.push(0);
    }
  }
  const after = start + ((bit + 7) >> 3);
  if (remaining < 0 || after > end || frequencies.length > 256) throw damaged();
  return { frequencies, log, end: after };
}

function damaged(): DamagedDataError {
  return new DamagedDataError("its compressed data is damaged (a table of frequencies)");
}
