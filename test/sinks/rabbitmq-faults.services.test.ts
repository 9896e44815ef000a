/** What the RabbitMQ sink makes of a broker that stops, hangs, runs out of disk, and comes back. */
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import { silentLogger, type Logger } from "../../src/core/logger.ts";
import { Troubles } from "../../src/core/troubles.ts";
import type { RabbitmqSink, RabbitmqSinkOptions } from "../../src/sinks/rabbitmq-sink.ts";
import { startRabbitmq, type Rabbitmq } from "../../tools/services/services.ts";
import { makeMessages, RecordedEvents, resumeAt, textOf } from "../contract/sink.ts";
import { keepQueues, makeSink, never, Observer, serverOf, uniqueName } from "./rabbitmq-support.ts";

let rabbitmq: Rabbitmq;
beforeAll(async () => {
  rabbitmq = await startRabbitmq();
});
afterAll(() => rabbitmq.stop());

const feeds: Feed[] = [];
afterEach(async () => {
  rabbitmq.kill("SIGCONT");
  await Promise.all(feeds.splice(0).map(feed => feed.close()));
});

/** Writes for as long as it is wanted, as a flusher would. */
class Feed {
  readonly queue = uniqueName("feed");
  readonly events = new RecordedEvents();
  readonly logged: string[] = [];
  readonly troubles = new Troubles(systemClock);
  readonly sink: RabbitmqSink;
  count = 0;
  #wanted = true;
  #running: Promise<void> = Promise.resolve();

  constructor(changes: Partial<RabbitmqSinkOptions> = {}) {
    const note = (_: object, message: string): void => void this.logged.push(message);
    const logger: Logger = { ...silentLogger, info: note, warn: note, error: note };
    const declare = { exchangeType: undefined, queues: true, queueType: "classic" } as const;
    this.sink = makeSink(rabbitmq, { logger, troubles: this.troubles, declare, ...changes });
    feeds.push(this);
  }

  async start(): Promise<this> {
    await this.sink.open(resumeAt(undefined, this.queue), this.events, never);
    this.#running = this.#run();
    await this.events.untilDelivered(200);
    return this;
  }

  async #run(): Promise<void> {
    while (this.#wanted) {
      this.sink.write(makeMessages(this.count, this.count + 20, this.queue));
      this.count += 20;
      await this.sink.room(never);
      await new Promise(resolve => setTimeout(resolve, 5));
    }
  }

  async close(): Promise<void> {
    this.#wanted = false;
    await this.sink.close();
  }

  /** Everything arrived; whatever came again was followed by all that followed it. */
  async expectWhole(): Promise<void> {
    this.#wanted = false;
    await this.#running;
    await this.events.untilDelivered(this.count);
    const written = makeMessages(0, this.count, this.queue);
    expect(this.events.ids).toEqual(written.map(({ id }) => id));
    const observer = await Observer.open(rabbitmq);
    const arrived = await observer.values(this.queue);
    await observer.close();
    const lastAppearances = [...new Set(arrived.toReversed())].toReversed();
    expect(lastAppearances).toEqual(written.map(textOf));
    expect(this.events.refusals).toEqual([]);
    expect(this.troubles.open).toEqual([]);
  }
}

test("waits for a broker that is killed, and logs that once at each end", async () => {
  const feed = await new Feed().start();
  await rabbitmq.ctl("eval", keepQueues);
  rabbitmq.kill("SIGKILL");
  await rabbitmq.start();
  const delivered = feed.events.delivered_.length;
  await feed.events.untilDelivered(delivered + 200);
  expect(feed.logged).toHaveLength(2);
  expect(feed.logged[0]).toMatch(/^Connecting to RabbitMQ at .* Trying again/);
  expect(feed.logged[1]).toMatch(/works again$/);
  await feed.expectWhole();
});

test("says that a queue is gone which was there before, and makes it anew", async () => {
  const feed = await new Feed().start();
  const observer = await Observer.open(rabbitmq);
  await observer.channel.deleteQueue(feed.queue);
  await observer.close();
  await rabbitmq.ctl("close_all_connections", "a test");
  const delivered = feed.events.delivered_.length;
  await feed.events.untilDelivered(delivered + 200);
  expect(feed.logged).toEqual([expect.stringContaining(`Queue ${feed.queue} of RabbitMQ is gone`)]);
});

test("gives up a connection to a broker that hangs, and publishes nothing beside what it still reads", async () => {
  const feed = await new Feed({ server: serverOf(rabbitmq, { heartbeatS: 1 }) }).start();
  rabbitmq.kill("SIGSTOP");
  while (feed.troubles.open.length === 0) await new Promise(resolve => setTimeout(resolve, 100));
  rabbitmq.kill("SIGCONT");
  const delivered = feed.events.delivered_.length;
  await feed.events.untilDelivered(delivered + 200);
  await feed.expectWhole();
});

test("waits while the broker has an alarm, and says so once at each end", async () => {
  const feed = await new Feed().start();
  await rabbitmq.ctl("set_disk_free_limit", "1000000GB");
  try {
    while (feed.troubles.open.length === 0) await new Promise(resolve => setTimeout(resolve, 50));
    expect(feed.troubles.open[0]).toMatchObject({ unreachable: false });
    expect(feed.troubles.open[0]?.message).toContain("disk");
    // That nothing more is confirmed takes a while to show; there is nothing to await.
    const quiet = (): Promise<void> => new Promise(resolve => setTimeout(resolve, 500));
    await quiet();
    const delivered = feed.events.delivered_.length;
    await quiet();
    expect(feed.events.delivered_.length).toBe(delivered);
  } finally {
    await rabbitmq.ctl("set_disk_free_limit", "1MB");
  }
  await feed.expectWhole();
  expect(feed.logged).toEqual([
    expect.stringMatching(/takes no messages for now: .*disk/),
    "RabbitMQ takes messages again",
  ]);
});

test("refuses what comes for a queue that is deleted in mid-stream", async () => {
  const observer = await Observer.open(rabbitmq);
  const declare = { exchangeType: undefined, queues: false, queueType: "classic" } as const;
  const feed = new Feed({ declare });
  await observer.queue(feed.queue);
  await feed.start();
  await observer.channel.deleteQueue(feed.queue);
  await feed.events.until(() => feed.events.refusals.length > 0);
  const [refusal] = feed.events.refusals;
  expect(refusal?.error.code).toBe("MESSAGE_REFUSED");
  expect(feed.events.ids).not.toContain(refusal?.message.id);
  await observer.close();
});
