/** What a topic holds of the orders workload, and when the broker took it. */
import { createHash } from "node:crypto";
import { Consumer } from "../test/verify/consumer.ts";
import type { Counts } from "./workload.ts";

export interface Contents {
  /** `r`: rows that were read. */
  readonly counts: Counts & { readonly r: number };
  /** Of keys, operations and rows, in their order: equal if the messages are, but for source and times. */
  readonly digest: string;
  /** From the first record to the last, by the broker's clock. */
  readonly appendingSeconds: number;
}

type Row = { readonly tags: string } | null;

interface Envelope {
  readonly op: "c" | "u" | "d" | "r";
  readonly before: Row;
  readonly after: Row;
}

export async function readContents(brokers: readonly string[], topic: string): Promise<Contents> {
  const counts = { c: 0, u: 0, d: 0, r: 0, tombstones: 0 };
  const digest = createHash("sha256");
  let [firstMs, lastMs] = [Infinity, -Infinity];
  const consumer = new Consumer(brokers, name => name === topic);
  try {
    await consumer.readToEnd(({ key, value, timestampMs }) => {
      firstMs = Math.min(firstMs, timestampMs);
      lastMs = Math.max(lastMs, timestampMs);
      digest.update(key ?? "");
      if (value === null) {
        counts.tombstones += 1;
        return;
      }
      const { op, before, after } = JSON.parse(value.toString()) as Envelope;
      counts[op] += 1;
      digest.update(JSON.stringify([op, comparable(before), comparable(after)]));
    });
  } finally {
    consumer.close();
  }
  const appendingSeconds = (lastMs - firstMs) / 1_000;
  return { counts, digest: digest.digest("hex"), appendingSeconds };
}

/** The spaces in a JSON column's text say nothing: MySQL shows some, and Debezium none. */
function comparable(row: Row): unknown {
  return row && { ...row, tags: JSON.parse(row.tags) as unknown };
}
