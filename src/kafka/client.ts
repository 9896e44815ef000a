/**
 * The brokers of one cluster: who leads which partition, and one connection to each broker that is asked.
 *
 * A client never waits and never tries again: it answers or throws, and whoever asks decides (core/retry.ts).
 * Each user of Kafka has a client of its own, so that a long poll holds up nobody else.
 */
import type tls from "node:tls";
import type { SASLOptions } from "kafkajs";
import { BrokerConnection, apis, type Address } from "./connection.ts";
import type { Logger } from "../core/logger.ts";
import {
  KafkaResponseError,
  KafkaUnreachableError,
  LEADER_NOT_AVAILABLE,
  errorCodeOf,
} from "./kafka-errors.ts";

export interface KafkaClientOptions {
  /** `host:port` of some brokers; the others are learnt from these. */
  readonly brokers: readonly string[];
  readonly clientId: string;
  readonly ssl?: tls.ConnectionOptions | boolean | undefined;
  readonly sasl?: SASLOptions | undefined;
  readonly connectionTimeoutMs?: number;
  readonly requestTimeoutMs?: number;
}

export interface TopicMetadata {
  /** Kafka's error code; 0 if there is none. */
  readonly error: number;
  /** Leader of each partition, by partition number; undefined while there is none. */
  readonly leaders: readonly (number | undefined)[];
  /** How many brokers keep the partition that has the fewest; 0 for a topic that is missing. */
  readonly replicas: number;
}

interface MetadataAnswer {
  readonly brokers: readonly { nodeId: number; host: string; port: number }[];
  readonly clusterId: string | null;
  readonly controllerId: number;
  readonly topicMetadata: readonly {
    topic: string;
    topicErrorCode: number;
    partitionMetadata: readonly {
      partitionId: number;
      leader: number;
      replicas: readonly number[];
    }[];
  }[];
}

export class KafkaClient {
  readonly #options: KafkaClientOptions & { readonly logger: Logger };
  readonly #seeds: readonly Address[];
  readonly #connections = new Map<string, Promise<BrokerConnection>>();
  readonly #opened = new Set<BrokerConnection>();
  readonly #topics = new Map<string, TopicMetadata>();
  #nodes = new Map<number, Address>();
  #controller = -1;
  #clusterId: string | undefined;
  #nextSeed = 0;
  readonly #closing = new AbortController();

  constructor(options: KafkaClientOptions & { readonly logger: Logger }) {
    this.#options = options;
    this.#seeds = options.brokers.map(parseAddress);
  }

  /** Known after the first metadata. */
  get clusterId(): string | undefined {
    return this.#clusterId;
  }

  /** The brokers that are up, as the newest metadata names them. */
  get nodeIds(): readonly number[] {
    return [...this.#nodes.keys()];
  }

  get requestTimeoutMs(): number {
    return this.#options.requestTimeoutMs ?? 30_000;
  }

  /** Asks for the metadata of these topics, past what is remembered. Missing topics are not made. */
  async metadata(topics: readonly string[]): Promise<ReadonlyMap<string, TopicMetadata>> {
    const connection = await this.any();
    const args = { topics: [...topics], allowAutoTopicCreation: false };
    const answer = (await connection.request(apis.metadata, args)) as MetadataAnswer;
    if (answer.brokers.length > 0) {
      this.#nodes = new Map(
        answer.brokers.map(({ nodeId, host, port }) => [nodeId, { host, port }]),
      );
    }
    this.#controller = answer.controllerId;
    this.#clusterId = answer.clusterId ?? undefined;
    const found = new Map<string, TopicMetadata>();
    for (const { topic, topicErrorCode, partitionMetadata } of answer.topicMetadata) {
      const leaders: (number | undefined)[] = partitionMetadata.map(() => undefined);
      for (const { partitionId, leader } of partitionMetadata) {
        if (leader >= 0) leaders[partitionId] = leader;
      }
      const counts = partitionMetadata.map(({ replicas }) => replicas.length);
      const replicas = counts.length === 0 ? 0 : Math.min(...counts);
      found.set(topic, { error: topicErrorCode, leaders, replicas });
      this.#topics.set(topic, { error: topicErrorCode, leaders, replicas });
    }
    return found;
  }

