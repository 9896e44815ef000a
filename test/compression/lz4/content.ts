/** What the packed files in this folder hold, made again from a seed, and how they were packed. */
import { between, seededRandom } from "../../support/random.ts";

/** A paragraph again and again, so that blocks have much in common. */
export function content(): Buffer {
  const random = seededRandom(21);
  const words = Array.from({ length: 400 }, () => between(random, 1, 1e6).toString(36));
  return Buffer.from(words.join(" ").repeat(80));
}

/** By name of the file, without `.lz4`. */
export const options: Readonly<Record<string, readonly string[]>> = {
  "linked-blocks": ["-1", "-B4", "-BD"],
  "all-checksums": ["-9", "-B5", "-BI", "-BX", "--content-size"],
  "large-blocks": ["-12", "-B7", "-BI", "--no-frame-crc"],
};
