/** What `tidemark check` says of a RabbitMQ. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { rabbitmqFindings } from "../../src/check/rabbitmq.ts";
import type { RabbitmqPlace } from "../../src/sinks/rabbitmq-session.ts";
import type { Rabbitmq } from "../../tools/services/services.ts";
import { sharedRabbitmq } from "../../tools/services/shared.ts";
import { Observer, serverOf, uniqueName } from "../sinks/rabbitmq-support.ts";

const never = new AbortController().signal;
let rabbitmq: Rabbitmq;
let observer: Observer;
beforeAll(async () => {
  rabbitmq = await sharedRabbitmq();
  observer = await Observer.open(rabbitmq);
});
afterAll(() => observer.close());

const place = (changes: Partial<RabbitmqPlace> = {}): RabbitmqPlace => ({
  server: serverOf(rabbitmq),
  pipeline: "shop",
  exchange: "",
  declare: { exchangeType: undefined, queues: false, queueType: "classic" },
  ...changes,
});

test("names each queue that is missing behind the default exchange", async () => {
  const queue = await observer.queue(uniqueName("there"));
  const missing = uniqueName("missing");
  const findings = await rabbitmqFindings(place(), [queue, missing], never);
  expect(findings).toMatchObject([
    { check: "rabbitmq.connection", ok: true },
    { check: "rabbitmq.queues", ok: true },
    { check: "rabbitmq.queues", ok: false, code: "SINK_SETTING" },
  ]);
  expect(findings[2]?.found).toContain(missing);
});

test("makes nothing, and takes no lock", async () => {
  const exchange = uniqueName("later");
  const declare = { exchangeType: "topic", queues: true, queueType: "classic" } as const;
  const findings = await rabbitmqFindings(place({ exchange, declare }), ["x"], never);
  expect(findings).toMatchObject([{ ok: true }]);
  await expect(observer.channel.checkExchange(exchange)).rejects.toMatchObject({ code: 404 });
});

test.each<[string, () => Partial<RabbitmqPlace>]>([
  ["ACCESS_DENIED", () => ({ server: serverOf(rabbitmq, { password: "Pl4nted" }) })],
  ["SINK_SETTING", () => ({ server: serverOf(rabbitmq, { vhost: "none" }) })],
  ["SINK_SETTING", () => ({ exchange: "none" })],
  ["SINK_UNAVAILABLE", () => ({ server: serverOf(rabbitmq, { port: 1 }) })],
])("ends with %s for what is wrong", async (code, changes) => {
  const error: unknown = await rabbitmqFindings(place(changes()), [], never).catch(
    (thrown: unknown) => thrown,
  );
  expect(error).toMatchObject({ code });
  expect(String(error)).not.toContain("Pl4nted");
});
