/** Which transactions have messages in the tails, where another server is to be read that may not have them. */
import { PartitionReader, type ReaderOptions } from "./partition-reader.ts";
import type { Target } from "./target-topics.ts";

export interface ArrivedOptions extends Omit<ReaderOptions, "topic" | "partition"> {
  readonly pipeline: string;
}

/** Reads every tail through once. Only the ids of transactions are kept. */
export async function arrivedTransactions(
  targets: Iterable<Target>,
  { pipeline, ...options }: ArrivedOptions,
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  const reads = [...targets].flatMap(({ topic, partitions }) =>
    partitions.map(async ({ tail }, partition) => {
      if (tail === undefined) return;
      const reader = new PartitionReader({ ...options, topic, partition }, tail.start);
      for await (const records of reader.until(tail.end, signal)) {
        for (const record of records) {
          const id = record.header("transaction");
          if (id !== undefined && record.header("pipeline") === pipeline) found.add(id);
        }
      }
    }),
  );
  await Promise.all(reads);
  return found;
}
