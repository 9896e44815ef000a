/**
 * What a pipeline does around a file sink and a file commit log, and nothing else: messages 0, 1, 2 …
 * from the checkpoint on, and now and then a checkpoint. Its parent kills it.
 *
 *   node file-crash-child.mjs FOLDER [COUNT]
 *
 * Says `ready <n>` once it begins at message n, and `checkpoint <n>` when one is durable. Ends by itself
 * after COUNT messages, if given.
 */
import { writeSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../src/core/clock.ts";
import type { Logger } from "../../src/core/logger.ts";
import type { NextOffsets } from "../../src/core/checkpoint.ts";
import { FileSink } from "../../src/sinks/file-sink.ts";
import type { Message } from "../../src/sinks/sink.ts";
import { CommitLogFile } from "../../src/watcher/commit-log-file.ts";

const [dir = "", count = "Infinity"] = process.argv.slice(2);
const path = join(dir, "out.jsonl");
const { signal } = new AbortController();
const say = (text: string): void => void writeSync(1, `${text}\n`);
const silent = (): undefined => undefined;
const silentLogger: Logger = {
  debug: silent,
  info: silent,
  warn: silent,
  error: silent,
  child: () => silentLogger,
};
const common = { clock: systemClock, logger: silentLogger };

/** Every seventh message is a tombstone, which has no line; lengths differ. */
function message(n: number): Message {
  const value = JSON.stringify({ n, filler: "x".repeat((n * 37) % 400) });
  return {
    seq: n,
    index: 0,
    bytes: value.length,
    id: String(n),
    destination: path,
    partitionKey: Buffer.from("k"),
    key: null,
    value: n % 7 === 6 ? null : Buffer.from(value),
    transaction: "t",
    position: "p",
    table: "shop.orders",
    operation: "insert",
    keyed: true,
  };
}

function record(position: number, sequence: number, generation: number, nextOffsets: NextOffsets) {
  return {
    version: 1,
    reader: "none",
    pipeline: "crash",
    generation,
    sequence,
    written_at: new Date().toISOString(),
    server_uuid: "",
    file: "binlog.000001",
    file_created: 1,
    position,
    gtid_set: "",
    anonymous: false,
    transaction: null,
    event_time: null,
    delivery: "effectively-once",
    output: "",
    next_offsets: nextOffsets,
    snapshot: null,
  } as const;
}

const log = new CommitLogFile({ dir, pipeline: "crash", ...common });
const found = await log.open(signal);
const generation = (found?.generation ?? 0) + 1;
let sequence = 0;
let released = found?.position ?? 0;
let offset = found?.next_offsets[path]?.["0"] ?? 0;
const append = async (): Promise<void> => {
  const position = released;
  const nextOffsets = { [path]: { "0": offset } };
  await log.append(record(position, sequence, generation, nextOffsets), signal);
  sequence += 1;
  say(`checkpoint ${position}`);
};
if (found !== undefined) await append();

const sink = new FileSink({
  path,
  envelope: false,
  delivery: "effectively-once",
  backlogBytesMax: 64 * 1024,
  ...common,
});
await sink.open(
  { nextOffsets: found?.next_offsets, destinations: [path], sameServer: true, sameOutput: true },
  {
    delivered: (done, place) => {
      if (done.seq !== released) throw new Error(`${done.seq} delivered instead of ${released}`);
      released += 1;
      offset = place?.nextOffset ?? offset;
    },
    refused: (_message, error) => Promise.reject(error),
    failed: error => {
      throw error;
    },
    claim: () => Promise.resolve(),
  },
  signal,
);
if (found === undefined) await append();
say(`ready ${released}`);

const end = Number(count);
const watch = async (): Promise<void> => {
  while (released < end) {
    await new Promise(resolve => setTimeout(resolve, 7));
    await append();
  }
};
const watching = watch();
for (let n = released; n < end; n += 5) {
  await sink.room(signal);
  sink.write(Array.from({ length: Math.min(5, end - n) }, (_, i) => message(n + i)));
  await new Promise(resolve => setImmediate(resolve));
}
await watching;
await sink.close();
await log.close();
