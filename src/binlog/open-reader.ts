/** The readers that there are, by the names of `source.reader`. */
import { NativeDump } from "./native-dump.ts";
import { PulledReader, type MakeDump, type ReaderOptions } from "./pulled-reader.ts";
import type { BinlogReader } from "./reader.ts";
import { ZongjiDump } from "./zongji-dump.ts";

export type ReaderName = "native" | "zongji";

const dumps: Readonly<Record<ReaderName, MakeDump>> = {
  native: (options, handlers) => new NativeDump(options, handlers),
  zongji: (options, handlers) => new ZongjiDump(options, handlers),
};

export function openReader(name: ReaderName, options: ReaderOptions): BinlogReader {
  return new PulledReader(dumps[name], options);
}
