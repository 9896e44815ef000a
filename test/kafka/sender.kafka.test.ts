/** Batches under way to a real broker, some of which or of whose answers are lost. */
import { describe, expect, test } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import { silentLogger } from "../../src/core/logger.ts";
import { KafkaClient } from "../../src/kafka/client.ts";
import type { BrokerConnection } from "../../src/kafka/connection.ts";
import { KafkaUnreachableError } from "../../src/kafka/kafka-errors.ts";
import { Lane } from "../../src/kafka/lane.ts";
import { Producer } from "../../src/kafka/producer.ts";
import { Sender } from "../../src/kafka/sender.ts";
import { makeMessage, makeMessages } from "../contract/sink.ts";
import { useSharedKafka, clientOptions, never, unfenced, uniqueName } from "./support.ts";

const kafka = useSharedKafka();

type Fate = "arrives" | "is lost" | "answer is lost";

/** A network in which each request has a fate, and the connection goes on all the same. */
class BadNetwork extends KafkaClient {
  fate: () => Fate = () => "arrives";
  underWay = 0;
  mostUnderWay = 0;

  override async node(id: number): Promise<BrokerConnection> {
    const connection = await super.node(id);
    const send: BrokerConnection["send"] = async (...request) => {
      if (request[0].apiName !== "Produce") return connection.send(...request);
      const fate = this.fate();
      this.underWay += 1;
      this.mostUnderWay = Math.max(this.mostUnderWay, this.underWay);
      try {
        if (fate === "is lost") throw new KafkaUnreachableError("the request was lost");
        const answer = await connection.send(...request);
        if (fate === "answer is lost") throw new KafkaUnreachableError("the answer was lost");
        return answer;
      } finally {
        this.underWay -= 1;
      }
    };
    const version = connection.version.bind(connection);
    return { send, version } as unknown as BrokerConnection;
  }
}

interface Setup {
  readonly sender: Sender;
  readonly network: BadNetwork;
  readonly lanes: readonly Lane[];
  readonly topic: string;
  /** Ids of delivered messages, by partition. */
  readonly delivered: string[][];
  readonly refused: string[];
  readonly failure: () => unknown;
  readonly write: (partition: number, from: number, count: number) => void;
}

async function setUp(partitions: number, config: Record<string, string> = {}): Promise<Setup> {
  const topic = uniqueName("sender");
  await kafka.observer.createTopic(topic, partitions, config);
  const network = new BadNetwork({ ...clientOptions(kafka.brokers), logger: silentLogger });
  const common = { client: network, clock: systemClock, logger: silentLogger };
  const delivered: string[][] = Array.from({ length: partitions }, () => []);
  const refused: string[] = [];
  let failure: unknown;
  const sender = new Sender({
    ...common,
    producer: new Producer({ ...common, fence: unfenced(network) }),
    pipeline: "shop",
    limits: { bytes: 100_000, records: 5 },
    signal: never,
    delivered: (lane, { id }, nextOffset) => {
      const ids = delivered[lane.partition] as string[];
      ids.push(id);
      expect(nextOffset).toBe(ids.length);
      lane.nextOffset = nextOffset;
    },
    refused: ({ id }) => Promise.resolve(void refused.push(id)),
    failed: error => (failure = error),
  });
  const lanes = Array.from(
    { length: partitions },
    (_, partition) => new Lane({ topic, partition, nextOffset: 0, sending: true }),
  );
  const write = (partition: number, from: number, count: number): void => {
    const lane = lanes[partition] as Lane;
    for (const message of makeMessages(from, from + count, topic)) lane.push(message);
    sender.wake(lane);
  };
  return { sender, network, lanes, topic, delivered, refused, failure: () => failure, write };
}

async function untilDelivered({ delivered, failure }: Setup, count: number): Promise<void> {
  const deadlineMs = systemClock.nowMs() + 20_000;
  for (;;) {
    const arrived = delivered.reduce((sum, ids) => sum + ids.length, 0);
    if (arrived >= count) return;
    if (failure() !== undefined) throw failure() as Error;
    if (systemClock.nowMs() > deadlineMs) throw new Error(`${arrived} of ${count} have arrived`);
    await systemClock.turn();
  }
}

const idsIn = async (topic: string): Promise<(string | undefined)[][]> =>
  (await kafka.observer.read(topic)).map(records => records.map(record => record.header("id")));

