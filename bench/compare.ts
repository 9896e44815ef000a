/** Tidemark beside others, on the same workload, in the same run: everything is written first. */
import type { RowDataPacket } from "mysql2/promise";
import { FileCompare, type FileComparison } from "./compare-file.ts";
import { KafkaCompare, type KafkaComparison } from "./compare-kafka.ts";
import { debeziumMemory } from "./debezium.ts";
import type { BenchOptions } from "./options.ts";
import { openSource, startServers } from "./pipeline.ts";
import { expectedCounts, loadOrders, rowChanges } from "./workload.ts";

export interface CompareResult {
  readonly scenario: "compare";
  readonly rows: number;
  readonly rounds: number;
  readonly kafka: KafkaComparison;
  readonly file: FileComparison;
}

/** Debezium leaves it to the broker to make its topics; what the broker took, it stamps. */
export const brokerProperties = {
  "auto.create.topics.enable": "true",
  "log.message.timestamp.type": "LogAppendTime",
};

export async function benchCompare(
  { transactions, rounds }: Pick<BenchOptions, "transactions" | "rounds">,
  say: (text: string) => void,
): Promise<CompareResult> {
  const { mysql, kafka, bundle } = await startServers(say, { properties: brokerProperties });
  const connection = await openSource(mysql);
  say("letting Debezium begin");
  const memory = await debeziumMemory({ mysql, kafka }, connection);
  const expected = expectedCounts(transactions);
  say(`loading ${rowChanges(expected)} row changes`);
  await loadOrders(connection, transactions);
  const [[first]] = await connection.query<RowDataPacket[]>("SHOW BINARY LOGS");
  await connection.end();
  const file = String(first?.["Log_name"]);
  const toKafka = new KafkaCompare({ mysql, kafka, bundle, memory }, expected, say);
  const toFile = new FileCompare({ mysql, bundle, file }, expected, say);
  for (let round = 1; round <= rounds; round += 1) {
    await toFile.round(round);
    await toKafka.round(round);
  }
  await Promise.all([mysql.stop(), kafka.stop()]);
  const rows = rowChanges(expected);
  return { scenario: "compare", rows, rounds, kafka: toKafka.result(), file: toFile.result() };
}
