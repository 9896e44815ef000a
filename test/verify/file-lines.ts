/** Whole lines of a file that grows, each once. */
import { closeSync, existsSync, fstatSync, openSync, readSync } from "node:fs";

const CHUNK_BYTES = 1 << 20;

export class FileLines {
  readonly #path: string;
  /** After the last whole line that was read. */
  #at = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /** Returns where the file ends now. */
  readToEnd(visit: (line: string) => void): number {
    if (!existsSync(this.#path)) return 0;
    const file = openSync(this.#path, "r");
    try {
      const end = fstatSync(file).size;
      let pending = Buffer.alloc(0);
      let at = this.#at;
      while (at < end) {
        const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, end - at));
        const length = readSync(file, chunk, 0, chunk.length, at);
        if (length === 0) break;
        at += length;
        pending = Buffer.concat([pending, chunk.subarray(0, length)]);
        let start = 0;
        for (;;) {
          const lineEnd = pending.indexOf(10, start);
          if (lineEnd < 0) break;
          visit(pending.toString("utf8", start, lineEnd));
          this.#at += lineEnd + 1 - start;
          start = lineEnd + 1;
        }
        pending = pending.subarray(start);
      }
      return end;
    } finally {
      closeSync(file);
    }
  }
}
