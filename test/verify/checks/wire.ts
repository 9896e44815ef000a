/**
 * What lies in the log is what Kafka's Java client would have put there, in every compression.
 *
 *   batches    the same records, drawn at random, sent by the Java client and encoded by us: header fields
 *              and record bytes are equal, byte by byte; both are read by the console consumer, whose output
 *              must be the same, and by DumpLogSegments
 *   pipelines  the built program under kills, with a pipeline for each compression of ours and for each
 *              that a topic makes of it; read by the console consumer
 *
 * Java compresses with other programs than we do, and so does the length of a compressed batch and with it
 * the checksum differ; a producer id is given by the broker.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runCommand } from "../../../tools/services/commands.ts";
import type { Kafka } from "../../../tools/services/services.ts";
import { combined, type Outcome } from "../campaign.ts";
import { splitBatches } from "../kafka-wire.ts";
import { rounds, type Options } from "../options.ts";
import { progress } from "../progress.ts";
import { Random } from "../random.ts";
import { randomRecords, writable, writeCases, type WireCase } from "../wire/cases.ts";
import { JavaTools } from "../wire/java.ts";
import { connected, placeOf, rawBatches, segmentOf } from "../wire/log.ts";
import type { CheckContext } from "./check.ts";
import { KafkaAdmin } from "./kafka-admin.ts";
import { wirePipelines } from "./wire-pipelines.ts";

/** Of a batch's header, by where they stand. */
const FIELDS = {
  base_offset: [0, 8],
  length: [8, 12],
  leader_epoch: [12, 16],
  magic: [16, 17],
  crc: [17, 21],
  attributes: [21, 23],
  last_offset_delta: [23, 27],
  first_time: [27, 35],
  last_time: [35, 43],
  producer_id: [43, 51],
  producer_epoch: [51, 53],
  first_sequence: [53, 57],
  count: [57, 61],
} as const;
type Field = keyof typeof FIELDS;

const root = fileURLToPath(new URL("../../..", import.meta.url));
const CASES = 40;
const CASES_MIN = 8;

export async function wire(context: CheckContext): Promise<Outcome> {
  const java = await JavaTools.make();
  try {
    const outcomes = [await batches(context, java)];
    progress(`wire: batches: ${JSON.stringify(outcomes[0])}`);
    if (outcomes[0]?.ok === true) outcomes.push(await wirePipelines(context, java));
    return combined(outcomes);
  } finally {
    java.dispose();
  }
}

interface Group {
  readonly ours: string;
  readonly java: string;
  readonly compressed: boolean;
  readonly idempotent: boolean;
  readonly cases: readonly WireCase[];
}

async function batches({ options, servers }: CheckContext, java: JavaTools): Promise<Outcome> {
  const kafka = await servers.kafka(1);
  const groups = makeGroups(options);
  const config = { "max.message.bytes": "4000000", "retention.ms": "-1" };
  await new KafkaAdmin(kafka.brokers).createTopics(
    groups.flatMap(group =>
      [group.ours, group.java].map(topic => ({ topic, partitions: 1, config })),
    ),
  );
  await sendBothWays(kafka, groups, java);
  const differences: string[] = [];
  const figures = { batches: 0, records: 0, equal_bytes: 0, invalid: 0 };
  for (const group of groups) {
    const [ours, theirs] = [
      await rawBatches(kafka, group.ours),
      await rawBatches(kafka, group.java),
    ];
    const plain = await java.unpack([...ours, ...theirs]);
    if (ours.length !== theirs.length) differences.push(`${group.ours}: number of batches`);
    for (const [i, batch] of ours.entries()) {
      const [other, records] = [theirs[i], plain[i]];
      if (other === undefined || records === undefined) break;
      const found = differing(batch, other, group);
      if (!records.equals(plain[ours.length + i] ?? Buffer.alloc(0))) found.push("records");
      if (batch.equals(other)) figures.equal_bytes += 1;
      differences.push(...found.map(field => `${group.ours}, batch ${i}: ${field}`));
    }
    const messages = group.cases.reduce((sum, { records }) => sum + records.length, 0);
    figures.batches += ours.length;
    figures.records += messages;
    if (!options.quick || group.idempotent) {
      const read = await java.consume(kafka.brokers, group.ours, messages);
      const expected = await java.consume(kafka.brokers, group.java, messages);
      if (!read.equals(expected)) differences.push(`${group.ours}: what the consumer shows`);
    }
    const { valid, complaints } = await java.dump(segmentOf(kafka, group.ours));
    if (valid !== ours.length || complaints.length > 0) {
      figures.invalid += 1;
      differences.push(
        `${group.ours}: ${valid} sound batches, ${complaints.slice(0, 3).join("; ")}`,
      );
    }
    progress(`wire: ${group.ours}: ${ours.length} batches, ${messages} records`);
  }
  for (const difference of differences.slice(0, 20)) progress(`wire: differs: ${difference}`);
  const planned =
    groups.length * groups.reduce((most, { cases }) => Math.max(most, cases.length), 0);
  return {
    ok: differences.length === 0,
    void: figures.batches < planned,
    figures: { compressions: writable.join(" "), ...figures, differences: differences.length },
  };
}

function makeGroups(options: Options): Group[] {
  const random = new Random(options.seed, "wire");
  const count = rounds(options, CASES, CASES_MIN);
  return writable.flatMap(compression =>
    [false, true].map(idempotent => {
      const name = `${options.seed}.${compression}.${idempotent ? "idempotent" : "plain"}`;
      const java = `wire.java.${name}`;
      const cases = Array.from({ length: count }, () => ({
        ...{ topic: java, compression, idempotent, records: randomRecords(random) },
        timestampMs: 1_760_000_000_000 + random.int(0, 1e7),
      }));
      const compressed = compression !== "none";
      return { ours: `wire.ours.${name}`, java, compressed, idempotent, cases };
    }),
  );
}

async function sendBothWays(
  kafka: Kafka,
  groups: readonly Group[],
  java: JavaTools,
): Promise<void> {
  const [cases, encoded] = [join(java.dir, "cases"), join(java.dir, "encoded")];
  for (const group of groups) {
    writeFileSync(cases, writeCases(group.cases));
    await java.produce(kafka.brokers, cases);
    const script = [join(root, "tools/run.mjs"), "test/verify/wire/encode.ts", cases, encoded];
    await runCommand(process.execPath, script, { cwd: root });
    await connected(kafka, async connection => {
      for (const batch of splitBatches(readFileSync(encoded))) {
        await connection.produce(placeOf(group.ours), batch);
      }
    });
  }
}

/** Fields of the header that differ and need not. */
function differing(batch: Buffer, other: Buffer, { compressed, idempotent }: Group): string[] {
  const free = new Set<Field>();
  if (compressed) for (const field of ["length", "crc"] as const) free.add(field);
  if (idempotent) for (const field of ["producer_id", "crc"] as const) free.add(field);
  return Object.entries(FIELDS)
    .filter(([name]) => !free.has(name as Field))
    .filter(([, [from, to]]) => !batch.subarray(from, to).equals(other.subarray(from, to)))
    .map(([name]) => name);
}
