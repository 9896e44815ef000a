/**
 * The broker that keeps the producer id and epoch of a transactional id, and the four requests that it
 * answers. Each looks for it anew: they are rare, and it moves. Nothing is tried again here, except what
 * another transaction of ours holds up for a moment.
 */
import { sleep, type Clock } from "../core/clock.ts";
import type { KafkaClient } from "./client.ts";
import { apis, type BrokerConnection } from "./connection.ts";
import { CONCURRENT_TRANSACTIONS, KafkaResponseError } from "./kafka-errors.ts";
import type { SendTarget } from "./producer.ts";

export interface ProducerIdentity {
  readonly producerId: bigint;
  readonly producerEpoch: number;
}

const TRANSACTION = 1;
const INIT_PRODUCER_ID = 22;
/** 3 takes the present id and epoch; 4 says PRODUCER_FENCED. kafkajs knows 1. */
const INIT_VERSION = { least: 3, most: 4 } as const;
const UNSUPPORTED_VERSION = 35;
const INVALID_TRANSACTION_TIMEOUT = 50;
const OPERATION_NOT_ATTEMPTED = 55;
/**
 * The coordinator ends a transaction that takes longer and raises the epoch, as another instance would.
 * Ours hold no records and delay no reader, so they may take as long as brokers allow by default; where
 * that was made less, the second.
 */
const TRANSACTION_TIMEOUTS_MS = [15 * 60_000, 60_000] as const;
/** The marks of a transaction are written within some ms; the next one waits for them. */
const CONCURRENT_WAIT_MS = 20;
const CONCURRENT_WAITS = 50;

/** Not the id of any producer. */
const NOBODY: ProducerIdentity = { producerId: -1n, producerEpoch: -1 };

export class Coordinator {
  readonly #client: KafkaClient;
  readonly #transactionalId: string;
  readonly #clock: Clock;

  constructor(client: KafkaClient, transactionalId: string, clock: Clock) {
    this.#client = client;
    this.#transactionalId = transactionalId;
    this.#clock = clock;
  }

  /** @param present gets its next epoch, unless it was replaced; without it, whoever has the id is. */
  async initialise(
    present: ProducerIdentity | undefined,
    signal: AbortSignal,
  ): Promise<ProducerIdentity> {
    const connection =
      __MUTANT__ === "no-fence" ? await this.#client.any() : await this.#connection();
    const version = connection.version(INIT_PRODUCER_ID, INIT_VERSION.most);
    if (version < INIT_VERSION.least) {
      throw new KafkaResponseError(UNSUPPORTED_VERSION, "InitProducerId", "Kafka 2.5 is needed");
    }
    for (const timeoutMs of TRANSACTION_TIMEOUTS_MS) {
      const id = __MUTANT__ === "no-fence" ? null : this.#transactionalId;
      const request = initRequest(id, timeoutMs, present ?? NOBODY);
      const answer = await this.#patiently(signal, () =>
        exchangeInit(connection, version, request),
      );
      if (answer.errorCode === INVALID_TRANSACTION_TIMEOUT) continue;
      check(answer.errorCode, "InitProducerId");
      return answer;
    }
    throw new KafkaResponseError(INVALID_TRANSACTION_TIMEOUT, "InitProducerId");
  }

  /** Begins a transaction over these partitions. */
  async begin(
    { producerId, producerEpoch }: ProducerIdentity,
    targets: readonly SendTarget[],
    signal: AbortSignal,
  ): Promise<void> {
    const connection = await this.#connection();
    const transactionalId = this.#transactionalId;
    const topics = byTopic(targets);
    const { errorCode } = await this.#patiently(signal, async () => {
      const answer = (await connection.request(apis.addPartitionsToTxn, {
        ...{ transactionalId, producerId: String(producerId), producerEpoch, topics },
      })) as AddAnswer;
      const codes = answer.errors.flatMap(({ partitionErrors }) => partitionErrors);
      const failed = codes.filter(({ errorCode: code }) => code !== 0);
      const cause = failed.find(({ errorCode: code }) => code !== OPERATION_NOT_ATTEMPTED);
      return { errorCode: (cause ?? failed[0])?.errorCode ?? 0 };
    });
    check(errorCode, "AddPartitionsToTxn");
  }

  /** Aborts the transaction. Its marks may stand in the partitions later than this resolves. */
  async abort(identity: ProducerIdentity, signal: AbortSignal): Promise<void> {
    check((await this.#end(identity, signal)).errorCode, "EndTxn");
  }

  /** What a producer that never was is told, which changes nothing: a code of refusal, or another one. */
  async probe(signal: AbortSignal): Promise<number> {
    return (await this.#end(NOBODY, signal)).errorCode;
  }

  async #end(
    { producerId, producerEpoch }: ProducerIdentity,
    signal: AbortSignal,
  ): Promise<{ readonly errorCode: number }> {
    const connection = await this.#connection();
    return this.#patiently(
      signal,
      async () =>
        (await connection.request(apis.endTxn, {
          transactionalId: this.#transactionalId,
          producerId: String(producerId),
          producerEpoch,
          transactionResult: false,
        })) as { errorCode: number },
    );
  }

  async #patiently<T extends { readonly errorCode: number }>(
    signal: AbortSignal,
    ask: () => Promise<T>,
  ): Promise<T> {
    for (let waits = 0; ; waits += 1) {
      const answer = await ask();
      if (answer.errorCode !== CONCURRENT_TRANSACTIONS || waits === CONCURRENT_WAITS) return answer;
      await sleep(this.#clock, CONCURRENT_WAIT_MS, signal);
    }
  }

  async #connection(): Promise<BrokerConnection> {
    const connection = await this.#client.any();
    const args = { groupId: this.#transactionalId, coordinatorType: TRANSACTION };
    const answer = (await connection.request(apis.findCoordinator, args)) as {
      errorCode: number;
      coordinator: { host: string; port: number };
    };
    check(answer.errorCode, "FindCoordinator");
    return this.#client.connect(answer.coordinator);
  }
}

