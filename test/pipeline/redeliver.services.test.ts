/** Dead letters of a RabbitMQ without queues, in a file and in Kafka, and sent again when the queue is there. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import { silentLogger } from "../../src/core/logger.ts";
import { redeliver } from "../../src/pipeline/redeliver.ts";
import { makeTarget } from "../../src/pipeline/target.ts";
import type { Rabbitmq } from "../../tools/services/services.ts";
import { sharedKafka, sharedRabbitmq } from "../../tools/services/shared.ts";
import { parse } from "../config/support.ts";
import { makeCheckpoint } from "../contract/commit-log.ts";
import { makeMessages, RecordedEvents, resumeAt, textOf } from "../contract/sink.ts";
import { Observer, uniqueName } from "../sinks/rabbitmq-support.ts";

const never = new AbortController().signal;
let rabbitmq: Rabbitmq;
let brokers: readonly string[];
let observer: Observer;
let dir: string;
beforeAll(async () => {
  rabbitmq = await sharedRabbitmq();
  ({ brokers } = await sharedKafka());
  observer = await Observer.open(rabbitmq);
  dir = await mkdtemp(join(tmpdir(), "tidemark-redeliver-"));
});
afterAll(async () => {
  await observer.close();
  await rm(dir, { recursive: true });
});

describe.each(["file", "kafka"] as const)("letters in %s", type => {
  test("are sent again in order, once, and again from where the last call ended", async () => {
    const queue = uniqueName("later");
    const letters =
      type === "file"
        ? { type, path: join(dir, "letters.jsonl") }
        : { type, brokers, topic: uniqueName("letters") };
    const { config } = parse(
      JSON.stringify({
        source: { host: "127.0.0.1", user: "u" },
        pipelines: [
          {
            name: uniqueName("shop").replace(".", "-"),
            tables: ["shop.*"],
            sink: { type: "rabbitmq", url: rabbitmq.url },
            on_refused: { dead_letter: letters },
            commit_log: { type: "file", dir: join(dir, type) },
          },
        ],
      }),
    );
    const [pipeline] = config.pipelines;
    if (pipeline === undefined) throw new Error("no pipeline");
    const options = { config, pipeline, logger: silentLogger, clock: systemClock };
    const messages = makeMessages(0, 30, queue);

    const bury = async (from: number, to: number): Promise<void> => {
      const target = makeTarget({ ...options, identities: new Map() });
      const events = new RecordedEvents();
      const checkpoint = await target.commitLog.open(never);
      const known = checkpoint?.next_offsets ?? {};
      const fresh = await target.sink.open(resumeAt(known, queue), events, never);
      target.sink.write(messages.slice(from, to));
      await events.untilDelivered(to - from);
      const next_offsets = events.offsetsAfter(to - from, { ...known, ...fresh });
      const generation = (checkpoint?.generation ?? 0) + 1;
      const { name } = pipeline;
      await target.commitLog.append(
        { ...makeCheckpoint(generation, 0), pipeline: name, next_offsets },
        never,
      );
      await target.sink.close();
      await target.commitLog.close();
    };
    const again = (): Promise<number> =>
      redeliver({ ...options, signal: never, onProgress: () => undefined });

    await bury(0, 20);
    await expect(again()).rejects.toMatchObject({ code: "MESSAGE_REFUSED" });
    await observer.queue(queue);
    expect(await again()).toBe(20);
    expect(await observer.values(queue)).toEqual(messages.slice(0, 20).map(textOf));
    expect(await again()).toBe(0);
    await observer.channel.deleteQueue(queue);
    await bury(20, 30);
    await observer.queue(queue);
    expect(await again()).toBe(10);
    expect(await observer.values(queue)).toEqual(messages.slice(20).map(textOf));
  });
});
