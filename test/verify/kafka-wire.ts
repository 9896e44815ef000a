/**
 * Just enough of Kafka's protocol to read a log as it is.
 *
 * kafkajs, which the program under test uses, hides what an oracle needs: it needs a group to read, drops
 * empty batches that compaction leaves behind (and then never gets past them), and takes the last stable
 * offset for the end. So the oracle reads with its own few requests, and shares no code with the producer.
 */
import { connect, type Socket } from "node:net";
import { gunzipSync } from "node:zlib";

export interface RawRecord {
  readonly offset: number;
  /** When it was made, or, where the topic says so, when the broker took it. */
  readonly timestampMs: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Readonly<Record<string, string>>;
}

export interface PartitionPlace {
  readonly topic: string;
  readonly partition: number;
  readonly leader: number;
}

export interface ClusterLayout {
  readonly nodes: ReadonlyMap<number, { readonly host: string; readonly port: number }>;
  readonly partitions: readonly PartitionPlace[];
}

export interface FetchedPartition {
  readonly topic: string;
  readonly partition: number;
  readonly errorCode: number;
  readonly logStart: number;
  readonly records: Buffer;
}

/** Anything that another attempt may mend: a broker that is down, a leader that moved. */
export class KafkaUnavailable extends Error {}

const REQUEST_TIMEOUT_MS = 10_000;
const apiKeys = { produce: 0, fetch: 1, listOffsets: 2, metadata: 3 } as const;

class Encoder {
  readonly #parts: Buffer[] = [];

  int8(value: number): this {
    const part = Buffer.alloc(1);
    part.writeInt8(value);
    return this.#add(part);
  }

  int16(value: number): this {
    const part = Buffer.alloc(2);
    part.writeInt16BE(value);
    return this.#add(part);
  }

  int32(value: number): this {
    const part = Buffer.alloc(4);
    part.writeInt32BE(value);
    return this.#add(part);
  }

  int64(value: number): this {
    const part = Buffer.alloc(8);
    part.writeBigInt64BE(BigInt(value));
    return this.#add(part);
  }

  text(value: string): this {
    const bytes = Buffer.from(value);
    return this.int16(bytes.length).#add(bytes);
  }

  bytes(value: Buffer): this {
    return this.int32(value.length).#add(value);
  }

  array<T>(items: readonly T[], write: (item: T) => void): this {
    this.int32(items.length);
    items.forEach(write);
    return this;
  }

