/** Two instances of a pipeline, of which only the newer one may write, against a real broker. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { sleep, systemClock } from "../../src/core/clock.ts";
import { silentLogger } from "../../src/core/logger.ts";
import { Coordinator } from "../../src/kafka/coordinator.ts";
import type { Fence, FenceOptions, Identities } from "../../src/kafka/fence.ts";
import { transactionalIdOf } from "../../src/kafka/fence.ts";
import type { KafkaSink } from "../../src/kafka/kafka-sink.ts";
import { Producer } from "../../src/kafka/producer.ts";
import { RecordedEvents, makeMessage, resumeAt } from "../contract/sink.ts";
import { useSharedKafka, makeFence, makeSink, never, recordOf, uniqueName } from "./support.ts";

const kafka = useSharedKafka();

const TAKEN_OVER = { code: "TAKEN_OVER", exitCode: 75 };

describe("Fence", () => {
  const closing: { close(): unknown }[] = [];
  afterEach(async () => {
    vi.restoreAllMocks();
    for (const { close } of closing.splice(0).map(it => ({ close: () => it.close() })))
      await close();
  });

  const fenceOf = (pipeline: string, changes: Partial<FenceOptions> = {}): Fence => {
    const fence = makeFence(kafka.brokers, pipeline, changes);
    closing.push(fence);
    return fence;
  };
  const producerOf = (fence: Fence): Producer =>
    new Producer({
      client: kafka.observer.client,
      clock: systemClock,
      logger: silentLogger,
      fence,
    });
  const topicOf = async (partitions: number): Promise<string> => {
    const topic = uniqueName("fenced");
    await kafka.observer.createTopic(topic, partitions);
    return topic;
  };
  const all = (topic: string, partitions: number): { topic: string; partition: number }[] =>
    Array.from({ length: partitions }, (_, partition) => ({ topic, partition }));

  test("keeps an older instance out of every partition, also of those it never wrote", async () => {
    const topic = await topicOf(3);
    const pipeline = uniqueName("p");
    const older = fenceOf(pipeline);
    await older.around(all(topic, 2), never);
    const late = producerOf(older);
    await late.send({ topic, partition: 0 }, [recordOf("a")], never);
    const newer = fenceOf(pipeline);
    const marks = await newer.around(all(topic, 3), never);
    expect(marks).toEqual({ [topic]: { "0": 2, "1": 1, "2": 0 } });
    for (const target of all(topic, 3)) {
      const sending = producerOf(older).send(target, [recordOf("late")], never);
      await expect(sending).rejects.toMatchObject(TAKEN_OVER);
    }
    await expect(late.send({ topic, partition: 0 }, [recordOf("b")], never)).rejects.toMatchObject(
      TAKEN_OVER,
    );
    await expect(older.around(all(topic, 1), never)).rejects.toMatchObject(TAKEN_OVER);
    await expect(older.renew(never)).rejects.toMatchObject(TAKEN_OVER);
    const producer = producerOf(newer);
    expect(await producer.send({ topic, partition: 1 }, [recordOf("c")], never)).toBe(2);
    const ids = (await kafka.observer.read(topic)).map(list =>
      list.map(record => record.header("id")),
    );
    expect(ids).toEqual([["a"], ["c"], []]);
  });

  test("finds its mark behind all that an older instance has written meanwhile", async () => {
    const topic = await topicOf(1);
    const pipeline = uniqueName("p");
    const older = fenceOf(pipeline);
    await older.around(all(topic, 1), never);
    const producer = producerOf(older);
    let last = 0;
    const writing = (async (): Promise<void> => {
      for (;;) last = await producer.send({ topic, partition: 0 }, [recordOf("x")], never);
    })();
    const ended = expect(writing).rejects.toMatchObject(TAKEN_OVER);
    while (last < 5) await new Promise(setImmediate);
    const marks = await fenceOf(pipeline).around(all(topic, 1), never);
    await ended;
    expect(marks[topic]?.["0"]).toBeGreaterThan(last);
  });

  test("takes the next epoch when it begins again, unless it was replaced", async () => {
    const pipeline = uniqueName("p");
    const identities: Identities = new Map();
    const first = await fenceOf(pipeline, { identities }).identity(never);
    const second = await fenceOf(pipeline, { identities }).identity(never);
    expect(second).toEqual({ ...first, producerEpoch: first.producerEpoch + 1 });
    const other = fenceOf(pipeline);
    const newest = await other.identity(never);
    expect(newest).toEqual({ ...first, producerEpoch: first.producerEpoch + 2 });
    const again = fenceOf(pipeline, { identities }).identity(never);
    await expect(again).rejects.toMatchObject(TAKEN_OVER);
    // That has replaced nobody.
    const topic = await topicOf(1);
    await other.around(all(topic, 1), never);
    await producerOf(other).send({ topic, partition: 0 }, [recordOf("a")], never);
  });

  test("begins again also where it left a transaction open", async () => {
    const topic = await topicOf(1);
    const pipeline = uniqueName("p");
    const identities: Identities = new Map();
    const abort = vi.spyOn(Coordinator.prototype, "abort").mockReturnValueOnce(
      new Promise(() => undefined), // It never gets that far.
    );
    const first = fenceOf(pipeline, { identities });
    const fencing = first.around(all(topic, 1), never);
    fencing.catch(() => undefined);
    const { producerId, producerEpoch } = await first.identity(never);
    await vi.waitFor(() => expect(abort).toHaveBeenCalledTimes(1), 20_000);
    first.close();
    const second = fenceOf(pipeline, { identities });
    expect((await second.identity(never)).producerId).toBe(producerId);
    expect((await second.identity(never)).producerEpoch).toBeGreaterThan(producerEpoch);
    await second.around(all(topic, 1), never);
    // The same after a run that never came to its first transaction.
    const taken = identities.get(transactionalIdOf(pipeline));
    if (taken) taken.isOpen = true;
    await fenceOf(pipeline, { identities }).around(all(topic, 1), never);
  });

  test("begins again also where its identity is forgotten, unless another has the id", async () => {
    const topic = await topicOf(1);
    const pipeline = uniqueName("p");
    const forgotten = { identity: { producerId: 2n ** 40n, producerEpoch: 3 }, isOpen: true };
    const identities: Identities = new Map([[transactionalIdOf(pipeline), forgotten]]);
    await fenceOf(pipeline, { identities }).around(all(topic, 1), never);
    const late: Identities = new Map([[transactionalIdOf(pipeline), forgotten]]);
    const taken = fenceOf(pipeline, { identities: late }).identity(never);
    await expect(taken).rejects.toMatchObject(TAKEN_OVER);
  });

  test("fences in one transaction what is asked for together", async () => {
    const topic = await topicOf(30);
    const begin = vi.spyOn(Coordinator.prototype, "begin");
    const fence = fenceOf(uniqueName("p"));
    const marks = await Promise.all(all(topic, 30).map(target => fence.around([target], never)));
    expect(marks).toEqual(all(topic, 30).map(({ partition }) => ({ [topic]: { [partition]: 0 } })));
    // The first attempts meet partitions that have no leader yet.
    expect(new Set(begin.mock.calls.map(([, targets]) => targets.length))).toEqual(new Set([30]));
  });

  test("is kept up without the topics that are gone", async () => {
    const [kept, gone] = [await topicOf(1), await topicOf(1)];
    const fence = fenceOf(uniqueName("p"));
    await fence.around([...all(kept, 1), ...all(gone, 1)], never);
    await kafka.observer.deleteTopic(gone);
    await fence.renew(never);
    // The second mark may come later than the answer.
    await vi.waitFor(
      async () =>
        expect(await kafka.observer.topics.ranges(kept, 1, never)).toMatchObject([{ end: 2 }]),
      20_000,
    );
  });

  test("goes on with its sequence numbers over a renewal", async () => {
    const topic = await topicOf(1);
    const fence = fenceOf(uniqueName("p"));
    await fence.around(all(topic, 1), never);
    const producer = producerOf(fence);
    for (const id of ["a", "b", "c"]) {
      await producer.send({ topic, partition: 0 }, [recordOf(id)], never);
      await fence.renew(never);
    }
    const [records = []] = await kafka.observer.read(topic);
    expect(records.map(record => record.header("id"))).toEqual(["a", "b", "c"]);
  });

  test("ends a sink whose pipeline another instance has begun to run", async () => {
    const [known, later] = [await topicOf(1), uniqueName("later")];
    const pipeline = uniqueName("p");
    const open = async (): Promise<{ events: RecordedEvents; write: (topic: string) => void }> => {
      const sink = makeSink(kafka.brokers, { pipeline });
      closing.push(sink);
      const events = new RecordedEvents();
      await sink.open(resumeAt({ [known]: { "0": 0 } }, known), events, never);
      return { events, write: topic => sink.write([makeMessage(0, topic)]) };
    };
    const [first, second] = [await open(), await open()];
    first.write(later); // Which neither has written yet.
    await first.events.until(() => first.events.failure !== undefined);
    expect(first.events.failure).toMatchObject(TAKEN_OVER);
    second.write(later);
    await second.events.untilDelivered(1);
    expect(second.events.failure).toBeUndefined();
  });

  test("ends a sink also where the other one has no partition yet", async () => {
    const pipeline = uniqueName("p");
    const open = async (): Promise<{ sink: KafkaSink; events: RecordedEvents }> => {
      const sink = makeSink(kafka.brokers, { pipeline });
      closing.push(sink);
      const events = new RecordedEvents();
      await sink.open(resumeAt({}, "none"), events, never);
      return { sink, events };
    };
    const [first] = [await open(), await open()];
    first.sink.write([makeMessage(0, uniqueName("later"))]);
    await first.events.until(() => first.events.failure !== undefined);
    expect(first.events.failure).toMatchObject(TAKEN_OVER);
  });

  test("lets a sink that stood still send nothing before the commit log was asked", async () => {
    const topic = await topicOf(1);
    let answer = (): void => undefined;
    const asked = new Promise<void>(resolve => (answer = resolve));
    const passed = vi.fn(() => asked);
    const quietly = (signal: AbortSignal): Promise<void> => sleep(systemClock, 600_000, signal);
    const standstill = { passed, watch: quietly };
    const sink = makeSink(kafka.brokers, { pipeline: uniqueName("p"), standstill });
    const events = new RecordedEvents();
    await sink.open(resumeAt({ [topic]: { "0": 0 } }, topic), events, never);
    sink.write([makeMessage(0, topic)]);
    await vi.waitFor(() => expect(passed).toHaveBeenCalled(), 20_000);
    expect((await kafka.observer.read(topic)).flat()).toEqual([]);
    answer();
    await events.untilDelivered(1);
    await sink.close();
  });
});
