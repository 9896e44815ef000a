/** Random text, as SQL: of all scripts, and of each byte that a set of single bytes has. */
import type { Random } from "../random.ts";

export interface Charset {
  readonly name: string;
  /** Bytes of its longest character. */
  readonly maxBytes: number;
  readonly collations: readonly string[];
}

/** First and last character of stretches that one character set or another has. */
const SCRIPTS: readonly (readonly [number, number])[] = [
  ...([
    [0x20, 0x7e],
    [0x01, 0x1f],
    [0x7f, 0x9f],
    [0xa0, 0xff],
    [0x100, 0x24f],
    [0x370, 0x3ff],
    [0x400, 0x45f],
    [0x531, 0x587],
    [0x5d0, 0x5ea],
    [0x621, 0x64a],
    [0xe01, 0xe3a],
    [0x10d0, 0x10f6],
    [0x1ea0, 0x1ef9],
    [0x2010, 0x203a],
    [0x2190, 0x22ff],
    [0x2460, 0x24ff],
    [0x2500, 0x257f],
    [0x3041, 0x30fe],
    [0x4e00, 0x9fa5],
    [0xac00, 0xd7a3],
    [0xe000, 0xe0ff],
    [0xf900, 0xfa2d],
    [0xff01, 0xff9f],
    [0x1f600, 0x1f64f],
    [0x20000, 0x200ff],
  ] as const),
];

/** Where the lower half is not ASCII, or a byte above it is no character. */
const NO_RANDOM_BYTES: ReadonlySet<string> = new Set(["ascii", "swe7"]);

export function quoted(text: string): string {
  return `'${text.replace(/[\\']/g, char => (char === "'" ? "''" : "\\\\"))}'`;
}

export function hexLiteral(bytes: Buffer): string {
  return bytes.length === 0 ? "''" : `x'${bytes.toString("hex")}'`;
}

export function randomBytes(random: Random, length: number): Buffer {
  // Zeros and spaces at the end are what a decoder cuts off by mistake.
  const filler = random.pick([0x00, 0x20, 0xff]);
  const bytes = Buffer.alloc(length);
  const filled = random.chance(0.2) ? random.int(0, length) : length;
  for (let i = 0; i < length; i += 1) {
    bytes[i] = i < filled ? random.int(0, 255) : filler;
  }
  return bytes;
}

export function randomText(random: Random, length: number): string {
  let text = "";
  let [first, last] = random.pick(SCRIPTS);
  for (let i = 0; i < length; i += 1) {
    if (random.chance(0.2)) [first, last] = random.pick(SCRIPTS);
    text += String.fromCodePoint(random.int(first, last));
  }
  return text;
}

/** @param longest in characters */
export function textValue(random: Random, charset: Charset, longest: number): string {
  const length = random.chance(0.15)
    ? random.pick([0, 1, longest, longest + 1])
    : random.int(0, Math.min(longest, random.chance(0.1) ? 2_000 : 40));
  if (charset.maxBytes === 1 && !NO_RANDOM_BYTES.has(charset.name) && random.chance(0.6)) {
    const bytes = randomBytes(random, Math.min(length, longest));
    return `CONVERT(${bytesExpression(bytes)} USING ${charset.name})`;
  }
  if (length > 3_000) return `REPEAT(${quoted(randomText(random, 7))}, ${Math.ceil(length / 7)})`;
  const tail = random.chance(0.1) ? " ".repeat(random.int(1, 3)) : "";
  return quoted(randomText(random, length) + tail);
}

function bytesExpression(bytes: Buffer): string {
  return `CAST(${hexLiteral(bytes)} AS BINARY)`;
}