  #add(part: Buffer): this {
    this.#parts.push(part);
    return this;
  }

  finish(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

class Decoder {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  int8(): number {
    this.#at += 1;
    return this.#bytes.readInt8(this.#at - 1);
  }

  int16(): number {
    this.#at += 2;
    return this.#bytes.readInt16BE(this.#at - 2);
  }

  int32(): number {
    this.#at += 4;
    return this.#bytes.readInt32BE(this.#at - 4);
  }

  int64(): number {
    this.#at += 8;
    return Number(this.#bytes.readBigInt64BE(this.#at - 8));
  }

  take(length: number): Buffer {
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  text(): string | undefined {
    const length = this.int16();
    return length < 0 ? undefined : this.take(length).toString();
  }

  array<T>(read: () => T): T[] {
    const items: T[] = [];
    for (let left = this.int32(); left > 0; left -= 1) items.push(read());
    return items;
  }

  /** Zigzag; numbers beyond 2^53 do not occur in what is read here. */
  varint(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.#bytes[this.#at] ?? 0;
      this.#at += 1;
      value += (byte & 127) * scale;
      if (byte < 128) break;
      scale *= 128;
    }
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  bytes(): Buffer | null {
    const length = this.varint();
    return length < 0 ? null : this.take(length);
  }
}

interface Waiting {
  readonly resolve: (answer: Buffer) => void;
  readonly reject: (error: Error) => void;
}

/** One connection; requests are answered in order. */
export class KafkaConnection {
  readonly #socket: Socket;
  readonly #waiting: Waiting[] = [];
  #received: Buffer[] = [];
  #receivedBytes = 0;
  #correlation = 0;
  #failure: Error | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => this.#onData(chunk));
    socket.on("error", error => this.#fail(error));
    socket.on("close", () => this.#fail(new Error("connection closed")));
  }

  static open(host: string, port: number): Promise<KafkaConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host, port });
      socket.setNoDelay(true);
      const fail = (): void => {
        socket.destroy();
        reject(new KafkaUnavailable(`${host}:${port} cannot be reached`));
      };
      socket.setTimeout(REQUEST_TIMEOUT_MS, fail);
      socket.once("error", fail);
      socket.once("connect", () => {
        socket.setTimeout(0);
        socket.off("error", fail);
        resolve(new KafkaConnection(socket));
      });
    });
  }

  get isOpen(): boolean {
    return this.#failure === undefined;
  }

  close(): void {
    this.#socket.destroy();
  }

  async metadata(): Promise<ClusterLayout> {
    const request = new Encoder().int32(-1).int8(0).finish();
    const answer = new Decoder(await this.#send(apiKeys.metadata, 5, request));
    answer.int32();
    const nodes = new Map<number, { host: string; port: number }>();
    answer.array(() => {
      nodes.set(answer.int32(), { host: answer.text() ?? "", port: answer.int32() });
      answer.text();
    });
    answer.text();
    answer.int32();
    const partitions: PartitionPlace[] = [];
    answer.array(() => {
      answer.int16();
      const topic = answer.text() ?? "";
      answer.int8();
      answer.array(() => {
        answer.int16();
        partitions.push({ topic, partition: answer.int32(), leader: answer.int32() });
        for (let lists = 0; lists < 3; lists += 1) answer.array(() => answer.int32());
      });
    });
    return { nodes, partitions };
  }

  /** The offset after the last record of each partition, uncommitted ones included. */
  async ends(places: readonly PartitionPlace[]): Promise<ReadonlyMap<string, number>> {
    const request = new Encoder().int32(-1).int8(0);
    request.array(byTopic(places), ([topic, partitions]) =>
      request.text(topic).array(partitions, ({ partition }) => request.int32(partition).int64(-1)),
    );
    const answer = new Decoder(await this.#send(apiKeys.listOffsets, 2, request.finish()));
    answer.int32();
    const ends = new Map<string, number>();
    answer.array(() => {
      const topic = answer.text() ?? "";
      answer.array(() => {
        const partition = answer.int32();
        const errorCode = answer.int16();
        answer.int64();
        const offset = answer.int64();
        if (errorCode !== 0)
          throw new KafkaUnavailable(`${topic}/${partition}: error ${errorCode}`);
        ends.set(`${topic}/${partition}`, offset);
      });
    });
    return ends;
  }

  /** Record batches from the given offsets on, read uncommitted. */
  async fetch(
    places: readonly (PartitionPlace & { readonly offset: number })[],
  ): Promise<readonly FetchedPartition[]> {
    const request = new Encoder().int32(-1).int32(500).int32(1).int32(16_000_000).int8(0);
    request.int32(0).int32(-1);
    request.array(byTopic(places), ([topic, partitions]) =>
      request.text(topic).array(partitions, ({ partition, offset }) => {
        request.int32(partition).int32(-1).int64(offset).int64(-1).int32(2_000_000);
      }),
    );
    request.int32(0).text("");
    const answer = new Decoder(await this.#send(apiKeys.fetch, 11, request.finish()));
    answer.int32();
    const errorCode = answer.int16();
    if (errorCode !== 0) throw new KafkaUnavailable(`fetch: error ${errorCode}`);
    answer.int32();
    const fetched: FetchedPartition[] = [];
    answer.array(() => {
      const topic = answer.text() ?? "";
      answer.array(() => {
        const partition = answer.int32();
        const errorCode = answer.int16();
        answer.int64();
        answer.int64();
        const logStart = answer.int64();
        answer.array(() => answer.take(16));
        answer.int32();
        const records = answer.take(Math.max(0, answer.int32()));
        fetched.push({ topic, partition, errorCode, logStart, records });
      });
    });
    return fetched;
  }

  /** One batch as it is. Returns the offset of its first record. */
  async produce({ topic, partition }: PartitionPlace, batch: Buffer): Promise<number> {
    const request = new Encoder()
      .int16(-1)
      .int16(-1)
      .int32(REQUEST_TIMEOUT_MS)
      .int32(1)
      .text(topic);
    request.int32(1).int32(partition).bytes(batch);
    const answer = new Decoder(await this.#send(apiKeys.produce, 7, request.finish()));
    let offset = -1;
    answer.array(() => {
      answer.text();
      answer.array(() => {
        answer.int32();
        const errorCode = answer.int16();
        offset = answer.int64();
        answer.take(16);
        if (errorCode !== 0) throw new Error(`Kafka refuses a batch for ${topic}: ${errorCode}`);
      });
    });
    return offset;
  }

  #send(apiKey: number, version: number, body: Buffer): Promise<Buffer> {
    if (this.#failure) return Promise.reject(unavailable(this.#failure));
    this.#correlation += 1;
    const head = new Encoder().int16(apiKey).int16(version).int32(this.#correlation);
    const header = head.text("tidemark-verify").finish();
    const size = new Encoder().int32(header.length + body.length).finish();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#fail(new Error("no answer")), REQUEST_TIMEOUT_MS);
      const done = (settle: () => void): void => {
        clearTimeout(timer);
        settle();
      };
      this.#waiting.push({
        resolve: (answer: Buffer) => done(() => resolve(answer)),
        reject: (error: Error) => done(() => reject(unavailable(error))),
      });
      this.#socket.write(Buffer.concat([size, header, body]));
    });
  }

  #onData(chunk: Buffer): void {
    this.#received.push(chunk);
    this.#receivedBytes += chunk.length;
    for (;;) {
      const [first] = this.#received;
      if (!first || this.#receivedBytes < 4) return;
      // An answer may be many megabytes: it is put together once, when it is whole.
      const isWhole = first.length >= 4 && this.#receivedBytes >= first.readInt32BE(0) + 4;
      if (first.length >= 4 && !isWhole) return;
      const bytes = this.#received.length === 1 ? first : Buffer.concat(this.#received);
      this.#received = [bytes];
      if (!isWhole) continue;
      const end = bytes.readInt32BE(0) + 4;
      this.#receivedBytes -= end;
      this.#received = this.#receivedBytes === 0 ? [] : [bytes.subarray(end)];
      this.#waiting.shift()?.resolve(bytes.subarray(8, end));
    }
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#socket.destroy();
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }
}

