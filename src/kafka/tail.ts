/**
 * What of the replay after a restart has already arrived: the records of ours behind the checkpoint.
 *
 *   lane's messages   m3 m4 m5 m6 m7 …
 *   tail, ours only   m3 m4 m6 ▏end, fixed at the start
 *                     ══ ══ ╰ first difference: m5 and all that follow are sent
 *
 * A message is skipped as long as its id equals that of the tail's next record, in order. Compaction,
 * retention or changed routing make a difference; then messages repeat, but none is lost, and no older
 * value comes last. (Ids are compared and not bytes, which hold processing times.)
 *
 * Rows of a table without primary key may stand in another order on another server, under the same ids: so
 * they must come from the same place of a binlog too. After two moves the tail may hold records of a server
 * that the checkpoint no longer names.
 *
 * Rows of a snapshot have no fixed place among the changes: their ids are collected (`lane.found`), and each
 * that comes again is skipped, unless there was a difference. They come only when every change that can
 * stand in a tail was handed out.
 */
import type { Message } from "../sinks/sink.ts";
import type { Lane } from "./lane.ts";
import type { PartitionReader } from "./partition-reader.ts";

export interface TailOptions {
  /** Stands where rows of a snapshot may begin. */
  readonly reader: PartitionReader;
  readonly tail: { readonly start: number; readonly end: number };
  readonly pipeline: string;
  /** False on another server: rows of a table without primary key may stand in another order there. */
  readonly sameServer: boolean;
  readonly delivered: (lane: Lane, message: Message, nextOffset: number) => void;
}

const isSnapshot = (id: string | undefined): boolean => id?.startsWith("snapshot/") ?? false;
const isHeartbeat = (id: string | undefined): boolean => id?.startsWith("heartbeat/") ?? false;

/** Takes the messages that have arrived off the lane. Resolves at the first that has not. */
export async function skipDelivered(
  lane: Lane,
  { reader, tail, pipeline, sameServer, delivered }: TailOptions,
  signal: AbortSignal,
): Promise<void> {
  /** Heartbeats have no fixed place in the stream: ours wait until the comparison is over. */
  const heartbeats: Message[] = [];
  const next = async (): Promise<Message> => {
    for (;;) {
      const message = await lane.first(signal);
      if (!isHeartbeat(message.id)) return message;
      heartbeats.push(message);
      lane.shift();
    }
  };
  try {
    for await (const found of idsOf(reader, { end: tail.end, pipeline }, signal)) {
      const { id, position, offset } = found;
      if (id !== undefined && isSnapshot(id)) lane.found.add(id);
      if (isSnapshot(id) || offset < tail.start) continue;
      const message = await next();
      const comparable = message.keyed || (sameServer && message.position === position);
      const equal = __MUTANT__ === "skip-without-compare" || message.id === id;
      if (!comparable || !equal) {
        lane.found.clear();
        return;
      }
      lane.shift();
      delivered(lane, message, offset + 1);
    }
  } finally {
    if (heartbeats.length > 0) lane.unshift(heartbeats);
  }
}

interface TailRecord {
  readonly id: string | undefined;
  readonly position: string | undefined;
  readonly offset: number;
}

async function* idsOf(
  reader: PartitionReader,
  { end, pipeline }: { end: number; pipeline: string },
  signal: AbortSignal,
): AsyncGenerator<TailRecord> {
  for await (const records of reader.until(end, signal)) {
    // Only the ids are kept while we wait for the replay, not the records.
    const ours = records
      .filter(record => record.header("pipeline") === pipeline)
      .map(record => ({
        id: record.header("id"),
        position: record.header("position"),
        offset: record.offset,
      }))
      .filter(({ id }) => !isHeartbeat(id));
    yield* ours;
  }
}
