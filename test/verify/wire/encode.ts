/**
 * Makes our batches of the cases in a file: the one part of the check that runs code of `src`, as its own
 * process, and judges nothing. The batches stand one after the other in the second file.
 *
 *   node tools/run.mjs test/verify/wire/encode.ts CASES BATCHES
 */
import { readFileSync, writeFileSync } from "node:fs";
import { encodeBatch } from "../../../src/kafka/record-batch.ts";
import { readCases } from "./cases.ts";

const [cases = "", batches = ""] = process.argv.slice(2);
/** By topic: its producer id and the next sequence number. */
const producers = new Map<string, { id: bigint; sequence: number }>();
const none = { producerId: -1n, producerEpoch: -1, firstSequence: -1 };

const encoded = readCases(readFileSync(cases)).map(each => {
  const { topic, idempotent, timestampMs, records, compression } = each;
  const producer = producers.get(topic) ?? { id: BigInt(9_000_000 + producers.size), sequence: 0 };
  producers.set(topic, producer);
  const { id, sequence } = producer;
  const stamp = idempotent ? { producerId: id, producerEpoch: 0, firstSequence: sequence } : none;
  producer.sequence += records.length;
  return Buffer.from(encodeBatch(records, { ...stamp, timestampMs }, undefined, compression));
});
writeFileSync(batches, Buffer.concat(encoded));