function unavailable(error: Error): KafkaUnavailable {
  return new KafkaUnavailable(error.message, { cause: error });
}

function byTopic<T extends PartitionPlace>(places: readonly T[]): [string, T[]][] {
  const topics = new Map<string, T[]>();
  for (const place of places) {
    const topic = topics.get(place.topic) ?? [];
    topic.push(place);
    topics.set(place.topic, topic);
  }
  return [...topics];
}

/** Whole batches as they are; what follows the last one is left out. */
export function splitBatches(batches: Buffer): Buffer[] {
  const whole: Buffer[] = [];
  for (let at = 0; at + 61 <= batches.length;) {
    const end = at + batches.readInt32BE(at + 8) + 12;
    if (end > batches.length) break;
    whole.push(batches.subarray(at, end));
    at = end;
  }
  return whole;
}

const CONTROL_BATCH = 32;
const APPEND_TIME = 8;
const COMPRESSION = 7;
const GZIP = 1;

/**
 * The records of whole batches, control records aside.
 *
 * @returns the offset to read on from: after the last whole batch, also where compaction emptied it.
 */
export function readBatches(
  batches: Buffer,
  from: number,
  visit: (record: RawRecord) => void,
): number {
  let next = from;
  let at = 0;
  while (at + 61 <= batches.length) {
    const length = batches.readInt32BE(at + 8) + 12;
    if (at + length > batches.length) break;
    const first = Number(batches.readBigInt64BE(at));
    const magic = batches.readInt8(at + 16);
    if (magic !== 2) throw new Error(`A record batch of format ${magic} cannot be read.`);
    const attributes = batches.readInt16BE(at + 21);
    next = Math.max(next, first + batches.readInt32BE(at + 23) + 1);
    if ((attributes & CONTROL_BATCH) === 0) {
      const count = batches.readInt32BE(at + 57);
      const bytes = inflate(batches.subarray(at + 61, at + length), attributes & COMPRESSION);
      const isAppendTime = (attributes & APPEND_TIME) !== 0;
      const timestampMs = Number(batches.readBigInt64BE(at + (isAppendTime ? 35 : 27)));
      readRecords(new Decoder(bytes), { first, count, from, timestampMs, isAppendTime }, visit);
    }
    at += length;
  }
  return next;
}

function inflate(bytes: Buffer, compression: number): Buffer {
  if (compression === 0) return bytes;
  if (compression === GZIP) return gunzipSync(bytes);
  throw new Error(`Compression ${compression} cannot be read by the oracle.`);
}

interface Batch {
  /** Its first offset. */
  readonly first: number;
  readonly count: number;
  /** Records before it are passed over. */
  readonly from: number;
  /** Of all its records if it is the time of appending; otherwise their own are relative to it. */
  readonly timestampMs: number;
  readonly isAppendTime: boolean;
}

function readRecords(
  reader: Decoder,
  { first, count, from, timestampMs, isAppendTime }: Batch,
  visit: (record: RawRecord) => void,
): void {
  for (let i = 0; i < count; i += 1) {
    reader.varint();
    reader.int8();
    const delta = reader.varint();
    const offset = first + reader.varint();
    const key = reader.bytes();
    const value = reader.bytes();
    const headers: Record<string, string> = {};
    for (let left = reader.varint(); left > 0; left -= 1) {
      const name = reader.take(reader.varint()).toString("latin1");
      headers[name] = reader.bytes()?.toString() ?? "";
    }
    if (offset >= from)
      visit({ offset, timestampMs: timestampMs + (isAppendTime ? 0 : delta), key, value, headers });
  }
}
