/** The Kafka sink against a real broker. */
import { afterEach, describe, expect, test } from "vitest";
import type { KafkaSink, KafkaSinkOptions } from "../../src/kafka/kafka-sink.ts";
import {
  RecordedEvents,
  makeMessage,
  makeMessages,
  resumeAt,
  sinkContract,
} from "../contract/sink.ts";
import type { OutgoingRecord } from "../../src/kafka/record-writer.ts";
import { TableMessage } from "../../src/queue/table-message.ts";
import type { Message } from "../../src/sinks/sink.ts";
import { useSharedKafka, makeSink, never, recordOf, uniqueName } from "./support.ts";

const kafka = useSharedKafka();

for (const delivery of ["effectively-once"] as const) {
  sinkContract(
    `Kafka, ${delivery},`,
    () => {
      const destination = uniqueName("contract");
      return Promise.resolve({
        destination,
        makeSink: () => makeSink(kafka.brokers, { delivery }),
        read: async () =>
          (await kafka.observer.read(destination)).map(records =>
            records.map(({ value }) => value?.toString() ?? ""),
          ),
        faults: {
          away: () => undefined, // In kafka-faults.kafka.test.ts, with a broker of its own.
          back: () => undefined,
          refusable: message => ({ ...message, value: Buffer.alloc(2_000_000, "x") }),
        },
        release: () => Promise.resolve(),
      });
    },
    { offsets: true, faults: ["refused"] },
  );
}

