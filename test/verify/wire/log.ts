/** What lies in a partition, batch by batch, as bytes. */
import { join } from "node:path";
import type { Kafka } from "../../../tools/services/services.ts";
import { KafkaConnection, splitBatches, type PartitionPlace } from "../kafka-wire.ts";

/** To the first broker, which is the only one. */
export async function connected<T>(
  kafka: Kafka,
  use: (connection: KafkaConnection) => Promise<T>,
): Promise<T> {
  const [host = "", port = ""] = (kafka.brokers[0] ?? "").split(":");
  const connection = await KafkaConnection.open(host, Number(port));
  try {
    return await use(connection);
  } finally {
    connection.close();
  }
}

export function placeOf(topic: string): PartitionPlace {
  return { topic, partition: 0, leader: -1 };
}

/** All batches of partition 0. */
export function rawBatches(kafka: Kafka, topic: string): Promise<Buffer[]> {
  return connected(kafka, async connection => {
    const end = (await connection.ends([placeOf(topic)])).get(`${topic}/0`) ?? 0;
    const batches: Buffer[] = [];
    for (let offset = 0; offset < end;) {
      const [fetched] = await connection.fetch([{ ...placeOf(topic), offset }]);
      const some = splitBatches(fetched?.records ?? Buffer.alloc(0));
      const last = some.at(-1);
      if (last === undefined) throw new Error(`${topic} has no batch at offset ${offset}.`);
      batches.push(...some);
      offset = Number(last.readBigInt64BE(0)) + last.readInt32BE(23) + 1;
    }
    return batches;
  });
}

/** The file that holds partition 0. */
export function segmentOf(kafka: Kafka, topic: string): string {
  const node = String(kafka.nodes[0]?.id ?? 1);
  return join(kafka.dir, node, "data", `${topic}-0`, `${"0".repeat(20)}.log`);
}