  /** Forgets who leads this topic, after an answer that shows that it has changed. */
  forget(topic: string): void {
    this.#topics.delete(topic);
  }

  /** Number of the broker that leads the partition, from memory if it is known. */
  async leader(topic: string, partition: number): Promise<number> {
    const known = this.#topics.get(topic) ?? (await this.metadata([topic])).get(topic);
    const leader = known?.leaders[partition];
    if (leader !== undefined) return leader;
    this.forget(topic);
    throw new KafkaResponseError(known?.error || LEADER_NOT_AVAILABLE, `Metadata of ${topic}`);
  }

  async leaderConnection(topic: string, partition: number): Promise<BrokerConnection> {
    const leader = await this.leader(topic, partition);
    try {
      return await this.node(leader);
    } catch (error) {
      this.forget(topic);
      throw error;
    }
  }

  async node(id: number): Promise<BrokerConnection> {
    const address = this.#nodes.get(id);
    if (address === undefined) throw new KafkaUnreachableError(`broker ${id} is not known`);
    return this.connect(address);
  }

  /** The broker that takes requests which change topics. */
  async controller(topic: string): Promise<BrokerConnection> {
    await this.metadata([topic]);
    return this.node(this.#controller);
  }

  /**
   * A connection to any broker that can be reached, another one each time: one that is cut off from the
   * others answers with old metadata.
   */
  async any(): Promise<BrokerConnection> {
    const addresses = [...this.#seeds, ...this.#nodes.values()];
    const distinct = new Map(addresses.map(address => [nameOf(address), address]));
    const list = [...distinct.values()];
    const first = this.#nextSeed++;
    let failure: unknown = new KafkaUnreachableError("no broker is configured");
    for (let i = 0; i < list.length; i += 1) {
      const address = list[(first + i) % list.length] as Address;
      try {
        return await this.connect(address);
      } catch (error) {
        if (errorCodeOf(error) !== "SINK_UNAVAILABLE") throw error;
        failure = error;
      }
    }
    throw failure;
  }

  async connect(address: Address): Promise<BrokerConnection> {
    const name = nameOf(address);
    const existing = await this.#connections.get(name)?.catch(() => undefined);
    if (existing?.isOpen) return existing;
    if (existing !== undefined) {
      this.#opened.delete(existing);
      this.#connections.delete(name);
    }
    this.#closing.signal.throwIfAborted();
    // Somebody else may have begun to connect while we looked at the old connection.
    let opening = this.#connections.get(name);
    if (opening === undefined) {
      opening = this.#open(address, name);
      this.#connections.set(name, opening);
    }
    return opening;
  }

  async #open(address: Address, name: string): Promise<BrokerConnection> {
    const { connectionTimeoutMs = 5_000 } = this.#options;
    const { requestTimeoutMs } = this;
    try {
      const options = { ...this.#options, connectionTimeoutMs, requestTimeoutMs };
      const connection = await BrokerConnection.open(options, address, this.#closing.signal);
      this.#opened.add(connection);
      return connection;
    } catch (error) {
      this.#connections.delete(name);
      throw error;
    }
  }

  /** Ends every connection at once. Requests under way are rejected. */
  close(): void {
    this.#closing.abort(new KafkaUnreachableError("the Kafka client is closed"));
    for (const connection of this.#opened) connection.destroy();
    this.#opened.clear();
  }
}

function nameOf({ host, port }: Address): string {
  return `${host}:${port}`;
}

function parseAddress(broker: string): Address {
  const { hostname, port } = new URL(`kafka://${broker}`);
  return { host: hostname.replace(/^\[|\]$/g, ""), port: port === "" ? 9092 : Number(port) };
}
