/** What the packed files in this folder hold, made again from a seed. */
import { between, seededRandom } from "../../support/random.ts";

/** Words of a small vocabulary, as in text columns. */
function words(bytes: number): Buffer {
  const random = seededRandom(11);
  const known = Array.from({ length: 300 }, () => between(random, 1, 1e9).toString(36));
  const parts: string[] = [];
  for (let length = 0; length < bytes;) {
    const word = known[between(random, 0, between(random, 0, 299))] ?? "";
    parts.push(word);
    length += word.length + 1;
  }
  return Buffer.from(parts.join(" ").slice(0, bytes));
}

/** Rows whose columns hardly change from one to the next. */
function rows(count: number): Buffer {
  const random = seededRandom(12);
  const bytes = Buffer.alloc(count * 24, 7);
  for (let row = 0; row < count; row += 1) {
    bytes.writeUInt32LE(row, row * 24);
    bytes.writeUInt8(between(random, 0, 3), row * 24 + 9);
    if (row % 5 === 0) bytes.writeUInt16LE(between(random, 0, 65_535), row * 24 + 15);
  }
  return bytes;
}

function noise(bytes: number): Buffer {
  const random = seededRandom(13);
  return Buffer.from(Array.from({ length: bytes }, () => between(random, 0, 255)));
}

/** By name of the file, without `.zst`. */
export const contents: Readonly<Record<string, () => Buffer>> = {
  empty: () => Buffer.alloc(0),
  "words-1": () => words(150_000),
  "words-3": () => words(300_000),
  "words-19": () => words(300_000),
  "words-small": () => words(500),
  "words-checked": () => words(150_000),
  "rows-3": () => rows(20_000),
  "rows-22": () => rows(20_000),
  noise: () => noise(3_000),
  "one-byte": () => Buffer.alloc(1_000_000, 0x61),
  "far-apart": () => Buffer.concat([noise(3_000), Buffer.alloc(3_000_000), noise(3_000)]),
  "two-frames": () => Buffer.concat([words(2_000), rows(100)]),
};