describe("Sender", () => {
  test("has up to five batches of a partition under way, once one has arrived", async () => {
    const setup = await setUp(1);
    const { network, write, topic, delivered } = setup;
    write(0, 0, 3);
    await untilDelivered(setup, 3);
    expect(network.mostUnderWay).toBe(1);
    write(0, 3, 200);
    await untilDelivered(setup, 203);
    expect(network.mostUnderWay).toBe(5);
    expect(await idsIn(topic)).toEqual(delivered);
    network.close();
  });

  test("sends the first batch alone, since a broker that knows no number may take any", async () => {
    const setup = await setUp(1);
    const { network, write, topic, delivered } = setup;
    const arrivedBefore: number[] = [];
    network.fate = () => {
      arrivedBefore.push(delivered[0]?.length ?? 0);
      return "arrives";
    };
    write(0, 0, 50);
    await untilDelivered(setup, 50);
    expect(arrivedBefore.slice(0, 3)).toEqual([0, 5, 5]);
    const fates: Fate[] = ["is lost"];
    network.fate = () => fates.pop() ?? "arrives";
    write(0, 50, 50);
    await untilDelivered(setup, 100);
    expect(await idsIn(topic)).toEqual(delivered);
    network.close();
  });

  test("has large messages under way one after the other", async () => {
    const setup = await setUp(1, { "max.message.bytes": "9000000" });
    const { network, lanes, sender, topic, delivered } = setup;
    const [lane] = lanes as [Lane];
    lane.push(makeMessage(0, topic));
    sender.wake(lane);
    await untilDelivered(setup, 1);
    for (let i = 1; i < 5; i += 1) {
      lane.push({ ...makeMessage(i, topic), value: Buffer.alloc(5_000_000), bytes: 5_000_000 });
    }
    sender.wake(lane);
    await untilDelivered(setup, 5);
    expect(network.mostUnderWay).toBe(1);
    expect(await idsIn(topic)).toEqual(delivered);
    network.close();
  });

  test("sends the batches of several partitions in one request", async () => {
    const setup = await setUp(4);
    const { network, write, topic, delivered } = setup;
    for (const partition of [0, 1, 2, 3]) write(partition, partition * 100, 2);
    await untilDelivered(setup, 8);
    let requests = 0;
    network.fate = () => {
      requests += 1;
      return "arrives";
    };
    for (const partition of [0, 1, 2, 3]) write(partition, partition * 100 + 2, 5);
    await untilDelivered(setup, 28);
    expect(requests).toBe(1);
    expect(await idsIn(topic)).toEqual(delivered);
    network.close();
  });

  test.each([11, 12, 13, 14])(
    "loses, repeats and reorders nothing, whatever is lost on the way (seed %i)",
    async seed => {
      const setup = await setUp(3);
      const { network, write, topic, delivered } = setup;
      let state = seed;
      const random = (): number =>
        (state = (Math.imul(state, 48_271) >>> 0) % 2_147_483_647) / 2 ** 31;
      const fates = { "is lost": 0, "answer is lost": 0, arrives: 0 };
      network.fate = () => {
        const chance = random();
        const fate = chance < 0.1 ? "is lost" : chance < 0.2 ? "answer is lost" : "arrives";
        fates[fate] += 1;
        return fate;
      };
      const written = [0, 0, 0];
      for (let round = 0; round < 60; round += 1) {
        const partition = Math.floor(random() * 3);
        const count = 1 + Math.floor(random() * 40);
        write(partition, partition * 10_000 + (written[partition] as number), count);
        (written[partition] as number) += count;
        if (random() < 0.5) await untilDelivered(setup, written.reduce((a, b) => a + b) / 2);
      }
      await untilDelivered(
        setup,
        written.reduce((a, b) => a + b),
      );
      expect(Math.min(fates["is lost"], fates["answer is lost"])).toBeGreaterThan(0);
      expect(delivered).toEqual(
        written.map((count, partition) =>
          makeMessages(partition * 10_000, partition * 10_000 + count, topic).map(({ id }) => id),
        ),
      );
      expect(await idsIn(topic)).toEqual(delivered);
      network.close();
    },
    60_000,
  );

  test("goes on in order behind messages that Kafka refuses", async () => {
    const setup = await setUp(1, { "max.message.bytes": "3000" });
    const { network, write, lanes, sender, topic, delivered, refused } = setup;
    const [lane] = lanes as [Lane];
    write(0, 0, 3);
    await untilDelivered(setup, 3);
    const poison = [30, 31, 47];
    for (let i = 3; i < 100; i += 1) {
      const message = makeMessage(i, topic);
      lane.push(poison.includes(i) ? { ...message, value: Buffer.alloc(4_000) } : message);
    }
    sender.wake(lane);
    await untilDelivered(setup, 97);
    expect(refused).toEqual(poison.map(i => makeMessage(i, topic).id));
    expect(await idsIn(topic)).toEqual(delivered);
    expect(delivered[0]).toHaveLength(97);
    network.close();
  });
});
