/** Debezium messages, in Kafka, as lines of a file or at another destination, as the oracle's deliveries. */
import { createHash } from "node:crypto";
import type { Arrival } from "./destination.ts";
import type { Journal } from "./journal.ts";
import type { RawRecord } from "./kafka-wire.ts";
import type { Delivery } from "./oracle.ts";
import { isPayload, type RowImage, type Table } from "./tables.ts";

interface Envelope {
  readonly before: RowImage | null;
  readonly after: RowImage | null;
  readonly op: string;
  readonly source: {
    readonly db: string;
    readonly table: string;
    readonly file: string;
    readonly pos: number;
    readonly gtid: string | null;
  };
}

const kinds = { c: "create", u: "update", d: "delete" } as const;

export class DeliveryDecoder {
  readonly #journal: Journal;
  readonly #database: string;

  constructor(options: { journal: Journal; database: string }) {
    this.#journal = options.journal;
    this.#database = options.database;
  }

  /** Undefined for a message without key and value, which says nothing. */
  record(record: RawRecord, place: { topic: string; partition: number }): Delivery | undefined {
    const table = this.#tableNumber(place.topic.slice(place.topic.lastIndexOf(".") + 1));
    const keyed = this.#journal.tables[table];
    const { headers } = record;
    const common = {
      lane: `${place.topic}/${place.partition}`,
      id: headers["id"],
      transaction: headers["transaction"],
      position: positionOf(headers["position"]),
      table,
    };
    const key = record.key === null ? undefined : (JSON.parse(record.key.toString()) as RowImage);
    if (record.value === null) {
      if (!key || !keyed) return undefined;
      return { ...common, slot: keyed.slot(key), kind: "tombstone", version: 0, sound: true };
    }
    const envelope = JSON.parse(record.value.toString()) as Envelope;
    const delivery = { ...common, ...this.#row(envelope, keyed) };
    if (key && keyed && keyed.slot(key) !== delivery.slot) return { ...delivery, sound: false };
    return delivery;
  }

  /** A line of a file; undefined for the line of a tombstone. */
  line(text: string, file: string): Delivery | undefined {
    const envelope = JSON.parse(text) as Envelope | null;
    if (envelope === null) return undefined;
    const { source } = envelope;
    const table = this.#tableNumber(source.table);
    return {
      lane: file,
      id: undefined,
      transaction: source.gtid ?? undefined,
      position: positionOf(`${source.file}:${source.pos}`),
      table,
      ...this.#row(envelope, this.#journal.tables[table]),
    };
  }

  /** A message at a destination that keeps ids but no tombstones. */
  arrival({ lane, id, transaction, position, value }: Arrival): Delivery {
    const envelope = JSON.parse(value.toString()) as Envelope;
    const table = this.#tableNumber(envelope.source.table);
    return {
      ...{ lane, id, transaction, table },
      position: positionOf(position),
      content: contentOf(envelope),
      ...this.#row(envelope, this.#journal.tables[table]),
    };
  }

  #tableNumber(name: string): number {
    return this.#journal.tables.findIndex(table => table.name === name);
  }

  #row(
    { before, after, op, source }: Envelope,
    table: Table | undefined,
  ): Pick<Delivery, "slot" | "kind" | "version" | "sound"> {
    const kind = kinds[op as keyof typeof kinds] as (typeof kinds)[keyof typeof kinds] | undefined;
    const image = kind === "delete" ? before : after;
    if (!kind || !image || !table) {
      return { slot: -1, kind: "update", version: 0, sound: false };
    }
    const version = Number(image["version"]);
    return {
      slot: table.slot(image),
      kind,
      version,
      sound:
        isPayload(image["payload"], version) &&
        source.db === this.#database &&
        source.table === table.name &&
        (before === null) === (kind === "create") &&
        (after === null) === (kind === "delete"),
    };
  }
}

/** What has to be the same when a message comes again: all but when it was made. */
function contentOf(envelope: Envelope): string {
  const content = { ...envelope, ts_ms: 0, ts_us: 0, ts_ns: 0 };
  return createHash("sha1").update(JSON.stringify(content)).digest("base64");
}

/** `binlog.000003:4711` as numbers. */
function positionOf(text: string | undefined): readonly [number, number] | undefined {
  const match = /\.(\d+):(\d+)$/.exec(text ?? "");
  return match ? [Number(match[1]), Number(match[2])] : undefined;
}
