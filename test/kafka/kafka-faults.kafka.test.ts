/** What the Kafka sink and the commit log make of brokers that die, hang and come back. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { startKafka, type Kafka } from "../../tools/services/services.ts";
import { silentLogger, type Logger } from "../../src/core/logger.ts";
import type { KafkaSink, KafkaSinkOptions } from "../../src/kafka/kafka-sink.ts";
import { makeCheckpoint } from "../contract/commit-log.ts";
import {
  RecordedEvents,
  makeMessage,
  makeMessages,
  resumeAt,
  sinkContract,
} from "../contract/sink.ts";
import {
  Observer,
  clientOptions,
  makeCommitLog,
  makeFence,
  makeSink,
  never,
  uniqueName,
} from "./support.ts";

/** Counts what is logged, so that a test can wait for an attempt to fail. */
class CountedFailures {
  #seen: string[] = [];
  #changed: () => void = () => undefined;
  readonly #note = (_: object, message: string): void => {
    this.#seen.push(message);
    this.#changed();
  };
  readonly logger: Logger = { ...silentLogger, debug: this.#note, warn: this.#note };

  count(pattern: RegExp): number {
    return this.#seen.filter(message => pattern.test(message)).length;
  }

  async until(pattern: RegExp, times: number): Promise<void> {
    while (this.count(pattern) < times)
      await new Promise<void>(resolve => (this.#changed = resolve));
  }
}

const REQUEST_TIMEOUT_MS = 2_000;
/** From the broker's return to the next delivery. */
const RECOVERY_MAX_MS = 15_000;

const clusters: Kafka[] = [];
const start = async (brokers: 1 | 3): Promise<Kafka> => {
  const kafka = await startKafka({ brokers });
  clusters.push(kafka);
  return kafka;
};
afterAll(() => Promise.all(clusters.map(kafka => kafka.stop())));

let frozen: Promise<Kafka> | undefined;
sinkContract(
  "Kafka, with a broker that stands still,",
  async () => {
    const kafka = await (frozen ??= start(1));
    const destination = uniqueName("contract");
    const observer = new Observer(kafka.brokers);
    const freeze = (signal: NodeJS.Signals): void => {
      for (const node of kafka.nodes) node.kill(signal);
    };
    return {
      destination,
      makeSink: ({ backlogBytesMax } = {}) =>
        makeSink(kafka.brokers, backlogBytesMax === undefined ? {} : { backlogBytesMax }),
      read: async () =>
        (await observer.read(destination)).map(records =>
          records.map(({ value }) => value?.toString() ?? ""),
        ),
      faults: { away: () => freeze("SIGSTOP"), back: () => freeze("SIGCONT") },
      release: () => {
        observer.close();
        return Promise.resolve();
      },
    };
  },
  { offsets: false, faults: ["away"] },
);

/** Writes as a flusher would, in chunks and within the backlog's bound, for as long as it is wanted. */
class Feed {
  count = 0;
  #wanted = true;
  readonly #running: Promise<void>;

  constructor(sink: KafkaSink, topic: string) {
    this.#running = this.#run(sink, topic);
  }

  async #run(sink: KafkaSink, topic: string): Promise<void> {
    while (this.#wanted) {
      sink.write(makeMessages(this.count, this.count + 20, topic));
      this.count += 20;
      await sink.room(never);
      await new Promise(resolve => setTimeout(resolve, 5)); // About 3,000 a second.
    }
  }

  /** Ends the feed. Resolves with the number of messages when all are delivered. */
  async finish(events: RecordedEvents): Promise<number> {
    this.#wanted = false;
    await this.#running;
    await events.untilDelivered(this.count);
    return this.count;
  }
}

/** Every message once and, within a lane, in order: in the topic and in what was reported. */
async function expectWhole(
  observer: Observer,
  events: RecordedEvents,
  { topic, count }: { topic: string; count: number },
): Promise<void> {
  const messages = makeMessages(0, count, topic);
  const perPartition = await observer.read(topic);
  const written = perPartition.map(records => records.map(record => record.header("id") ?? ""));
  const place = new Map<string, { partition: number; nextOffset: number }>();
  for (const [partition, records] of perPartition.entries()) {
    for (const record of records) {
      place.set(record.header("id") ?? "", { partition, nextOffset: record.offset + 1 });
    }
  }
  expect(written.flat().length).toBe(count);
  expect(new Set(written.flat()).size).toBe(count);
  for (const ids of written) {
    const numbers = ids.map(id => Number(id.slice(id.lastIndexOf(":") + 1)));
    expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
  }
  expect(events.failure).toBeUndefined();
  expect(events.delivered_.length).toBe(count);
  expect(new Set(events.ids).size).toBe(count);
  for (const message of messages) expect(place.has(message.id)).toBe(true);
  for (const { message, place: told } of events.delivered_) {
    expect({ destination: topic, ...place.get(message.id) }).toEqual(told);
  }
}

/** Starting a broker takes long on a busy machine. */
const TEST_TIMEOUT_MS = 400_000;

function faultTests(brokerCount: 1 | 3): void {
  let kafka: Kafka;
  let observer: Observer;
  const sinks: KafkaSink[] = [];

  beforeAll(async () => {
    kafka = await start(brokerCount);
    observer = new Observer(kafka.brokers);
  });
  afterEach(async () => {
    await Promise.all(sinks.splice(0).map(sink => sink.close()));
  });
  afterAll(() => observer.close());

  const open = async (
    changes: Partial<KafkaSinkOptions> = {},
  ): Promise<{ sink: KafkaSink; events: RecordedEvents; topic: string }> => {
    const topic = uniqueName("faults");
    await observer.createTopic(topic, 3);
    const client = clientOptions(kafka.brokers, {
      requestTimeoutMs: REQUEST_TIMEOUT_MS,
      connectionTimeoutMs: 1_000,
    });
    const sink = makeSink(kafka.brokers, { client, backlogBytesMax: 200_000, ...changes });
    sinks.push(sink);
    const events = new RecordedEvents();
    await sink.open(resumeAt({ [topic]: { "0": 0, "1": 0, "2": 0 } }, topic), events, never);
    return { sink, events, topic };
  };

  /** Another thousand deliveries, more than what was under way, soon enough. */
  const expectRecovery = async (events: RecordedEvents): Promise<void> => {
    const startedMs = performance.now();
    await events.untilDelivered(events.delivered_.length + 1_000);
    expect(performance.now() - startedMs).toBeLessThan(RECOVERY_MAX_MS);
  };

  test("loses and repeats nothing when a broker is killed and starts again", async () => {
    const { sink, events, topic } = await open();
    const feed = new Feed(sink, topic);
    for (const node of kafka.nodes) {
      await events.untilDelivered(events.delivered_.length + 500);
      node.kill("SIGKILL");
      if (brokerCount === 3) await expectRecovery(events);
      await node.start();
      await expectRecovery(events);
    }
    const count = await feed.finish(events);
    await expectWhole(observer, events, { topic, count });
  });

  test("loses and repeats nothing when a broker hangs beyond the request time-out", async () => {
    const failures = new CountedFailures();
    const { sink, events, topic } = await open({ logger: failures.logger });
    const feed = new Feed(sink, topic);
    for (const node of kafka.nodes) {
      await events.untilDelivered(events.delivered_.length + 500);
      const seen = failures.count(/timed out/);
      node.kill("SIGSTOP");
      await failures.until(/timed out/, seen + 1);
      node.kill("SIGCONT");
      await expectRecovery(events);
    }
    const count = await feed.finish(events);
    await expectWhole(observer, events, { topic, count });
  });

  test("closes at once while a broker hangs, and delivers nothing after it", async () => {
    const { sink, events, topic } = await open();
    sink.write(makeMessages(0, 3_000, topic));
    await events.untilDelivered(1);
    for (const node of kafka.nodes) node.kill("SIGSTOP");
    sink.write(makeMessages(3_000, 6_000, topic));
    const startedMs = performance.now();
    await sink.close();
    expect(performance.now() - startedMs).toBeLessThan(5_000);
    const delivered = events.delivered_.length;
    for (const node of kafka.nodes) node.kill("SIGCONT");
    await observer.read(topic);
    expect(events.delivered_.length).toBe(delivered);
    expect(events.failure).toBeUndefined();
  });
}

describe("one broker", { timeout: TEST_TIMEOUT_MS }, () => {
  faultTests(1);

  test("waits for Kafka at the start, for the tail, and for the commit log", async () => {
    const kafka = await start(1);
    const [node] = kafka.nodes;
    const observer = new Observer(kafka.brokers);
    const topic = uniqueName("waits");
    await observer.createTopic(topic);
    const before = new RecordedEvents();
    const first = makeSink(kafka.brokers);
    await first.open(resumeAt({ [topic]: { "0": 0 } }, topic), before, never);
    first.write(makeMessages(0, 100, topic));
    await before.untilDelivered(100);
    await first.close();

    const failures = new CountedFailures();
    const { logger } = failures;
    const fence = makeFence(kafka.brokers, "shop", { logger });
    const sink = makeSink(kafka.brokers, { logger, fence });
    const log = makeCommitLog(kafka.brokers, { logger, fence });
    const events = new RecordedEvents();
    node?.kill("SIGKILL");
    const opening = Promise.all([
      // In front of them stands the mark of the first one's fence.
      sink.open(resumeAt({ [topic]: { "0": 41 } }, topic), events, never),
      log.open(never),
    ]);
    await failures.until(/ECONNREFUSED/, 4);
    await node?.start();
    await opening;

    node?.kill("SIGKILL");
    sink.write(makeMessages(40, 120, topic));
    const appending = log.append(makeCheckpoint(1, 0), never);
    await failures.until(/ECONNREFUSED/, 8);
    await node?.start();
    await Promise.all([events.untilDelivered(80), appending]);
    const [records = []] = await observer.read(topic);
    expect(records.map(record => record.header("id"))).toEqual(
      makeMessages(0, 120, topic).map(({ id }) => id),
    );
    await Promise.all([sink.close(), log.close()]);
    observer.close();
  });

  test("can be stopped while it waits for a Kafka that is not there", async () => {
    const sink = makeSink(["127.0.0.1:1"]);
    const stop = new AbortController();
    const reason = new Error("stopped");
    const opening = sink.open(resumeAt({}, "t"), new RecordedEvents(), stop.signal);
    stop.abort(reason);
    await expect(opening).rejects.toBe(reason);
    await sink.close();
  });

  test("makes a topic that was removed meanwhile a reason to begin again", async () => {
    const kafka = clusters[0] as Kafka;
    const observer = new Observer(kafka.brokers);
    const topic = uniqueName("removed");
    const sink = makeSink(kafka.brokers, {
      createTopics: { partitions: 1, replicationFactor: -1, config: {} },
    });
    const events = new RecordedEvents();
    await sink.open(resumeAt({}, topic), events, never);
    sink.write(makeMessages(0, 10, topic));
    await events.untilDelivered(10);
    await observer.deleteTopic(topic);
    sink.write([makeMessage(10, topic)]);
    await observer.createTopic(topic);
    await events.until(() => events.failure !== undefined);
    expect(events.failure?.code).toBe("SINK_OUTCOME_UNKNOWN");
    await sink.close();
    observer.close();
  });
});

describe("three brokers", { timeout: TEST_TIMEOUT_MS }, () => faultTests(3));
