/**
 * A plain consumer: asks the broker for more as soon as it has an answer, which the broker gives as soon
 * as it has a record. Notes when each row came; tells all it has noted when it is asked.
 */
import { KafkaConnection, readBatches } from "../test/verify/kafka-wire.ts";
import { nowMs } from "./now.ts";

export interface ArrivalsTask {
  readonly brokers: readonly string[];
  readonly topic: string;
}

export interface Arrivals {
  readonly ids: readonly number[];
  readonly atMs: readonly number[];
}

async function follow({ brokers, topic }: ArrivalsTask): Promise<void> {
  const ids: number[] = [];
  const atMs: number[] = [];
  process.on("message", () => process.send?.({ ids, atMs } satisfies Arrivals));
  const [host = "", port = ""] = (brokers[0] ?? "").split(":");
  const connection = await KafkaConnection.open(host, Number(port));
  let offset = 0;
  for (let isFirst = true; ; isFirst = false) {
    const [fetched] = await connection.fetch([{ topic, partition: 0, leader: -1, offset }]);
    const cameMs = nowMs();
    if (fetched === undefined || fetched.errorCode !== 0) {
      throw new Error(`${topic} cannot be read: error ${fetched?.errorCode ?? "none"}`);
    }
    offset = readBatches(fetched.records, offset, ({ key }) => {
      ids.push((JSON.parse(key?.toString() ?? "") as { readonly id: number }).id);
      atMs.push(cameMs);
    });
    if (isFirst) process.send?.("ready");
  }
}

process.on("disconnect", () => process.exit());
await follow(JSON.parse(process.argv[2] ?? "") as ArrivalsTask);