interface AddAnswer {
  readonly errors: readonly {
    readonly partitionErrors: readonly { readonly errorCode: number }[];
  }[];
}

function check(errorCode: number, request: string): void {
  if (errorCode !== 0) throw new KafkaResponseError(errorCode, request);
}

function byTopic(targets: readonly SendTarget[]): { topic: string; partitions: number[] }[] {
  const topics = new Map<string, number[]>();
  for (const { topic, partition } of targets) {
    const partitions = topics.get(topic) ?? [];
    partitions.push(partition);
    topics.set(topic, partitions);
  }
  return [...topics].map(([topic, partitions]) => ({ topic, partitions }));
}

/** Versions 3 and 4. The first byte belongs to the header: no tags. */
export function initRequest(
  transactionalId: string | null,
  timeoutMs: number,
  { producerId, producerEpoch }: ProducerIdentity,
): Buffer {
  const name = Buffer.from(transactionalId ?? "");
  // Compact: the length plus one as a varint; 0 is null. Our names take two bytes at most.
  const length = transactionalId === null ? 0 : name.length + 1;
  const bytes = Buffer.alloc(1 + 2 + name.length + 4 + 8 + 2 + 1);
  let at = 1;
  if (length > 0x7f) bytes[at++] = (length & 0x7f) | 0x80;
  bytes[at++] = length > 0x7f ? length >> 7 : length;
  at += name.copy(bytes, at);
  at = bytes.writeInt32BE(timeoutMs, at);
  at = bytes.writeBigInt64BE(producerId, at);
  at = bytes.writeInt16BE(producerEpoch, at);
  return bytes.subarray(0, at + 1);
}

type InitAnswer = ProducerIdentity & { readonly errorCode: number };

async function exchangeInit(
  connection: BrokerConnection,
  apiVersion: number,
  request: Buffer,
): Promise<InitAnswer> {
  const name = { apiKey: INIT_PRODUCER_ID, apiVersion, apiName: "InitProducerId" };
  const decode = (payload: Buffer): Promise<InitAnswer> => Promise.resolve(decodeInit(payload));
  return (await connection.send(name, [request], { decode })) as InitAnswer;
}

/** Header's tags 1 │ throttle time 4 │ error 2 │ producer id 8 │ epoch 2 │ tags */
export function decodeInit(payload: Buffer): InitAnswer {
  return {
    errorCode: payload.readInt16BE(5),
    producerId: payload.readBigInt64BE(7),
    producerEpoch: payload.readInt16BE(15),
  };
}
