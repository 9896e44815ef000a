/** Kafka's Fetch request, version 11, for one partition, read uncommitted and without a consumer group. */
import type { BrokerConnection } from "./connection.ts";
import { definition } from "./connection.ts";
import { KafkaResponseError } from "./kafka-errors.ts";

const FETCH = 1;
/** Kafka 2.3 and newer. */
const VERSION = 11;

export interface FetchOptions {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** The broker answers with a whole batch also if that is larger. */
  readonly bytesMax: number;
  /** How long the broker waits for a record if there is none. */
  readonly waitMs: number;
}

export interface Fetched {
  readonly error: number;
  readonly throttled: boolean;
  readonly highWatermark: number;
  /** Record batches; the last one may be cut off. */
  readonly batches: Buffer;
}

export async function fetch(connection: BrokerConnection, options: FetchOptions): Promise<Fetched> {
  const { topic, partition, offset, bytesMax, waitMs } = options;
  if (connection.version(FETCH, VERSION) < VERSION) throw new KafkaResponseError(35, "Fetch");
  const { request } = definition(
    "Fetch",
    VERSION,
  )({
    replicaId: -1,
    isolationLevel: 0,
    maxWaitTime: waitMs,
    minBytes: 1,
    maxBytes: bytesMax,
    topics: [{ topic, partitions: [{ partition, fetchOffset: offset, maxBytes: bytesMax }] }],
    rackId: "",
  });
  const decode = (payload: Buffer): Promise<Fetched> => Promise.resolve(decodeAnswer(payload));
  const parse = (decoded: unknown): Promise<unknown> => Promise.resolve(decoded);
  return (await connection.exchange({ request, response: { decode, parse } })) as Fetched;
}

function decodeAnswer(payload: Buffer): Fetched {
  const throttled = payload.readInt32BE(0) > 0;
  const error = payload.readInt16BE(4);
  let at = 4 + 2 + 4; // Throttle time, error, session.
  if (error !== 0 || payload.readInt32BE(at) !== 1) {
    const nothing = { highWatermark: -1, batches: payload.subarray(0, 0) };
    return { error, throttled, ...nothing };
  }
  at += 4;
  at += 2 + payload.readInt16BE(at); // Topic name.
  at += 4 + 4; // Number of partitions, partition.
  const partitionError = payload.readInt16BE(at);
  const highWatermark = Number(payload.readBigInt64BE(at + 2));
  at += 26;
  at += 4 + Math.max(0, payload.readInt32BE(at)) * 16; // Aborted transactions.
  at += 4; // Preferred replica.
  const length = payload.readInt32BE(at);
  const batches = payload.subarray(at + 4, at + 4 + Math.max(0, length));
  return { error: partitionError, throttled, highWatermark, batches };
}
