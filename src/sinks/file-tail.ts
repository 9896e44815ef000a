/** Lines of a file, read in pieces: a tail may be larger than memory. */
import type { FileHandle } from "node:fs/promises";

const LINE_FEED = 0x0a;
const PIECE_BYTES = 256 * 1024;

/** Walks from line end to line end. */
export class LineEnds {
  readonly #handle: FileHandle;
  readonly #piece = Buffer.allocUnsafe(PIECE_BYTES);
  /** Where in the file the piece begins, how much of it is read, and how far into it we are. */
  #pieceAt: number;
  #pieceBytes = 0;
  #at = 0;

  constructor(handle: FileHandle, from: number) {
    this.#handle = handle;
    this.#pieceAt = from;
  }

  /** The byte offset after the next line feed, or undefined if none follows. */
  async next(): Promise<number | undefined> {
    for (;;) {
      const found = this.#piece.subarray(0, this.#pieceBytes).indexOf(LINE_FEED, this.#at);
      if (found >= 0) {
        this.#at = found + 1;
        return this.#pieceAt + this.#at;
      }
      const nextAt = this.#pieceAt + this.#pieceBytes;
      const { bytesRead } = await this.#handle.read(this.#piece, 0, PIECE_BYTES, nextAt);
      if (bytesRead === 0) return undefined;
      this.#pieceAt = nextAt;
      this.#pieceBytes = bytesRead;
      this.#at = 0;
    }
  }
}

/** How many whole lines stand after `from`, and where the last of them ends. */
export async function countLines(
  handle: FileHandle,
  from: number,
): Promise<{ lines: number; end: number }> {
  const ends = new LineEnds(handle, from);
  let lines = 0;
  let end = from;
  for (let next = await ends.next(); next !== undefined; next = await ends.next()) {
    lines++;
    end = next;
  }
  return { lines, end };
}

/** Whether a line can begin at `offset`: at the start of the file, or after a line feed. */
export async function isLineStart(handle: FileHandle, offset: number): Promise<boolean> {
  if (offset === 0) return true;
  const byte = Buffer.alloc(1);
  const { bytesRead } = await handle.read(byte, 0, 1, offset - 1);
  return bytesRead === 1 && byte[0] === LINE_FEED;
}
