/** The SQS sink against ElasticMQ, and against a proxy that fails in ways that ElasticMQ does not. */
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { sharedElasticmq } from "../../tools/services/shared.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { systemClock } from "../../src/core/clock.ts";
import { silentLogger } from "../../src/core/logger.ts";
import type { Message, SinkResume } from "../../src/sinks/sink.ts";
import type { SqsSink, SqsSinkOptions } from "../../src/sinks/sqs-sink.ts";
import {
  makeMessage,
  makeMessages,
  RecordedEvents,
  resumeAt,
  sinkContract,
  textOf,
} from "../contract/sink.ts";
import {
  failure,
  makeSink,
  QueueReader,
  SqsProxy,
  uniqueQueue,
  useCredentials,
  type Batch,
} from "./sqs-support.ts";

const never = new AbortController().signal;
let url = "";
beforeAll(async () => {
  useCredentials();
  ({ url } = await sharedElasticmq());
});

/** Takes every third message of a batch out, and answers that it failed. */
function acceptPartly(proxy: SqsProxy, times: number): void {
  let left = times;
  let failed: string[] = [];
  proxy.onBatch = (batch: Batch) => {
    left -= 1;
    failed = left < 0 ? [] : batch.Entries.filter((_, at) => at % 3 === left % 3).map(e => e.Id);
    batch.Entries = batch.Entries.filter(({ Id }) => !failed.includes(Id));
    if (batch.Entries.length > 0) return undefined;
    return { status: 200, body: { Successful: [], Failed: failed.map(entryFailure) } };
  };
  proxy.onAnswer = answer => {
    answer.Failed = failed.map(entryFailure);
  };
}

const entryFailure = (Id: string): object => ({
  Id,
  Code: "InternalError",
  Message: "not now",
  SenderFault: false,
});

for (const suffix of [".fifo", ""]) {
  sinkContract(
    `SQS, ${suffix === "" ? "a standard queue" : "a FIFO queue"},`,
    async () => {
      const destination = uniqueQueue(suffix);
      const reader = new QueueReader(url);
      await reader.create(destination);
      const proxy = await SqsProxy.start(url);
      return {
        destination,
        makeSink: ({ backlogBytesMax } = {}) =>
          makeSink(proxy.url, {
            ...(backlogBytesMax === undefined ? {} : { backlogBytesMax }),
            // One at a time: answers of a batch and its request are told apart by their order.
            client: {
              region: "elasticmq",
              endpoint: proxy.url,
              inFlightMax: 1,
              clock: systemClock,
            },
          }),
        read: async () => {
          const texts = (await reader.read(destination)).map(({ Body = "" }) => Body);
          return [texts];
        },
        faults: {
          away: () => {
            proxy.isAway = true;
          },
          back: () => {
            proxy.isAway = false;
          },
          acceptPartly: () => acceptPartly(proxy, 20),
          refusable: (message: Message) => ({ ...message, value: Buffer.alloc(300_000, "x") }),
        },
        release: async () => {
          reader.close();
          await proxy.close();
        },
      };
    },
    { offsets: false, repeats: suffix === "", faults: ["away", "partly", "refused"] },
  );
}