describe("KafkaSink", () => {
  const sinks: KafkaSink[] = [];
  afterEach(async () => {
    await Promise.all(sinks.splice(0).map(sink => sink.close()));
  });

  const make = (changes: Partial<KafkaSinkOptions> = {}): KafkaSink => {
    const sink = makeSink(kafka.brokers, changes);
    sinks.push(sink);
    return sink;
  };

  /** A topic of one partition whose records are those with these ids, and what a restart makes of it. */
  const replay = async (
    tail: readonly (readonly [id: string, pipeline?: string, position?: string])[],
    ids: readonly string[],
    { checkpointAt = 0, sameServer = true, changes = {} } = {},
  ): Promise<{ events: RecordedEvents; topic: string; added: string[] }> => {
    const topic = uniqueName("tail");
    await kafka.observer.createTopic(topic);
    for (const record of tail) await kafka.observer.produce(topic, 0, [recordOf(...record)]);
    const sink = make();
    const events = new RecordedEvents();
    const resume = resumeAt({ [topic]: { "0": checkpointAt } }, topic, { sameServer });
    await sink.open(resume, events, never);
    const messages = ids.map((id, i) => ({ ...makeMessage(i, topic), id, ...changes }));
    sink.write(messages);
    await events.untilDelivered(messages.length);
    const [records = []] = await kafka.observer.read(topic);
    const added = records.slice(tail.length).map(record => record.header("id") ?? "");
    return { events, topic, added };
  };

  /** The mark of the sink's fence takes an offset between what was there and what it sends. */
  const nextOffsets = (events: RecordedEvents): number[] =>
    events.delivered_.map(({ place }) => place?.nextOffset ?? -1);

  describe("a message about a whole table", () => {
    const aboutTable = (seq: number, topic: string): Message => {
      const route = { id: "shop.orders", destination: topic, partitionKey: Buffer.from("t") };
      const notice = { operation: "truncate", database: "shop", table: "orders" } as const;
      const transaction = { id: "u:7", gtid: "u:7", thread: undefined };
      const origin = { file: "binlog.000001", position: 4, serverId: 1, timestampS: 0 };
      const value = Buffer.from("t");
      return new TableMessage(
        { seq, index: 0 },
        { ...notice, transaction, origin },
        { route: { ...route, keyed: false, idMark: "" }, value },
      );
    };
    const idsIn = async (topic: string): Promise<(string | undefined)[][]> =>
      (await kafka.observer.read(topic)).map(records => records.map(one => one.header("id")));

    test("goes to each partition, and is delivered once, when all of them have it", async () => {
      const topic = uniqueName("spread");
      const sink = make({ createTopics: { partitions: 3, replicationFactor: -1, config: {} } });
      const events = new RecordedEvents();
      await sink.open(resumeAt({}, topic), events, never);
      const message = aboutTable(0, topic);
      sink.write([message]);
      await events.untilDelivered(1);
      expect(events.delivered_.map(one => one.message)).toEqual([message]);
      const [{ place, others } = {}] = events.delivered_;
      const places = [place, ...(others ?? [])].map(one => `${one?.partition}:${one?.nextOffset}`);
      expect(places.sort()).toEqual(["0:2", "1:2", "2:2"]); // In front stands the fence's mark.
      expect(await idsIn(topic)).toEqual([0, 1, 2].map(n => [`u:7:shop.orders:ddl:${n}`]));
      expect(sink.partitionOf(message)).toBeUndefined();
    });

    test("is sent after a crash only to the partitions that lack it", async () => {
      const topic = uniqueName("spread-tail");
      await kafka.observer.createTopic(topic, 3);
      await kafka.observer.produce(topic, 1, [recordOf("u:7:shop.orders:ddl:1"), recordOf("x")]);
      const sink = make();
      const events = new RecordedEvents();
      await sink.open(resumeAt({ [topic]: { "0": 0, "1": 0, "2": 0 } }, topic), events, never);
      sink.write([aboutTable(0, topic)]);
      await events.untilDelivered(1);
      expect(await idsIn(topic)).toEqual([
        ["u:7:shop.orders:ddl:0"],
        ["u:7:shop.orders:ddl:1", "x"],
        ["u:7:shop.orders:ddl:2"],
      ]);
    });
  });

  describe("reading the tail", () => {
    test("skips what has arrived, with the places at which it stands", async () => {
      const { events, added } = await replay([["a"], ["b"], ["c"]], ["a", "b", "c", "d"]);
      expect(added).toEqual(["d"]);
      expect(events.ids).toEqual(["a", "b", "c", "d"]);
      expect(nextOffsets(events)).toEqual([1, 2, 3, 5]);
    });

    test("begins at the checkpoint's offset", async () => {
      const at = { checkpointAt: 2 };
      const { events, added } = await replay([["a"], ["b"], ["c"]], ["c", "d"], at);
      expect(added).toEqual(["d"]);
      expect(nextOffsets(events)).toEqual([3, 5]);
    });

    test("passes over records of other pipelines and heartbeats", async () => {
      const tail = [["x", "other"], ["a"], ["a", "other"], ["heartbeat/3/1"], ["b"]] as const;
      const { events, added } = await replay(tail, ["a", "b", "c"]);
      expect(added).toEqual(["c"]);
      expect(nextOffsets(events)).toEqual([2, 5, 7]);
    });

    test("sends everything from the first difference on", async () => {
      const { events, added } = await replay([["a"], ["b"], ["c"]], ["a", "c", "b", "d"]);
      expect(added).toEqual(["c", "b", "d"]);
      expect(nextOffsets(events)).toEqual([1, 5, 6, 7]);
    });

    test("takes a record that compaction removed for a difference", async () => {
      const { added } = await replay([["b"], ["c"]], ["a", "b", "c"]);
      expect(added).toEqual(["a", "b", "c"]);
    });

    test("skips no message without primary key on another server, nor any after it", async () => {
      const all = { sameServer: false, changes: { keyed: false } };
      expect((await replay([["a"], ["b"]], ["a", "b"], all)).added).toEqual(["a", "b"]);
      const keyed = { sameServer: false };
      expect((await replay([["a"], ["b"]], ["a", "b"], keyed)).added).toEqual([]);
    });

    test("tells which transactions have arrived, before anything is sent", async () => {
      const topic = uniqueName("arrived");
      await kafka.observer.createTopic(topic);
      const of = (id: string, transaction: string, pipeline?: string): OutgoingRecord => {
        const record = recordOf(id, pipeline);
        return { ...record, headers: [...record.headers, ["transaction", transaction]] };
      };
      const tail = [of("a", "u:1"), of("b", "u:2"), of("c", "u:2"), of("d", "u:3", "other")];
      await kafka.observer.produce(topic, 0, tail);
      const sink = make();
      const told: string[][] = [];
      const arrived = (ids: ReadonlySet<string>): Promise<void> => {
        told.push([...ids]);
        return Promise.resolve();
      };
      const resume = resumeAt({ [topic]: { "0": 1 } }, topic, { sameServer: false, arrived });
      await sink.open(resume, new RecordedEvents(), never);
      expect(told).toEqual([["u:2"]]);
    });

    test("skips a message without primary key only if its row stood at the same place", async () => {
      const changes = { keyed: false, position: "binlog.000003:700" };
      const here = ["b", "shop", "binlog.000003:700"] as const;
      const there = ["b", "shop", "binlog.000001:700"] as const;
      expect((await replay([here], ["b", "c"], { changes })).added).toEqual(["c"]);
      expect((await replay([there], ["b", "c"], { changes })).added).toEqual(["b", "c"]);
    });

    test("sends a heartbeat of its own after the comparison", async () => {
      const { added } = await replay([["a"], ["b"]], ["a", "heartbeat/4/1", "b", "c"]);
      expect(added).toEqual(["heartbeat/4/1", "c"]);
    });

    test("goes through more tail than one fetch holds", async () => {
      const topic = uniqueName("tail.long");
      await kafka.observer.createTopic(topic);
      const ids = Array.from({ length: 3_000 }, (_, i) => `id-${i}`);
      const filler = Buffer.alloc(500, "x");
      for (let i = 0; i < ids.length; i += 300) {
        const some = ids.slice(i, i + 300);
        await kafka.observer.produce(
          topic,
          0,
          some.map(id => ({ ...recordOf(id), value: filler })),
        );
      }
      const sink = make();
      const events = new RecordedEvents();
      await sink.open(resumeAt({ [topic]: { "0": 0 } }, topic), events, never);
      sink.write([...ids, "last"].map((id, i) => ({ ...makeMessage(i, topic), id })));
      await events.untilDelivered(ids.length + 1);
      expect(nextOffsets(events)).toEqual([...ids.map((_, i) => i + 1), ids.length + 2]);
    });

    test("begins where the log begins, if retention removes records meanwhile", async () => {
      const topic = uniqueName("tail.removed");
      await kafka.observer.createTopic(topic);
      await kafka.observer.produce(topic, 0, [recordOf("a"), recordOf("b"), recordOf("c")]);
      const sink = make();
      const events = new RecordedEvents();
      await sink.open(resumeAt({ [topic]: { "0": 0 } }, topic), events, never);
      await kafka.observer.deleteRecords(topic, 0, 2);
      sink.write(["c", "d"].map((id, i) => ({ ...makeMessage(i, topic), id })));
      await events.untilDelivered(2);
      expect(nextOffsets(events)).toEqual([3, 5]);
    });

    test("reads no tail for at-least-once", async () => {
      const topic = uniqueName("tail.none");
      await kafka.observer.createTopic(topic);
      await kafka.observer.produce(topic, 0, [recordOf("a")]);
      const sink = make({ delivery: "at-least-once" });
      const events = new RecordedEvents();
      await sink.open(resumeAt({ [topic]: { "0": 0 } }, topic), events, never);
      sink.write([{ ...makeMessage(0, topic), id: "a" }]);
      await events.untilDelivered(1);
      expect(nextOffsets(events)).toEqual([3]);
    });

    test("stops if a topic ends before the checkpoint, or is gone", async () => {
      const topic = uniqueName("anew");
      const open = (): Promise<unknown> =>
        make().open(resumeAt({ [topic]: { "0": 5 } }, topic), new RecordedEvents(), never);
      await expect(open()).rejects.toMatchObject({ code: "COMMIT_LOG_UNUSABLE" });
      await kafka.observer.createTopic(topic);
      await expect(open()).rejects.toMatchObject({ code: "COMMIT_LOG_UNUSABLE" });
    });
  });

  test("finds out the ends of partitions that the checkpoint does not know", async () => {
    const topic = uniqueName("ends");
    await kafka.observer.createTopic(topic, 3);
    await kafka.observer.produce(topic, 1, [recordOf("a", "other"), recordOf("b", "other")]);
    const sink = make();
    const resume = resumeAt({ [topic]: { "0": 0 } }, topic);
    const fresh = await sink.open(resume, new RecordedEvents(), never);
    expect(fresh).toEqual({ [topic]: { "1": 2, "2": 0 } });
  });

  test("claims all partitions of a new topic at once", async () => {
    const topic = uniqueName("claims");
    const sink = make({ createTopics: { partitions: 3, replicationFactor: 1, config: {} } });
    const events = new RecordedEvents();
    expect(await sink.open(resumeAt({}, topic), events, never)).toEqual({});
    sink.write([makeMessage(0, topic)]);
    await events.untilDelivered(1);
    expect(events.claims).toEqual([{ [topic]: { "0": 0, "1": 0, "2": 0 } }]);
  });

  test("refuses a topic met later that holds its output, if there is no checkpoint", async () => {
    const topic = uniqueName("later");
    await kafka.observer.createTopic(topic);
    await kafka.observer.produce(topic, 0, [recordOf("a")]);
    const sink = make();
    const events = new RecordedEvents();
    await sink.open({ ...resumeAt(undefined, topic), destinations: [] }, events, never);
    sink.write([makeMessage(0, topic)]);
    await events.until(() => events.failure !== undefined);
    expect(events.failure?.code).toBe("OUTPUT_UNKNOWN");
  });

  test("writes key, value, tombstone and headers", async () => {
    const topic = uniqueName("shape");
    const sink = make({ createTopics: { partitions: 1, replicationFactor: -1, config: {} } });
    const events = new RecordedEvents();
    await sink.open(resumeAt({}, topic), events, never);
    const message = makeMessage(7, topic);
    sink.write([message, { ...message, id: "größe", key: null, value: null }]);
    await events.untilDelivered(2);
    const [[first, second] = []] = await kafka.observer.read(topic);
    expect(first?.key).toEqual(message.key);
    expect(first?.value).toEqual(message.value);
    const names = ["id", "pipeline", "transaction", "position"];
    expect(names.map(name => first?.header(name))).toEqual([
      message.id,
      "shop",
      message.transaction,
      message.position,
    ]);
    expect([second?.key, second?.value, second?.header("id")]).toEqual([null, null, "größe"]);
  });

  test("splits a batch that is too large for the topic", async () => {
    const topic = uniqueName("split");
    await kafka.observer.createTopic(topic, 1, { "max.message.bytes": "3000" });
    const sink = make();
    const events = new RecordedEvents();
    await sink.open(resumeAt({}, topic), events, never);
    const messages = makeMessages(0, 200, topic);
    sink.write(messages);
    await events.untilDelivered(200);
    const [records = []] = await kafka.observer.read(topic);
    expect(records.map(record => record.header("id"))).toEqual(messages.map(({ id }) => id));
    expect(nextOffsets(events)).toEqual(messages.map((_, i) => i + 2));
  });

  test("names a message that Kafka refuses, and goes on when it is safe", async () => {
    const topic = uniqueName("refused");
    await kafka.observer.createTopic(topic, 1, { "max.message.bytes": "3000" });
    const sink = make();
    const events = new RecordedEvents();
    let release = (): void => undefined;
    events.buried = new Promise(resolve => (release = resolve));
    await sink.open(resumeAt({}, topic), events, never);
    const messages = makeMessages(0, 9, topic);
    const large = { ...makeMessage(4, topic), value: Buffer.alloc(5_000) };
    sink.write([...messages.slice(0, 4), large, ...messages.slice(5)]);
    await events.until(() => events.refusals.length > 0);
    const { error, attempts } = events.refusals[0] ?? {};
    expect([error?.code, attempts]).toEqual(["MESSAGE_REFUSED", 1]);
    for (const part of [large.id, large.position, topic, "MESSAGE_TOO_LARGE"]) {
      expect(error?.message).toContain(part);
    }
    expect(events.ids).toEqual(messages.slice(0, 4).map(({ id }) => id));
    release();
    await events.untilDelivered(8);
    expect(events.refusals).toHaveLength(1);
    const [records = []] = await kafka.observer.read(topic);
    expect(records.map(record => record.header("id"))).toEqual(events.ids);
  });

  test("names a message without key that a compacted topic refuses", async () => {
    const topic = uniqueName("keyless");
    await kafka.observer.createTopic(topic, 1, { "cleanup.policy": "compact" });
    const sink = make();
    const events = new RecordedEvents();
    await sink.open(resumeAt({}, topic), events, never);
    sink.write([makeMessage(0, topic), { ...makeMessage(1, topic), key: null }]);
    await events.until(() => events.refusals.length > 0);
    expect(events.refusals[0]?.error.code).toBe("MESSAGE_REFUSED");
    expect(events.ids).toEqual([makeMessage(0, topic).id]);
  });

  test("sends a message larger than a batch alone", async () => {
    const topic = uniqueName("large");
    await kafka.observer.createTopic(topic, 1, { "max.message.bytes": "3000000" });
    const sink = make();
    const events = new RecordedEvents();
    await sink.open(resumeAt({}, topic), events, never);
    const large = { ...makeMessage(1, topic), value: Buffer.alloc(2_000_000, "z") };
    sink.write([makeMessage(0, topic), large, makeMessage(2, topic)]);
    await events.untilDelivered(3);
    expect(nextOffsets(events)).toEqual([2, 3, 4]);
  });

  test("holds back more messages while its backlog is at its bound", async () => {
    const topic = uniqueName("room");
    const sink = make({ backlogBytesMax: 10_000 });
    const events = new RecordedEvents();
    let release = (): void => undefined;
    events.claimed = new Promise(resolve => (release = resolve));
    await sink.open(resumeAt({}, topic), events, never);
    sink.write(makeMessages(0, 100, topic));
    const stop = new AbortController();
    const reason = new Error("no room yet");
    const waiting = sink.room(stop.signal);
    await events.until(() => events.claims.length > 0);
    stop.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    release();
    await sink.room(never);
    expect(events.delivered_.length).toBeGreaterThan(0);
  });
});
