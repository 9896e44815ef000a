/** What `tidemark check` says of queues, on ElasticMQ and on a proxy that refuses us. */
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { sqsFindings, type SqsPlace } from "../../src/check/sqs.ts";
import { sharedElasticmq } from "../../tools/services/shared.ts";
import {
  failure,
  QueueReader,
  SqsProxy,
  uniqueQueue,
  useCredentials,
} from "../sinks/sqs-support.ts";

const never = new AbortController().signal;
let reader: QueueReader;
let proxy: SqsProxy;

beforeAll(async () => {
  useCredentials();
  const { url } = await sharedElasticmq();
  reader = new QueueReader(url);
  proxy = await SqsProxy.start(url);
});

afterAll(async () => {
  reader.close();
  await proxy.close();
});

const placeOf = (queue: string, maxMessageBytes = 262_144): SqsPlace => ({
  client: { region: "elasticmq", endpoint: proxy.url, inFlightMax: 4 },
  queue,
  maxMessageBytes,
});

test("finds a queue by its name and by its URL", async () => {
  const queue = uniqueQueue(".fifo");
  await reader.create(queue);
  for (const name of [queue, `${proxy.url}/000000000000/${queue}`]) {
    const findings = await sqsFindings(placeOf(name), [], never);
    expect(findings.map(({ check, ok, found }) => ({ check, ok, found }))).toEqual([
      { check: "sqs.connection", ok: true, found: "SQS answers." },
      { check: "sqs.queues", ok: true, found: `Queue ${queue} is there.` },
    ]);
  }
});

test("looks at the queues that the tables lead to", async () => {
  const [there, missing] = [uniqueQueue(), uniqueQueue(".fifo")];
  await reader.create(there);
  const findings = await sqsFindings(placeOf("{table}"), [there, missing], never);
  expect(findings.filter(({ ok }) => !ok)).toMatchObject([
    {
      check: "sqs.queues",
      code: "SINK_SETTING",
      fix: `aws sqs create-queue --queue-name ${missing} --attributes FifoQueue=true`,
    },
  ]);
});

test("warns where the queue takes smaller messages than we would send", async () => {
  proxy.onAny = () => ({ status: 200, body: { Attributes: { MaximumMessageSize: "262144" } } });
  try {
    const [, finding] = await sqsFindings(placeOf(`${proxy.url}/1/q`, 300_000), [], never);
    expect(finding).toMatchObject({ check: "sqs.queues", level: "warning", ok: false });
    expect(finding?.found).toContain("262144");
  } finally {
    proxy.onAny = undefined;
  }
});

test("refuses a queue that is not what its name says", async () => {
  proxy.onAny = () => ({ status: 200, body: { Attributes: { FifoQueue: "true" } } });
  try {
    const [, finding] = await sqsFindings(placeOf(`${proxy.url}/1/q`), [], never);
    expect(finding).toMatchObject({ check: "sqs.queues", ok: false, code: "SINK_SETTING" });
  } finally {
    proxy.onAny = undefined;
  }
});

test.each([
  ["AccessDeniedException", "ACCESS_DENIED", 77],
  ["InvalidClientTokenId", "ACCESS_DENIED", 77],
  ["InternalFailure", "SINK_UNAVAILABLE", 69],
] as const)("takes %s for %s", async (name, code, exitCode) => {
  proxy.onAny = () => failure(name, name === "InternalFailure" ? 500 : 400);
  try {
    const asking = sqsFindings(placeOf(uniqueQueue()), [], never);
    await expect(asking).rejects.toMatchObject({ code, exitCode });
  } finally {
    proxy.onAny = undefined;
  }
});

test("says in one sentence that there are no credentials", async () => {
  vi.stubEnv("AWS_ACCESS_KEY_ID", "");
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", "");
  vi.stubEnv("AWS_EC2_METADATA_DISABLED", "true");
  vi.stubEnv("HOME", "/nonexistent");
  try {
    const asking = sqsFindings(placeOf(uniqueQueue()), [], never);
    await expect(asking).rejects.toMatchObject({ code: "ACCESS_DENIED", exitCode: 77 });
    await expect(asking).rejects.toThrow(/^Looking at queue .* failed: .*credentials.*\.$/i);
  } finally {
    vi.unstubAllEnvs();
  }
});

test("says that no region is known", async () => {
  vi.stubEnv("HOME", "/nonexistent");
  try {
    const place = {
      ...placeOf(uniqueQueue()),
      client: { ...placeOf("q").client, region: undefined },
    };
    const asking = sqsFindings(place, [], never);
    await expect(asking).rejects.toMatchObject({ code: "SINK_SETTING", exitCode: 78 });
    await expect(asking).rejects.toThrow("Set sink.region, or AWS_REGION.");
  } finally {
    vi.unstubAllEnvs();
  }
});