describe("SqsSink", () => {
  const opened: SqsSink[] = [];
  let proxy: SqsProxy;
  let reader: QueueReader;
  let queue = "";

  beforeEach(async () => {
    queue = uniqueQueue(".fifo");
    reader = new QueueReader(url);
    await reader.create(queue);
    proxy = await SqsProxy.start(url);
  });

  afterEach(async () => {
    await Promise.all(opened.splice(0).map(sink => sink.close()));
    reader.close();
    await proxy.close();
  });

  const open = async (
    changes: Partial<SqsSinkOptions> = {},
    resume: SinkResume = resumeAt(undefined, queue),
  ) => {
    const sink = makeSink(proxy.url, changes);
    opened.push(sink);
    const events = new RecordedEvents();
    const fresh = await sink.open(resume, events, never);
    return { sink, events, fresh };
  };

  test("gives id, pipeline, transaction, position and key as attributes", async () => {
    const { sink, events } = await open();
    const message = makeMessage(7, queue, "b");
    sink.write([message]);
    await events.untilDelivered(1);
    const [received] = await reader.read(queue);
    const attributes = Object.entries(received?.MessageAttributes ?? {});
    expect(
      Object.fromEntries(attributes.map(([name, { StringValue }]) => [name, StringValue])),
    ).toEqual({
      id: message.id,
      pipeline: "shop",
      transaction: message.transaction,
      position: message.position,
      key: '{"id":"b"}',
    });
    expect(received?.Body).toBe("value 7 of b");
    expect(received?.Attributes?.MessageGroupId).toBe("shop.orders:b");
    expect(received?.Attributes?.MessageDeduplicationId).toMatch(
      new RegExp(`^${message.id.replaceAll(".", "\\.")};[a-z0-9]+$`),
    );
  });

  test.each([
    ["table", "shop.orders"],
    ["schema", "shop"],
  ] as const)("groups by %s", async (grouping, group) => {
    const { sink, events } = await open({ grouping });
    sink.write(makeMessages(0, 6, queue));
    await events.untilDelivered(6);
    const received = await reader.read(queue);
    expect(received.map(({ Attributes }) => Attributes?.MessageGroupId)).toEqual(
      Array.from({ length: 6 }, () => group),
    );
    expect(received.map(({ Body }) => Body)).toEqual(makeMessages(0, 6, queue).map(textOf));
  });

  test("hashes what SQS does not take as an id, and escapes what it does not take as text", async () => {
    const { sink, events } = await open();
    const value = Buffer.from('{"a":"\uFFFF"}');
    const odd = { ...makeMessage(1, queue), id: "ü".repeat(90), partitionKey: Buffer.from("ä b") };
    sink.write([{ ...odd, value }]);
    await events.untilDelivered(1);
    const [received] = await reader.read(queue);
    expect(received?.Attributes?.MessageGroupId).toMatch(/^[0-9a-f]{64}$/);
    expect(received?.Attributes?.MessageDeduplicationId).toMatch(/^[0-9a-f]{64}$/);
    expect(received?.MessageAttributes?.["id"]?.StringValue).toBe(odd.id);
    expect(JSON.parse(received?.Body ?? "")).toEqual({ a: "\uFFFF" });
  });

  test("delivers tombstones without sending them", async () => {
    const { sink, events } = await open();
    sink.write(makeMessages(0, 4, queue).map(message => ({ ...message, value: null })));
    await events.untilDelivered(4);
    expect(proxy.batches).toBe(0);
  });

  test("has no more requests under way than it may, and fills them", async () => {
    const { sink, events } = await open();
    const messages = Array.from({ length: 400 }, (_, n) => makeMessage(n, queue, `k${n}`));
    sink.write(messages);
    await events.untilDelivered(400);
    expect(proxy.inFlightMax).toBe(4);
    expect(proxy.batches).toBe(40);
  });

  test("sends what was taken without an answer again, and the queue drops it", async () => {
    const { sink, events } = await open();
    let answers = 0;
    proxy.onAnswer = answer => {
      answers += 1;
      if (answers > 2) return;
      answer.Successful = []; // Neither taken nor refused.
    };
    sink.write(makeMessages(0, 30, queue));
    await events.untilDelivered(30);
    const received = await reader.read(queue);
    expect(received).toHaveLength(30);
    expect(events.ids.sort()).toEqual(
      makeMessages(0, 30, queue)
        .map(({ id }) => id)
        .sort(),
    );
  });

  test.each([
    ["RequestThrottled", 400],
    ["InternalFailure", 500],
    ["KmsThrottled", 400],
    ["ServiceUnavailable", 503],
    ["NeverHeardOf", 502],
  ])("tries again after %s", async (name, status) => {
    const { sink, events } = await open();
    let failures = 3;
    proxy.onBatch = () => (failures-- > 0 ? failure(name, status) : undefined);
    sink.write(makeMessages(0, 9, queue));
    await events.untilDelivered(9);
    expect(events.failure).toBeUndefined();
  });

  test.each([
    ["AccessDeniedException", "ACCESS_DENIED"],
    ["InvalidClientTokenId", "ACCESS_DENIED"],
    ["KmsAccessDenied", "ACCESS_DENIED"],
    ["QueueDoesNotExist", "SINK_SETTING"],
    ["KmsDisabled", "SINK_SETTING"],
    ["NeverHeardOf", "SINK_SETTING"],
  ])("ends after %s with %s and one sentence", async (name, code) => {
    const { sink, events } = await open();
    proxy.onBatch = () => failure(name);
    sink.write(makeMessages(0, 9, queue));
    await events.until(() => events.failure !== undefined);
    expect(events.failure).toMatchObject({ code });
    expect(events.failure?.message).toContain(name);
    expect(events.ids).toEqual([]);
  });

  test("finds the one message for which a whole request is refused", async () => {
    const { sink, events } = await open();
    proxy.onBatch = ({ Entries }) =>
      Entries.some(({ MessageBody }) => MessageBody === "value 13 of k13")
        ? failure("InvalidMessageContents")
        : undefined;
    sink.write(Array.from({ length: 30 }, (_, n) => makeMessage(n, queue, `k${n}`)));
    await events.untilDelivered(29);
    expect(events.refusals.map(({ message }) => textOf(message))).toEqual(["value 13 of k13"]);
    expect(events.refusals[0]?.error.message).toContain("InvalidMessageContents");
  });

  test("ends with a sentence for a queue that is not there", async () => {
    const { sink, events } = await open();
    sink.write(makeMessages(0, 3, uniqueQueue(".fifo")));
    await events.until(() => events.failure !== undefined);
    expect(events.failure).toMatchObject({ code: "SINK_SETTING", exitCode: 78 });
  });

  test("tells of an outage once at each end, whatever is under way", async () => {
    const lines: string[] = [];
    const note = (_: object, message: string): void => void lines.push(message);
    const logger = { ...silentLogger, warn: note, info: note };
    const { sink, events } = await open({ logger });
    sink.write(makeMessages(0, 3, queue));
    await events.untilDelivered(3);
    proxy.isAway = true;
    sink.write(Array.from({ length: 100 }, (_, n) => makeMessage(n + 3, queue, `k${n}`)));
    while (lines.length === 0) await new Promise(resolve => setTimeout(resolve, 20));
    await new Promise(resolve => setTimeout(resolve, 1_000));
    proxy.isAway = false;
    await events.untilDelivered(103);
    await new Promise(resolve => setTimeout(resolve, 100));
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatch(/^Sending to .* failed: .* Trying again …$/);
    expect(lines[1]).toBe("Sending to SQS works again");
  });

  describe("after a restart", () => {
    /** As a crash leaves it: nothing of the first run is released. */
    const restart = async (afterMs: number, changes: Partial<SinkResume> = {}) => {
      const clock = new ManualClock();
      const real = { ...systemClock, wallMs: () => clock.wallMs() };
      const first = await open({ clock: real });
      first.sink.write(makeMessages(0, 12, queue));
      await first.events.untilDelivered(12);
      await first.sink.close();
      const offsets = first.events.offsetsAfter(0, first.fresh);
      clock.advance(afterMs);
      const second = await open({ clock: real }, resumeAt(offsets, queue, changes));
      second.sink.write(makeMessages(0, 20, queue));
      await second.events.untilDelivered(20);
      return (await reader.read(queue)).map(({ Body = "" }) => Body);
    };
    const all = (from: number, to: number): string[] => makeMessages(from, to, queue).map(textOf);

    test("within four minutes, the queue drops what it has", async () => {
      expect((await restart(239_000)).sort()).toEqual(all(0, 20).sort());
    });

    test.each([
      ["after more than four minutes", 241_000, {}],
      ["with a clock that was put back", -1_000, {}],
      ["on another server", 1_000, { sameServer: false }],
      ["with another output", 1_000, { sameOutput: false }],
    ] as const)("%s, all of it is sent under new ids", async (_, afterMs, changes) => {
      const texts = await restart(afterMs, changes);
      expect(texts).toHaveLength(32);
      for (const lane of ["a", "b", "c"]) {
        const ofLane = (text: string): boolean => text.endsWith(lane);
        expect(texts.filter(ofLane)).toEqual([...all(0, 12), ...all(0, 20)].filter(ofLane));
      }
    });
  });
});
