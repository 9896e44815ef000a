/** The producer against a real broker whose answers are lost. */
import { describe, expect, test } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import { silentLogger } from "../../src/core/logger.ts";
import { KafkaClient } from "../../src/kafka/client.ts";
import type { BrokerConnection } from "../../src/kafka/connection.ts";
import { KafkaResponseError, KafkaUnreachableError } from "../../src/kafka/kafka-errors.ts";
import { Producer } from "../../src/kafka/producer.ts";
import { useSharedKafka, clientOptions, never, unfenced, recordOf, uniqueName } from "./support.ts";

const kafka = useSharedKafka();

/** Loses the answers to the first `losses` produce requests, after the broker has appended them. */
class LossyClient extends KafkaClient {
  losses = 0;
  lost: Error = new KafkaUnreachableError("the answer was lost");

  override async leaderConnection(topic: string, partition: number): Promise<BrokerConnection> {
    const connection = await super.leaderConnection(topic, partition);
    const send: BrokerConnection["send"] = async (...request) => {
      const answer = await connection.send(...request);
      if (this.losses === 0) return answer;
      this.losses -= 1;
      throw this.lost;
    };
    const version = connection.version.bind(connection);
    return { send, version } as unknown as BrokerConnection;
  }
}

describe("Producer", () => {
  const make = (): { client: LossyClient; producer: Producer } => {
    const client = new LossyClient({ ...clientOptions(kafka.brokers), logger: silentLogger });
    const fence = unfenced(client);
    const producer = new Producer({ client, clock: systemClock, logger: silentLogger, fence });
    return { client, producer };
  };
  const batch = (...ids: string[]): ReturnType<typeof recordOf>[] => ids.map(id => recordOf(id));
  const idsIn = async (topic: string): Promise<(string | undefined)[]> =>
    (await kafka.observer.read(topic)).flat().map(record => record.header("id"));

  test("gets the offset of the first append when the broker answers a repetition", async () => {
    const topic = uniqueName("repeated");
    await kafka.observer.createTopic(topic);
    const { client, producer } = make();
    const target = { topic, partition: 0 };
    expect(await producer.send(target, batch("a", "b"), never)).toBe(0);
    client.losses = 3;
    expect(await producer.send(target, batch("c", "d", "e"), never)).toBe(2);
    client.losses = 1;
    expect(await producer.send(target, batch("f"), never)).toBe(5);
    expect(await producer.send(target, batch("g"), never)).toBe(6);
    expect(await idsIn(topic)).toEqual(["a", "b", "c", "d", "e", "f", "g"]);
    client.close();
  });

  test("sends nothing more after a batch of unknown outcome", async () => {
    const topic = uniqueName("unknown");
    await kafka.observer.createTopic(topic);
    const { client, producer } = make();
    const target = { topic, partition: 0 };
    client.losses = 1;
    client.lost = new KafkaResponseError(-1, "Produce");
    const sending = producer.send(target, batch("a"), never);
    await expect(sending).rejects.toMatchObject({ code: "SINK_OUTCOME_UNKNOWN" });
    // With the number of "a" the broker would take this for a repetition and drop it.
    const next = producer.send(target, batch("b"), never);
    await expect(next).rejects.toMatchObject({ code: "SINK_OUTCOME_UNKNOWN" });
    expect(await idsIn(topic)).toEqual(["a"]);
    client.close();
  });

  test("does not send a batch again that Kafka may have forgotten", async () => {
    const topic = uniqueName("outlived");
    await kafka.observer.createTopic(topic);
    const client = new LossyClient({ ...clientOptions(kafka.brokers), logger: silentLogger });
    let laterMs = 0;
    const clock = { ...systemClock, nowMs: () => systemClock.nowMs() + laterMs };
    const producer = new Producer({
      ...{ client, clock, logger: silentLogger, fence: unfenced(client) },
    });
    await producer.identify(never);
    const made = producer.make({ topic, partition: 0 }, batch("a"));
    laterMs = 9 * 60 * 60_000;
    const sending = producer.deliver(made, never);
    await expect(sending).rejects.toMatchObject({ code: "SINK_OUTCOME_UNKNOWN" });
    expect(await idsIn(topic)).toEqual([]);
    client.close();
  });

  test("goes on with the same numbers after a batch that was refused", async () => {
    const topic = uniqueName("refused");
    await kafka.observer.createTopic(topic, 1, { "max.message.bytes": "1000" });
    const { client, producer } = make();
    const target = { topic, partition: 0 };
    expect(await producer.send(target, batch("a"), never)).toBe(0);
    const large = { ...recordOf("x"), value: Buffer.alloc(2_000) };
    const refused = producer.send(target, [large], never);
    await expect(refused).rejects.toMatchObject({ code: "MESSAGE_REFUSED" });
    expect(await producer.send(target, batch("b"), never)).toBe(1);
    client.close();
  });

  test("sends to several partitions at once", async () => {
    const topic = uniqueName("several");
    await kafka.observer.createTopic(topic, 4);
    const { client, producer } = make();
    const sent = Array.from({ length: 4 }, async (_, partition) => {
      for (let i = 0; i < 20; i += 1) {
        expect(await producer.send({ topic, partition }, batch(`${partition}/${i}`), never)).toBe(
          i,
        );
      }
    });
    await Promise.all(sent);
    client.close();
  });
});
