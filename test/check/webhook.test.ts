import { afterEach, beforeEach, expect, test } from "vitest";
import { webhookFindings } from "../../src/check/webhook.ts";
import type { WebhookSinkConfig } from "../../src/config/config.ts";
import type { Finding } from "../../src/core/finding.ts";
import { HostileEndpoint, misbehaviours } from "../support/hostile-endpoint.ts";
import { WebhookServer } from "../support/webhook-server.ts";

let server: WebhookServer;

beforeEach(async () => {
  server = await WebhookServer.start();
});

afterEach(() => server.stop());

const check = (
  url: string,
  { secrets = ["whsec_x"], allowPrivate = true, signal = new AbortController().signal } = {},
): Promise<readonly Finding[]> => {
  const tls = { mode: "verify_identity", ca: undefined, cert: undefined, key: undefined } as const;
  const sink: WebhookSinkConfig = {
    type: "webhook",
    delivery: "at-least-once",
    routes: [{ id: "users", tables: ["*.*"], events: ["insert"], url, secrets }],
    ...{ concurrency: 32, timeoutMs: 1_000, retries: undefined, allowPrivate, tls },
    park: undefined,
  };
  return webhookFindings(sink, signal);
};

test("an endpoint that can be connected to is in order, and is sent nothing", async () => {
  expect(await check(server.url)).toMatchObject([{ check: "webhook.endpoint", ok: true }]);
  expect(server.received).toEqual([]);
});

test("one that is not there is a fault that passes", async () => {
  await server.stop();
  const [finding] = await check(`${server.url}?token=Tr4ct0r`);
  expect(finding).toMatchObject({ ok: false, code: "SINK_UNAVAILABLE" });
  expect(finding?.found).toMatch(/^Route users \(http:\/\/127.0.0.1:\d+\) cannot be reached/);
});

test("a private address and a certificate that is not trusted are for the operator to mend", async () => {
  const [refused] = await check(server.url, { allowPrivate: false });
  expect(refused).toMatchObject({ ok: false, code: "SINK_SETTING" });
  expect(refused?.fix).toContain("allow_private");
  const plain = await HostileEndpoint.start(misbehaviours["no HTTP"]);
  const [untrusted] = await check(`https://127.0.0.1:${plain.port}/`);
  expect(untrusted).toMatchObject({ ok: false, code: "SINK_SETTING" });
  await plain.stop();
});

test("one that does not answer in time is a fault", async () => {
  const silent = await HostileEndpoint.start(misbehaviours["no answer"]);
  const stop = new AbortController();
  const findings = check(`https://127.0.0.1:${silent.port}/`, { signal: stop.signal });
  stop.abort();
  expect(await findings).toMatchObject([{ ok: false, code: "SINK_UNAVAILABLE" }]);
  await silent.stop();
});

test("a route without secrets is a warning", async () => {
  expect(await check(server.url, { secrets: [] })).toMatchObject([
    { ok: true },
    { check: "webhook.secrets", level: "warning" },
  ]);
});
