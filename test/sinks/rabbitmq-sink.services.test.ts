/** The RabbitMQ sink against a real broker. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { RabbitmqSink, RabbitmqSinkOptions } from "../../src/sinks/rabbitmq-sink.ts";
import type { Message } from "../../src/sinks/sink.ts";
import { sharedRabbitmq } from "../../tools/services/shared.ts";
import type { Rabbitmq } from "../../tools/services/services.ts";
import {
  makeMessage,
  makeMessages,
  RecordedEvents,
  resumeAt,
  sinkContract,
  textOf,
} from "../contract/sink.ts";
import { makeSink, never, Observer, serverOf, uniqueName } from "./rabbitmq-support.ts";

const noQueues = { exchangeType: undefined, queues: false, queueType: "classic" } as const;

let rabbitmq: Rabbitmq;
let observer: Observer;
beforeAll(async () => {
  rabbitmq = await sharedRabbitmq();
  observer = await Observer.open(rabbitmq);
});
afterAll(() => observer.close());

const sinks: RabbitmqSink[] = [];
const make = (changes: Partial<RabbitmqSinkOptions> = {}): RabbitmqSink => {
  const sink = makeSink(rabbitmq, changes);
  sinks.push(sink);
  return sink;
};
afterEach(() => Promise.all(sinks.splice(0).map(sink => sink.close())));

async function open(
  queue: string,
  changes: Partial<RabbitmqSinkOptions> = {},
): Promise<{ sink: RabbitmqSink; events: RecordedEvents }> {
  const sink = make(changes);
  const events = new RecordedEvents();
  await sink.open(resumeAt(undefined, queue), events, never);
  return { sink, events };
}

sinkContract(
  "RabbitmqSink",
  async () => {
    const destination = uniqueName("contract");
    const pipeline = uniqueName("shop");
    await observer.queue(destination);
    const arrived: string[] = [];
    return {
      makeSink: ({ backlogBytesMax = 1024 * 1024 } = {}) =>
        makeSink(rabbitmq, { pipeline, backlogBytesMax, declare: noQueues }),
      destination,
      read: async () => {
        arrived.push(...(await observer.values(destination)));
        return [arrived];
      },
      release: async () => {
        await observer.channel.deleteQueue(destination);
      },
      faults: {
        away: () => rabbitmq.kill("SIGSTOP"),
        back: () => rabbitmq.kill("SIGCONT"),
        refusable: message => ({ ...message, destination: uniqueName("nowhere") }),
      },
    };
  },
  { offsets: false, faults: ["away", "refused"], repeats: true },
);

describe("RabbitmqSink", () => {
  test("writes value, id, headers and delivery mode, and nothing for a tombstone", async () => {
    const queue = uniqueName("shape");
    const { sink, events } = await open(queue);
    const message = makeMessage(7, queue);
    sink.write([message, { ...makeMessage(8, queue), value: null }, makeMessage(9, queue)]);
    await events.untilDelivered(3);
    const [first, second, ...others] = await observer.take(queue);
    expect(others).toEqual([]);
    expect(first?.content).toEqual(message.value);
    expect(first?.properties).toMatchObject({
      messageId: message.id,
      contentType: "application/json",
      deliveryMode: 2,
      headers: {
        id: message.id,
        pipeline: expect.stringContaining("shop") as unknown,
        transaction: message.transaction,
        position: message.position,
        key: message.key?.toString(),
      },
    });
    expect(second?.properties.messageId).toBe(makeMessage(9, queue).id);
  });

  test("keeps an id that is too long for AMQP in the header, and its hash as message id", async () => {
    const queue = uniqueName("id");
    const { sink, events } = await open(queue);
    const id = "ä".repeat(200);
    sink.write([{ ...makeMessage(0, queue), id }]);
    await events.untilDelivered(1);
    const [message] = await observer.take(queue);
    expect(message?.properties.messageId).toMatch(/^[0-9a-f]{64}$/);
    expect(message?.properties.headers).toMatchObject({ id });
  });

  test("makes the exchange and a queue for each routing key, also for one met later", async () => {
    const exchange = uniqueName("exchange");
    const [early, late] = [uniqueName("early"), uniqueName("late")];
    const declare = { exchangeType: "topic", queues: true, queueType: "quorum" } as const;
    const { sink, events } = await open(early, { exchange, declare });
    sink.write([makeMessage(0, early), makeMessage(1, late), makeMessage(2, early)]);
    await events.untilDelivered(3);
    expect(events.ids).toEqual([0, 1, 2].map(number => makeMessage(number, "").id));
    expect(await observer.values(early)).toHaveLength(2);
    expect(await observer.values(late)).toHaveLength(1);
  });

  test("does not take a message for delivered that no queue takes, though it is confirmed", async () => {
    const queue = await observer.queue(uniqueName("there"));
    const { sink, events } = await open(queue, { declare: noQueues });
    let bury = (): void => undefined;
    events.buried = new Promise(resolve => (bury = resolve));
    const lost = makeMessage(1, uniqueName("nowhere"));
    sink.write([makeMessage(0, queue), lost, makeMessage(2, queue)]);
    await events.until(() => events.refusals.length > 0);
    expect(events.refusals).toMatchObject([{ message: lost, attempts: 1 }]);
    const { code, message } = events.refusals[0]?.error ?? {};
    expect(code).toBe("MESSAGE_REFUSED");
    for (const part of [lost.id, lost.position, lost.destination, "NO_ROUTE"]) {
      expect(message).toContain(part);
    }
    expect(events.ids).toEqual([makeMessage(0, queue).id]);
    sink.write([makeMessage(3, queue)]);
    await sink.room(never);
    expect(await observer.values(queue)).not.toContain(textOf(makeMessage(3, queue)));
    bury();
    await events.untilDelivered(3);
    expect(events.ids).toEqual([0, 2, 3].map(number => makeMessage(number, queue).id));
  });

  test("finds the message that is too large for the broker, and goes on with the others", async () => {
    const queue = await observer.queue(uniqueName("large"));
    await rabbitmq.ctl("eval", "application:set_env(rabbit, max_message_size, 20000).");
    try {
      const { sink, events } = await open(queue);
      const messages = makeMessages(0, 50, queue);
      const large: Message = { ...makeMessage(20, queue), value: Buffer.alloc(30_000, "z") };
      sink.write(messages.map(message => (message.seq === 20 ? large : message)));
      await events.untilDelivered(49);
      expect(events.refusals.map(({ message }) => message.id)).toEqual([large.id]);
      expect(events.refusals[0]?.error.message).toContain("message size");
      expect(lastAppearances(await observer.values(queue))).toEqual(
        messages.filter(({ seq }) => seq !== 20).map(textOf),
      );
      expect(events.ids).toEqual(messages.filter(({ seq }) => seq !== 20).map(({ id }) => id));
    } finally {
      await rabbitmq.ctl("eval", "application:set_env(rabbit, max_message_size, 134217728).");
    }
  });

  test("waits for a queue that is full, and keeps the order", async () => {
    const args = { "x-max-length": 10, "x-overflow": "reject-publish" };
    const queue = await observer.queue(uniqueName("full"), { arguments: args });
    const { sink, events } = await open(queue, { declare: noQueues });
    const messages = makeMessages(0, 60, queue);
    sink.write(messages);
    const arrived: string[] = [];
    while (events.delivered_.length < messages.length) {
      arrived.push(...(await observer.values(queue)));
      await new Promise(resolve => setTimeout(resolve, 20));
    }
    arrived.push(...(await observer.values(queue)));
    expect(events.refusals).toEqual([]);
    expect(lastAppearances(arrived)).toEqual(messages.map(textOf));
  });

  test("lets no second connection of the pipeline publish beside it", async () => {
    const queue = uniqueName("lock");
    const pipeline = uniqueName("locked");
    const first = await open(queue, { pipeline });
    const second = make({ pipeline });
    let isOpen = false;
    const opening = second
      .open(resumeAt(undefined, queue), new RecordedEvents(), never)
      .then(() => (isOpen = true));
    first.sink.write(makeMessages(0, 10, queue));
    await first.events.untilDelivered(10);
    expect(isOpen).toBe(false);
    await first.sink.close();
    await opening;
  });

  describe("ends its start with", () => {
    const opening = (changes: Partial<RabbitmqSinkOptions>): Promise<unknown> =>
      make(changes).open(resumeAt(undefined, "x"), new RecordedEvents(), never);

    test.each<[string, string, Partial<RabbitmqSinkOptions> | (() => object)]>([
      [
        "a wrong password",
        "ACCESS_DENIED",
        () => ({ server: serverOf(rabbitmq, { password: "x" }) }),
      ],
      [
        "no such vhost",
        "SINK_SETTING",
        () => ({ server: serverOf(rabbitmq, { vhost: "none/x" }) }),
      ],
      ["no such exchange", "SINK_SETTING", { exchange: "none", declare: noQueues }],
      [
        "an exchange of another type",
        "SINK_SETTING",
        { exchange: "amq.topic", declare: { ...noQueues, exchangeType: "fanout" } },
      ],
    ])("%s: %s", async (_, code, changes) => {
      const made = typeof changes === "function" ? changes() : changes;
      await expect(opening(made)).rejects.toMatchObject({ code });
    });

    test("one sentence without a secret", async () => {
      const error = await opening({ server: serverOf(rabbitmq, { password: "Pl4nted" }) }).catch(
        String,
      );
      expect(error).toMatch(/ACCESS_REFUSED.*Check sink\.user/);
      expect(error).not.toContain("Pl4nted");
    });
  });
});

/** Each value's last appearance: what was there before it is followed by all that followed it, again. */
function lastAppearances(values: readonly string[]): string[] {
  return [...new Set(values.toReversed())].toReversed();
}
