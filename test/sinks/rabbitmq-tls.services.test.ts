/** The RabbitMQ sink over amqps. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { RabbitmqServer } from "../../src/sinks/rabbitmq-session.ts";
import { freePort } from "../../tools/services/ports.ts";
import { startRabbitmq, type Rabbitmq } from "../../tools/services/services.ts";
import { makeMessages, RecordedEvents, resumeAt } from "../contract/sink.ts";
import { makeCertificate } from "../support/certificates.ts";
import { makeFolder, removeFolder } from "../support/files.ts";
import { makeSink, never, Observer, serverOf, uniqueName } from "./rabbitmq-support.ts";

const folder = makeFolder();
const { keyFile, certFile, cert } = makeCertificate(folder);
let rabbitmq: Rabbitmq;
let port: number;
beforeAll(async () => {
  port = await freePort();
  rabbitmq = await startRabbitmq({
    config: {
      "listeners.ssl.1": `127.0.0.1:${port}`,
      "ssl_options.keyfile": keyFile,
      "ssl_options.certfile": certFile,
    },
  });
});
afterAll(async () => {
  await rabbitmq.stop();
  removeFolder(folder);
});

const encrypted = (changes: Partial<RabbitmqServer>): RabbitmqServer =>
  serverOf(rabbitmq, { host: "localhost", port, ...changes });

test("delivers to a broker whose certificate is trusted and names it", async () => {
  const queue = uniqueName("encrypted");
  const sink = makeSink(rabbitmq, { server: encrypted({ tls: { ca: cert } }) });
  const events = new RecordedEvents();
  await sink.open(resumeAt(undefined, queue), events, never);
  sink.write(makeMessages(0, 20, queue));
  await events.untilDelivered(20);
  await sink.close();
  const observer = await Observer.open(rabbitmq);
  expect(await observer.values(queue)).toHaveLength(20);
  await observer.close();
});

test.each<[string, Partial<RabbitmqServer>, string]>([
  ["is of an unknown authority", { tls: {} }, "self-signed certificate. Check sink.tls."],
  ["is for another name", { host: "127.0.0.1", tls: { ca: cert } }, "altnames"],
])("ends at the start when the certificate %s", async (_, changes, said) => {
  const sink = makeSink(rabbitmq, { server: encrypted(changes) });
  const opening = sink.open(resumeAt(undefined, uniqueName("none")), new RecordedEvents(), never);
  await expect(opening).rejects.toMatchObject({
    code: "SINK_SETTING",
    message: expect.stringContaining(said) as string,
  });
  await sink.close();
});
