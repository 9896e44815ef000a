/** The code of zstd's literals: bytes that are frequent take few bits, at most eleven. */
import { BackwardBits } from "./zstd-bits.ts";
import { DamagedDataError } from "./damaged-data.ts";
import { FseTable, readFrequencies } from "./zstd-fse.ts";

const BITS_MAX = 11;
const WEIGHTS_LOG_MAX = 6;
const WEIGHTS_MAX = 255;

export class HuffmanTable {
  readonly #bits: number;
  /** By the next `#bits` bits: the byte, and above it how many bits it takes. */
  readonly #entries: Uint16Array;
  /** Where what follows the description of the table begins. */
  readonly end: number;

  /** Needs `BITS_PADDING` bytes behind `limit`. */
  constructor(bytes: Buffer, start: number, limit: number) {
    const head = bytes.readUInt8(start);
    const isPlain = head >= 128;
    this.end = start + 1 + (isPlain ? (head - 126) >> 1 : head);
    if (this.end > limit) throw damaged();
    const weights = isPlain
      ? plainWeights(bytes, start + 1, head - 127)
      : packedWeights(bytes, start + 1, this.end);
    let sum = 0;
    for (const weight of weights) sum += weight > 0 ? 1 << (weight - 1) : 0;
    // The last weight is what is missing to a power of two.
    this.#bits = 32 - Math.clz32(sum);
    const rest = (1 << this.#bits) - sum;
    if (sum === 0 || this.#bits > BITS_MAX || (rest & (rest - 1)) !== 0) throw damaged();
    weights.push(32 - Math.clz32(rest));
    this.#entries = tableOf(weights, this.#bits);
  }

  /** Unpacks the stream into `target`, which it has to fill from `from` to `to`. */
  decode(bits: BackwardBits, target: Buffer, from: number, to: number): void {
    const width = this.#bits;
    const entries = this.#entries;
    let state = bits.read(width);
    const mask = (1 << width) - 1;
    for (let at = from; at < to; at += 1) {
      const entry = entries[state] ?? 0;
      target[at] = entry;
      const count = entry >> 8;
      state = ((state << count) & mask) | bits.read(count);
    }
    // The state is ahead by as many bits as it is wide.
    if (bits.left !== -width) throw damaged();
  }
}

function tableOf(weights: readonly number[], bits: number): Uint16Array {
  const entries = new Uint16Array(1 << bits);
  let at = 0;
  for (let weight = 1; weight <= bits; weight += 1) {
    const span = 1 << (weight - 1);
    for (const [byte, its] of weights.entries()) {
      if (its !== weight) continue;
      entries.fill(((bits + 1 - weight) << 8) | byte, at, at + span);
      at += span;
    }
  }
  return entries;
}

function plainWeights(bytes: Buffer, start: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => {
    const two = bytes.readUInt8(start + (i >> 1));
    return i % 2 === 0 ? two >> 4 : two & 15;
  });
}

/** Two states take turns. The stream ends where one of them would need bits that are not there. */
function packedWeights(bytes: Buffer, start: number, end: number): number[] {
  const head = readFrequencies(bytes, start, end, WEIGHTS_LOG_MAX);
  const table = new FseTable(head.frequencies, head.log);
  const bits = new BackwardBits(bytes, head.end, end);
  const weights: number[] = [];
  let state = bits.read(table.log);
  let other = bits.read(table.log);
  if (bits.left < 0) throw damaged();
  while (weights.length < WEIGHTS_MAX) {
    weights.push(table.codes[state] ?? 0);
    state = table.next(state, bits);
    if (bits.left < 0) {
      weights.push(table.codes[other] ?? 0);
      if (weights.length > WEIGHTS_MAX) throw damaged();
      return weights;
    }
    [state, other] = [other, state];
  }
  throw damaged();
}

function damaged(): DamagedDataError {
  return new DamagedDataError("its compressed data is damaged (a Huffman code)");
}
