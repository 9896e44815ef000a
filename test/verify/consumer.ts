/** A plain consumer: reads every partition from offset 0, in order, without a group. */
import { setTimeout as sleep } from "node:timers/promises";
import {
  KafkaConnection,
  KafkaUnavailable,
  readBatches,
  type ClusterLayout,
  type PartitionPlace,
  type RawRecord,
} from "./kafka-wire.ts";

export type VisitRecord = (record: RawRecord, place: PartitionPlace) => void;

/** Longer than an election, shorter than a campaign's patience. */
const UNAVAILABLE_MAX_MS = 60_000;
const OFFSET_OUT_OF_RANGE = 1;

export class Consumer {
  readonly #brokers: readonly string[];
  readonly #accepts: (topic: string) => boolean;
  readonly #connections = new Map<string, KafkaConnection>();
  /** By topic and partition: the offset to read on from. */
  readonly #next = new Map<string, number>();

  constructor(brokers: readonly string[], accepts: (topic: string) => boolean) {
    this.#brokers = brokers;
    this.#accepts = accepts;
  }

  close(): void {
    for (const connection of this.#connections.values()) connection.close();
    this.#connections.clear();
  }

  /** Reads again from the beginning the next time. */
  rewind(): void {
    this.#next.clear();
  }

  /** End offsets of all accepted partitions. */
  ends(): Promise<ReadonlyMap<string, number>> {
    return this.#persistently(async () => {
      const layout = await this.#layout();
      const ends = new Map<string, number>();
      for (const [leader, places] of byLeader(layout)) {
        const connection = await this.#leader(layout, leader);
        for (const [name, end] of await connection.ends(places)) ends.set(name, end);
      }
      return ends;
    });
  }

  /**
   * Gives all records from where it left off to the ends as they are now.
   *
   * @returns these ends.
   */
  async readToEnd(visit: VisitRecord): Promise<ReadonlyMap<string, number>> {
    const ends = await this.ends();
    await this.#persistently(() => this.#readTo(ends, visit));
    return ends;
  }

  async #readTo(ends: ReadonlyMap<string, number>, visit: VisitRecord): Promise<void> {
    for (;;) {
      const layout = await this.#layout();
      const isBehind = (place: PartitionPlace): boolean =>
        this.#offset(place) < (ends.get(nameOf(place)) ?? 0);
      const behind = layout.partitions.filter(isBehind);
      if (behind.length === 0) return;
      for (const [leader, places] of byLeader({ ...layout, partitions: behind })) {
        const connection = await this.#leader(layout, leader);
        let left = places;
        while (left.length > 0) {
          await this.#fetch(connection, left, visit);
          left = left.filter(isBehind);
        }
      }
    }
  }

  async #fetch(
    connection: KafkaConnection,
    places: readonly PartitionPlace[],
    visit: VisitRecord,
  ): Promise<void> {
    const asked = places.map(place => ({ ...place, offset: this.#offset(place) }));
    for (const fetched of await connection.fetch(asked)) {
      const name = nameOf(fetched);
      if (fetched.errorCode === OFFSET_OUT_OF_RANGE) {
        this.#next.set(name, fetched.logStart);
        continue;
      }
      if (fetched.errorCode !== 0) {
        throw new KafkaUnavailable(`${name}: error ${fetched.errorCode}`);
      }
      const place = places.find(
        ({ topic, partition }) => topic === fetched.topic && partition === fetched.partition,
      );
      if (!place) continue;
      const from = this.#offset(place);
      this.#next.set(
        name,
        readBatches(fetched.records, from, record => visit(record, place)),
      );
    }
  }

  #offset(place: PartitionPlace): number {
    return this.#next.get(nameOf(place)) ?? 0;
  }

  async #layout(): Promise<ClusterLayout> {
    let failure: unknown;
    for (const broker of this.#brokers) {
      const [host = "", port = ""] = broker.split(":");
      try {
        const connection = await this.#connection(host, Number(port));
        const layout = await connection.metadata();
        const partitions = layout.partitions.filter(({ topic }) => this.#accepts(topic));
        return { ...layout, partitions };
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }

  async #leader(layout: ClusterLayout, leader: number): Promise<KafkaConnection> {
    const node = layout.nodes.get(leader);
    if (!node) throw new KafkaUnavailable(`no leader (${leader})`);
    return this.#connection(node.host, node.port);
  }

  async #connection(host: string, port: number): Promise<KafkaConnection> {
    const name = `${host}:${port}`;
    let connection = this.#connections.get(name);
    if (connection?.isOpen !== true) {
      connection = await KafkaConnection.open(host, port);
      this.#connections.set(name, connection);
    }
    return connection;
  }

  async #persistently<T>(attempt: () => Promise<T>): Promise<T> {
    const deadline = performance.now() + UNAVAILABLE_MAX_MS;
    for (;;) {
      try {
        return await attempt();
      } catch (error) {
        if (!(error instanceof KafkaUnavailable) || performance.now() > deadline) throw error;
        await sleep(100);
      }
    }
  }
}

function nameOf({ topic, partition }: { topic: string; partition: number }): string {
  return `${topic}/${partition}`;
}

function byLeader(layout: ClusterLayout): Map<number, PartitionPlace[]> {
  const leaders = new Map<number, PartitionPlace[]>();
  for (const place of layout.partitions) {
    const places = leaders.get(place.leader) ?? [];
    places.push(place);
    leaders.set(place.leader, places);
  }
  return leaders;
}
