/** Kafka over TLS, with each way of logging in. */
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { silentLogger } from "../../src/core/logger.ts";
import type { KafkaClientOptions } from "../../src/kafka/client.ts";
import { startKafka, type Kafka } from "../../tools/services/services.ts";
import { makeMessages, RecordedEvents, resumeAt } from "../contract/sink.ts";
import { makeCertificate } from "../support/certificates.ts";
import { makeFolder, removeFolder } from "../support/files.ts";
import { makeSink, never, Observer, uniqueName } from "./support.ts";

const folder = makeFolder();
const { key, cert } = makeCertificate(folder);
const login = { username: "tidemark", password: "S3cret" };
let kafka: Kafka;
beforeAll(async () => {
  const security = { key, cert, user: login.username, password: login.password };
  kafka = await startKafka({ security });
});
afterAll(async () => {
  await kafka.stop();
  removeFolder(folder);
});

const encrypted = (changes: Partial<KafkaClientOptions>): KafkaClientOptions => ({
  brokers: kafka.secureBrokers,
  clientId: "tidemark-test",
  ssl: { ca: cert },
  sasl: { mechanism: "scram-sha-512", ...login },
  ...changes,
});

describe.each(["plain", "scram-sha-256", "scram-sha-512"] as const)("by %s", mechanism => {
  test("delivers over every connection that it makes", async () => {
    const topic = uniqueName("secure");
    const sink = makeSink(kafka.brokers, { client: encrypted({ sasl: { mechanism, ...login } }) });
    const events = new RecordedEvents();
    await sink.open(resumeAt(undefined, topic), events, never);
    sink.write(makeMessages(0, 20, topic));
    await events.untilDelivered(20);
    await sink.close();
    const observer = new Observer(kafka.brokers);
    expect((await observer.read(topic)).flat()).toHaveLength(20);
    observer.close();
  });

  test("ends with a wrong password, without naming it", async () => {
    const sasl = { mechanism, username: login.username, password: "Pl4nted" };
    const sink = makeSink(kafka.brokers, { client: encrypted({ sasl }) });
    const opening = sink.open(resumeAt(undefined, uniqueName("none")), new RecordedEvents(), never);
    const error: unknown = await opening.catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "ACCESS_DENIED" });
    expect(String(error)).not.toContain("Pl4nted");
    await sink.close();
  });
});

test.each<[string, Partial<KafkaClientOptions>, string]>([
  ["nobody known has signed", { ssl: {} }, "self-signed certificate"],
  ["names another host", { brokers: [] }, "altnames"],
])("says why it waits for a broker whose certificate %s", async (_, changes, reason) => {
  const logged: string[] = [];
  const warn = (__: object, message: string): void => void logged.push(message);
  const brokers = kafka.secureBrokers.map(broker => broker.replace("localhost", "127.0.0.1"));
  const client = encrypted(changes.brokers === undefined ? changes : { brokers });
  const sink = makeSink(kafka.brokers, { client, logger: { ...silentLogger, warn } });
  const stop = new AbortController();
  const opening = sink.open(
    resumeAt(undefined, uniqueName("none")),
    new RecordedEvents(),
    stop.signal,
  );
  opening.catch(() => undefined);
  await vi.waitFor(() => expect(logged.join()).toContain(reason), 20_000);
  stop.abort();
  await sink.close();
});
