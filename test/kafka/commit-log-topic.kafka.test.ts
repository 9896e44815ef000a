/** The commit log in a Kafka topic, against a real broker. */
import { afterEach, describe, expect, test } from "vitest";
import type { CommitLogTopic, CommitLogTopicOptions } from "../../src/kafka/commit-log-topic.ts";
import { systemClock } from "../../src/core/clock.ts";
import { commitLogContract, makeCheckpoint } from "../contract/commit-log.ts";
import { useSharedKafka, makeCommitLog, makeFence, never, uniqueName } from "./support.ts";

const kafka = useSharedKafka();

commitLogContract(
  "a Kafka topic",
  () => {
    const topic = uniqueName("commit-log");
    return Promise.resolve({
      makeCommitLog: (pipeline: string) => makeCommitLog(kafka.brokers, { topic, pipeline }),
      damage: async (pipeline: string) => {
        const half = JSON.stringify(makeCheckpoint(1, 1)).slice(0, 100);
        await kafka.observer.produce(topic, 0, [
          { key: Buffer.from(pipeline), value: Buffer.from(half), headers: [] },
        ]);
      },
      release: () => Promise.resolve(),
    });
  },
  { fence: "generation" },
);

describe("CommitLogTopic", () => {
  const logs: CommitLogTopic[] = [];
  afterEach(async () => {
    await Promise.all(logs.splice(0).map(log => log.close()));
  });

  const make = (topic: string, changes: Partial<CommitLogTopicOptions> = {}): CommitLogTopic => {
    const log = makeCommitLog(kafka.brokers, { topic, ...changes });
    logs.push(log);
    return log;
  };

  const keysAndOffsets = async (topic: string): Promise<[string, unknown][]> => {
    const [records = []] = await kafka.observer.read(topic);
    return records.map(({ key, value }) => {
      const parsed = JSON.parse(value?.toString() ?? "") as { next_offsets: unknown };
      return [key?.toString() ?? "", parsed.next_offsets];
    });
  };

  test("makes its topic compacted, with one partition and small segments", async () => {
    const topic = uniqueName("log.made");
    await make(topic).open(never);
    expect(await kafka.observer.topics.partitions(topic, never)).toBe(1);
    const names = ["cleanup.policy", "segment.bytes", "segment.ms", "min.cleanable.dirty.ratio"];
    const found = await Promise.all(
      names.map(name => kafka.observer.topics.config(topic, name, never)),
    );
    expect(found).toEqual(["compact", "16777216", "600000", "0.1"]);
  });

  test("writes both records at first and every ten minutes, and changes only between", async () => {
    const topic = uniqueName("log.keys");
    let nowMs = 0;
    const log = make(topic, { clock: { ...systemClock, nowMs: () => nowMs } });
    await log.open(never);
    const append = (sequence: number, a: number, b: number): Promise<void> =>
      log.append(makeCheckpoint(1, sequence, { next_offsets: { t: { "0": a, "1": b } } }), never);
    await append(0, 5, 6);
    await append(1, 5, 7);
    await append(2, 9, 7);
    nowMs = 10 * 60_000;
    await append(3, 9, 8);
    await append(4, 9, 9);
    expect(await keysAndOffsets(topic)).toEqual([
      ["shop/offsets", { t: { "0": 5, "1": 6 } }],
      ["shop", {}],
      ["shop", { t: { "1": 7 } }],
      ["shop", { t: { "0": 9, "1": 7 } }],
      ["shop/offsets", { t: { "0": 9, "1": 8 } }],
      ["shop", {}],
      ["shop", { t: { "1": 9 } }],
    ]);
    expect((await make(topic).open(never))?.next_offsets).toEqual({ t: { "0": 9, "1": 9 } });
  });

  test("survives compaction", async () => {
    const topic = uniqueName("log.compacted");
    await kafka.observer.createTopic(topic, 1, {
      "cleanup.policy": "compact",
      "segment.ms": "100",
      "segment.bytes": "1048576",
      "min.cleanable.dirty.ratio": "0.001",
      "max.compaction.lag.ms": "100",
      "delete.retention.ms": "0",
    });
    const log = make(topic);
    await log.open(never);
    for (let sequence = 0; sequence < 20; sequence += 1) {
      await log.append(makeCheckpoint(1, sequence), never);
    }
    const last = makeCheckpoint(1, 20);
    // Each append rolls the segment; the broker's cleaner comes by every 15 s.
    const compacted = async (): Promise<boolean> => {
      await log.append(last, never);
      return (await kafka.observer.read(topic)).flat().length < 20;
    };
    while (!(await compacted())) await new Promise(resolve => setTimeout(resolve, 200));
    expect(await make(topic).open(never)).toEqual(last);
  });

  test("names the offset of a damaged record", async () => {
    const topic = uniqueName("log.damaged");
    const log = make(topic);
    await log.open(never);
    await log.append(makeCheckpoint(1, 0), never);
    const key = Buffer.from("shop/offsets");
    await kafka.observer.produce(topic, 0, [{ key, value: Buffer.from("{}"), headers: [] }]);
    await expect(make(topic).open(never)).rejects.toThrow(/offset 3 of topic log\.damaged/);
  });

  test("refuses a tombstone in place of a checkpoint", async () => {
    const topic = uniqueName("log.tombstone");
    await make(topic).open(never);
    await kafka.observer.produce(topic, 0, [
      { key: Buffer.from("shop"), value: null, headers: [] },
    ]);
    const opening = make(topic).open(never);
    await expect(opening).rejects.toMatchObject({ code: "COMMIT_LOG_UNUSABLE" });
  });

  test("refuses a checkpoint without its offsets", async () => {
    const topic = uniqueName("log.half");
    await make(topic).open(never);
    const value = Buffer.from(JSON.stringify(makeCheckpoint(1, 0)));
    await kafka.observer.produce(topic, 0, [{ key: Buffer.from("shop"), value, headers: [] }]);
    const opening = make(topic).open(never);
    await expect(opening).rejects.toMatchObject({ code: "COMMIT_LOG_UNUSABLE" });
  });

  test.each([
    ["another policy", 1, "delete"],
    ["a policy that also deletes", 1, "compact,delete"],
    ["two partitions", 2, "compact"],
  ])("refuses a topic with %s", async (_, partitions, policy) => {
    const topic = uniqueName("log.refused");
    await kafka.observer.createTopic(topic, partitions, { "cleanup.policy": policy });
    await expect(make(topic).open(never)).rejects.toMatchObject({ code: "SINK_SETTING" });
  });

  test("lets the later one go on of two instances that start at once", async () => {
    const topic = uniqueName("log.race");
    const [first, second] = [make(topic), make(topic)];
    await first.open(never);
    await second.open(never);
    const late = first.append(makeCheckpoint(1, 0), never);
    await expect(late).rejects.toMatchObject({ code: "TAKEN_OVER", exitCode: 75 });
    await second.append(makeCheckpoint(1, 0), never);
    expect(await kafka.observer.read(topic)).toMatchObject([{ length: 2 }]);
  });

  test("reads what an older instance has appended just before", async () => {
    const topic = uniqueName("log.before");
    const [older, newer] = [make(topic), make(topic)];
    await older.open(never);
    let sequence = 0;
    const appending = (async () => {
      for (; ; sequence += 1) await older.append(makeCheckpoint(1, sequence), never);
    })();
    const ended = expect(appending).rejects.toMatchObject({ code: "TAKEN_OVER" });
    const found = await newer.open(never);
    await ended; // With the one of that number.
    expect(found).toEqual(sequence === 0 ? undefined : makeCheckpoint(1, sequence - 1));
  });

  test("takes the highest generation also if an older instance has written after it", async () => {
    const topic = uniqueName("log.older");
    // As when Kafka has forgotten the id of the older one: nothing keeps it out.
    const [older, newer] = [make(topic, { fence: makeFence(kafka.brokers, "older") }), make(topic)];
    await older.open(never);
    await older.append(makeCheckpoint(1, 0), never);
    await newer.open(never);
    await newer.append(makeCheckpoint(2, 0), never);
    await older.append(makeCheckpoint(1, 1), never);
    await newer.stillOurs(never);
    await expect(older.stillOurs(never)).rejects.toMatchObject({ code: "TAKEN_OVER" });
    expect(await make(topic).open(never)).toEqual(makeCheckpoint(2, 0));
  });

  test("gives up an append when the signal aborts, and can append again", async () => {
    const topic = uniqueName("log.aborted");
    const log = make(topic);
    await log.open(never);
    const reason = new Error("stopped");
    const stop = new AbortController();
    const appending = log.append(makeCheckpoint(1, 0), stop.signal);
    stop.abort(reason);
    await expect(appending).rejects.toBe(reason);
    // The same sequence number would make the broker take this for a repetition.
    await log.append(makeCheckpoint(1, 1), never);
    expect(await make(topic).open(never)).toEqual(makeCheckpoint(1, 1));
  });
});
