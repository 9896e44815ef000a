/** Whether something that may be printed nowhere was printed. */
import { closeSync, openSync, readSync } from "node:fs";

const CHUNK_BYTES = 1 << 20;

/** As it is, or as it stands in a URL. */
export function holdsSecret(text: string, secret: string): boolean {
  return text.includes(secret) || text.includes(encodeURIComponent(secret));
}

/** Reads a file of any size; one that is not there holds nothing. */
export function fileHoldsSecret(path: string, secret: string): boolean {
  const chunk = Buffer.alloc(CHUNK_BYTES);
  let file: number;
  try {
    file = openSync(path, "r");
  } catch {
    return false;
  }
  try {
    let before = "";
    for (;;) {
      const size = readSync(file, chunk);
      if (size === 0) return false;
      const text = before + chunk.toString("latin1", 0, size);
      if (holdsSecret(text, secret)) return true;
      // It may lie across the border of two chunks.
      before = text.slice(-3 * secret.length);
    }
  } finally {
    closeSync(file);
  }
}
