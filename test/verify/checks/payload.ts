/**
 * A compressed transaction of 1 GB of rows, one event of the binlog, killed twice inside: it is never in
 * memory, neither packed nor unpacked, and nothing of it is lost or repeated.
 */
import { createCipheriv } from "node:crypto";
import { join } from "node:path";
import { withCampaign, type Campaign, type Outcome } from "../campaign.ts";
import { payloadsIn } from "../payloads.ts";
import { progress } from "../progress.ts";
import { withConnection, type Servers } from "../servers.ts";
import { isPayload, payload as textOf, type Table } from "../tables.ts";
import type { CheckContext } from "./check.ts";
import { delivered, writeInOneTransaction } from "./one-transaction.ts";

const KILLS = 2;
const RSS_MAX_MB = 300;
const MB = 2 ** 20;
const GB = 2 ** 30;
const ROWS_PER_STATEMENT = 1_000;
const BODY_BYTES = 4_096;
/** Larger than the window in which repeats are found, so that only the digits themselves are packed. */
const DIGITS = noise(8 * MB).toString("hex");
/** Bytes of a row beside its body, at least. */
const REST_BYTES = 16;

/** Without order, but always the same. */
function noise(bytes: number): Buffer {
  return createCipheriv("aes-128-ctr", Buffer.alloc(16), Buffer.alloc(16)).update(
    Buffer.alloc(bytes),
  );
}

/** Digits take half a byte each, and a third of them stands there twice: together about one in three. */
function body(version: number): string {
  const start = (version * 7_919) % (DIGITS.length - BODY_BYTES);
  const digits = DIGITS.slice(start, start + (BODY_BYTES * 2) / 3);
  return digits + digits.slice(0, BODY_BYTES - digits.length);
}

const bulk: Table = {
  name: "bulk",
  keyed: true,
  numericKey: true,
  definition: `id BIGINT NOT NULL PRIMARY KEY, body TEXT CHARACTER SET ascii NOT NULL,
    version BIGINT NOT NULL, payload VARCHAR(600) CHARACTER SET utf8mb4 NOT NULL`,
  columns: ["id", "body", "version", "payload"],
  keyColumns: 1,
  values: (slot, version) => [
    String(slot + 1),
    `'${body(version)}'`,
    String(version),
    `'${textOf(version).replace(/[\\']/g, "\\$&")}'`,
  ],
  where: slot => `id = ${slot + 1}`,
  // A row whose body is not its own is none of ours.
  slot: image =>
    image["body"] === undefined || isBody(image) ? Number(image["id"]) - 1 : Number.NaN,
};

function isBody(image: Readonly<Record<string, unknown>>): boolean {
  const version = Number(image["version"]);
  return isPayload(image["payload"], version) && image["body"] === body(version);
}

export async function payload({ options, servers }: CheckContext): Promise<Outcome> {
  const rows = Math.ceil((options.quick ? GB / 8 : GB) / (BODY_BYTES + REST_BYTES));
  const isToKafka = options.target === "kafka" && !options.quick;
  const mysql = await source(servers);
  const setup = {
    ...{ name: "payload", options, mysql, tables: [bulk], rssMaxMb: RSS_MAX_MB, ddl: false },
    kafka: isToKafka ? await servers.kafka(1) : undefined,
  };
  return withCampaign(setup, async campaign => {
    await campaign.startReading();
    await writeInOneTransaction(campaign, {
      ...{ rows, tables: [0], rowsPerStatement: ROWS_PER_STATEMENT },
      settings: ["SET SESSION binlog_transaction_compression = ON"],
    });
    const written = payloadsIn(join(mysql.dir, "data"));
    const uncompressedBytes = written[0]?.uncompressedBytes ?? 0;
    const ratio = uncompressedBytes / (written[0]?.bytes ?? 1);
    progress(`payload: ${rows} rows committed, packed 1:${ratio.toFixed(2)}`);
    let killsInTransaction = 0;
    for (let kill = 1; kill <= KILLS; kill += 1) {
      const share = (kill - 0.8 + 0.6 * campaign.random.next()) / (KILLS + 0.5);
      await delivered(campaign, Math.floor(rows * share));
      await campaign.kill();
      if (await isInside(campaign, rows)) killsInTransaction += 1;
      const killedAtMs = performance.now();
      campaign.product.start();
      await campaign.awaitDelivery(killedAtMs);
    }
    return campaign.finish({
      changesMin: rows,
      extra: {
        ...{
          rows,
          payload_mb: inMb(written[0]?.bytes ?? 0),
          kills_in_transaction: killsInTransaction,
        },
        ...{ uncompressed_mb: inMb(uncompressedBytes), ratio: Number(ratio.toFixed(2)) },
      },
      conditions: {
        "one payload event": written.length === 1,
        "as many bytes as planned": uncompressedBytes >= rows * BODY_BYTES,
        "ratio of 2 to 5": ratio >= 2 && ratio <= 5,
        "kills inside": killsInTransaction === KILLS,
      },
    });
  });
}

/** MySQL 8.0 has this since 8.0.20 only. The packed transaction is one packet. */
async function source(servers: Servers): ReturnType<Servers["mysql"]> {
  const mysql = await servers.mysql("mysql-9");
  await withConnection(mysql, connection =>
    connection.query("SET GLOBAL max_allowed_packet = 1073741824"),
  );
  return mysql;
}

/** A part of the transaction is released, and not all of it. */
async function isInside(campaign: Campaign, rows: number): Promise<boolean> {
  const record = await campaign.commitRecord();
  const released = Object.values(record?.transaction?.tables ?? {})[0]?.rows ?? 0;
  return released > 0 && released < rows;
}

function inMb(bytes: number): number {
  return Math.round(bytes / MB);
}
