/** Dead letters in a file, read again: one a line. */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { systemCode } from "../core/files.ts";
import type { Place } from "./sink.ts";

const LINE_FEED = 0x0a;

/** 0 for a file that is not there. */
export async function fileLength(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (systemCode(error) === "ENOENT") return 0;
    throw error;
  }
}

/** The whole lines from `start` on, each with the place after it; a torn last line is left out. */
export async function* linesOf(
  path: string,
  start: number,
): AsyncGenerator<{ readonly data: Buffer; readonly place: Place }> {
  if ((await fileLength(path)) <= start) return;
  let rest: Buffer = Buffer.alloc(0);
  let nextOffset = start;
  for await (const piece of createReadStream(path, { start }) as AsyncIterable<Buffer>) {
    let data = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
    for (let end = data.indexOf(LINE_FEED); end >= 0; end = data.indexOf(LINE_FEED)) {
      nextOffset += end + 1;
      yield { data: data.subarray(0, end), place: { destination: path, partition: 0, nextOffset } };
      data = data.subarray(end + 1);
    }
    rest = data;
  }
}
