/** A real broker takes what we compress, compresses it anew, and gives it back. */
import { describe, expect, test } from "vitest";
import { packZstd } from "../../src/compression/zstd.ts";
import { systemClock } from "../../src/core/clock.ts";
import { silentLogger } from "../../src/core/logger.ts";
import { KafkaClient } from "../../src/kafka/client.ts";
import { codecOf } from "../../src/kafka/compression.ts";
import type { Compression } from "../../src/compression/compression.ts";
import { fetch } from "../../src/kafka/fetch.ts";
import { Producer } from "../../src/kafka/producer.ts";
import type { OutgoingRecord } from "../../src/kafka/record-writer.ts";
import { useSharedKafka, clientOptions, never, unfenced, uniqueName } from "./support.ts";

const kafka = useSharedKafka();

/** Small and large, null and empty, text and noise. */
const records: readonly OutgoingRecord[] = [
  { key: null, value: Buffer.from("first"), headers: [["id", "0"]] },
  { key: Buffer.from("k"), value: null, headers: [] },
  { key: Buffer.alloc(0), value: Buffer.alloc(0), headers: [["id", ""]] },
  { key: null, value: Buffer.from("again and again ".repeat(20_000)), headers: [["id", "3"]] },
  {
    key: null,
    value: Buffer.from(Array.from({ length: 90_000 }, (_, i) => (i * i) >> 5)),
    headers: [],
  },
];
const codecs: readonly Compression[] = ["none", "gzip", "snappy", "lz4", "zstd"];
const written = codecs.filter(codec => codec !== "zstd" || packZstd !== undefined);

/** The codec of the first batch in the log. */
async function codecIn(topic: string): Promise<number> {
  const connection = await kafka.observer.client.leaderConnection(topic, 0);
  const place = { topic, partition: 0, offset: 0, bytesMax: 2 ** 20, waitMs: 500 };
  const { batches } = await fetch(connection, place);
  return batches.readInt16BE(21) & 7;
}

async function roundTrip(compression: Compression, kept: string): Promise<string> {
  const topic = uniqueName("packed");
  await kafka.observer.createTopic(topic, 1, { "compression.type": kept });
  const client = new KafkaClient({ ...clientOptions(kafka.brokers), logger: silentLogger });
  const options = { client, clock: systemClock, logger: silentLogger, compression };
  const producer = new Producer({ ...options, fence: unfenced(client) });
  for (let first = 0; first <= records.length; first += records.length) {
    expect(await producer.send({ topic, partition: 0 }, records, never)).toBe(first);
  }
  client.close();
  const [read = []] = await kafka.observer.read(topic);
  const shown = (list: readonly Pick<OutgoingRecord, "key" | "value">[]): unknown =>
    list.map(({ key, value }) => [key, value].map(bytes => bytes && bytes.toString("latin1")));
  expect(shown(read)).toEqual(shown([...records, ...records]));
  expect(read.map(record => record.header("id"))).toEqual(
    [...records, ...records].map(({ headers }) => headers[0]?.[1]),
  );
  return topic;
}

describe("compression", () => {
  test.each(written)("%s is kept by a topic that leaves it to the producer", async codec => {
    expect(await codecIn(await roundTrip(codec, "producer"))).toBe(codecOf(codec));
  });

  // The broker unpacks what we have packed, and packs it as the topic says.
  test.each(codecs.slice(1))("a topic of compression.type %s is read back", async codec => {
    expect(await codecIn(await roundTrip("none", codec))).toBe(codecOf(codec));
    expect(await codecIn(await roundTrip(codec === "lz4" ? "snappy" : "lz4", codec))).toBe(
      codecOf(codec),
    );
  });
});
