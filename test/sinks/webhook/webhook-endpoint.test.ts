import { createServer as createTlsServer, type Server as TlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { systemClock } from "../../../src/core/clock.ts";
import type { ResolveName } from "../../../src/sinks/webhook-connector.ts";
import {
  Endpoint,
  parseRetryAfter,
  type EndpointOptions,
  type Outcome,
} from "../../../src/sinks/webhook-endpoint.ts";
import { makeCertificate } from "../../support/certificates.ts";
import { makeFolder, removeFolder } from "../../support/files.ts";
import {
  acceptable,
  HostileEndpoint,
  misbehaviours,
  type Misbehaviour,
} from "../../support/hostile-endpoint.ts";
import { answer, WebhookServer } from "../../support/webhook-server.ts";

const BODY = Buffer.from("{}");
const opened: Endpoint[] = [];

afterEach(async () => {
  await Promise.all(opened.splice(0).map(endpoint => endpoint.close()));
});

async function openEndpoint(
  url: string,
  changes: Partial<EndpointOptions> = {},
): Promise<Endpoint> {
  const endpoint = new Endpoint({
    url,
    secrets: [],
    concurrency: 4,
    timeoutMs: 1_000,
    allowPrivate: true,
    tls: {},
    clock: systemClock,
    ...changes,
  });
  opened.push(endpoint);
  await endpoint.open();
  return endpoint;
}

const post = async (url: string, changes?: Partial<EndpointOptions>): Promise<Outcome> =>
  (await openEndpoint(url, changes)).post("id", BODY);

describe("an endpoint that misbehaves", () => {
  const behave = async (act: Misbehaviour): Promise<{ outcome: Outcome; tookMs: number }> => {
    const hostile = await HostileEndpoint.start(act);
    try {
      const startedMs = performance.now();
      const outcome = await post(`http://127.0.0.1:${hostile.port}/`);
      return { outcome, tookMs: performance.now() - startedMs };
    } finally {
      await hostile.stop();
    }
  };

  test.each(Object.entries(misbehaviours))("has not taken the message: %s", async (_, act) => {
    const { outcome, tookMs } = await behave(act);
    expect(outcome).toMatchObject({
      kind: "failed",
      reason: expect.stringMatching(/^\w/) as string,
    });
    expect(tookMs).toBeLessThan(2_000);
  });

  test.each(Object.entries(acceptable))("has taken it: %s", async (_, act) => {
    const { outcome, tookMs } = await behave(act);
    expect(outcome).toEqual({ kind: "taken" });
    expect(tookMs).toBeLessThan(900);
  });

  test("is left with no connection that it holds open", async () => {
    const hostile = await HostileEndpoint.start(misbehaviours["no answer"]);
    const endpoint = await openEndpoint(`http://127.0.0.1:${hostile.port}/`, { timeoutMs: 300 });
    await Promise.all([1, 2, 3, 4].map(() => endpoint.post("id", BODY)));
    await Promise.all([1, 2, 3, 4].map(() => endpoint.post("id", BODY)));
    // The client may have connected again already, for what comes next.
    expect(hostile.open).toBeLessThanOrEqual(4);
    await endpoint.close();
    await vi.waitFor(() => expect(hostile.open).toBe(0));
    await hostile.stop();
  });

  test("says how long it wants to be left alone", async () => {
    const server = await WebhookServer.start();
    server.behave = answer(429, { "retry-after": "7" });
    expect(await post(server.url)).toMatchObject({ status: 429, retryAfterMs: 7_000 });
    await server.stop();
  });
});

describe("the address", () => {
  let server: WebhookServer;

  beforeEach(async () => {
    server = await WebhookServer.start();
  });

  afterEach(() => server.stop());

  const port = (): string => new URL(server.url).port;
  const resolveTo =
    (...answers: string[][]): ResolveName =>
    (_name, callback) => {
      const addresses = (answers.length > 1 ? answers.shift() : answers[0]) ?? [];
      callback(
        null,
        addresses.map(address => ({ address, family: address.includes(":") ? 6 : 4 })),
      );
    };

  const refused = { kind: "failed", reason: expect.stringContaining("may not be asked") as string };

  test.each([["127.0.0.1"], ["10.0.0.1"], ["169.254.169.254"], ["::1"], ["::ffff:127.0.0.1"]])(
    "%s is not connected to under a name that leads there",
    async address => {
      const resolve = resolveTo([address]);
      const url = `http://hooks.example.com:${port()}/`;
      expect(await post(url, { allowPrivate: false, resolve })).toMatchObject(refused);
      expect(server.connections).toBe(0);
    },
  );

  test("is refused if any of the name's is not allowed", async () => {
    const resolve = resolveTo(["8.8.8.8", "127.0.0.1"]);
    const url = `http://hooks.example.com:${port()}/`;
    expect(await post(url, { allowPrivate: false, resolve })).toMatchObject(refused);
  });

  test("in the URL itself is looked at too", async () => {
    expect(await post(server.url, { allowPrivate: false })).toMatchObject(refused);
    expect(server.connections).toBe(0);
  });

  test("is looked at for each connection, and the one that was checked is connected to", async () => {
    let lookups = 0;
    const changing: ResolveName = (_name, callback) => {
      lookups += 1;
      const address = lookups === 1 ? "127.0.0.1" : "169.254.169.254";
      callback(null, [{ address, family: 4 }]);
    };
    const endpoint = await openEndpoint(`http://hooks.example.com:${port()}/`, {
      resolve: changing,
    });
    expect(await endpoint.post("id", BODY)).toEqual({ kind: "taken" });
    await server.stop();
    await server.startAgain();
    expect(await endpoint.post("id", BODY)).toMatchObject(refused);
    expect(lookups).toBe(2);
  });

  test("is allowed if private ones are", async () => {
    const url = `http://hooks.example.com:${port()}/`;
    expect(await post(url, { resolve: resolveTo(["127.0.0.1"]) })).toEqual({ kind: "taken" });
  });
});

describe("TLS", () => {
  let folder = "";
  let ca = "";
  let tlsServer: TlsServer;

  beforeEach(async () => {
    folder = makeFolder();
    const { key, cert } = makeCertificate(folder);
    ca = cert;
    tlsServer = createTlsServer({ key, cert }, (request, response) => {
      request.resume();
      response.writeHead(204).end();
    });
    await new Promise<void>(resolve => tlsServer.listen(0, "127.0.0.1", resolve));
  });

  afterEach(async () => {
    tlsServer.closeAllConnections();
    await new Promise(resolve => tlsServer.close(resolve));
    removeFolder(folder);
  });

  const url = (host: string): string =>
    `https://${host}:${(tlsServer.address() as AddressInfo).port}/`;
  const failed = (reason: string): object => ({
    kind: "failed",
    connected: false,
    reason: expect.stringContaining(reason) as string,
  });

  test("is spoken with a certificate that is trusted and names the host", async () => {
    expect(await post(url("localhost"), { tls: { ca } })).toEqual({ kind: "taken" });
  });

  test("is not with one of an unknown authority", async () => {
    expect(await post(url("localhost"))).toMatchObject(failed("no known authority"));
  });

  test("is not with one for another name", async () => {
    expect(await post(url("127.0.0.1"), { tls: { ca } })).toMatchObject(failed("another name"));
  });

  test("is not with a handshake that hangs, nor with what is no TLS", async () => {
    const hanging = await HostileEndpoint.start(misbehaviours["no answer"]);
    const startedMs = performance.now();
    expect(await post(`https://localhost:${hanging.port}/`)).toMatchObject(failed("within 1 s"));
    expect(performance.now() - startedMs).toBeLessThan(2_000);
    await hanging.stop();
    const plain = await HostileEndpoint.start(misbehaviours["no HTTP"]);
    expect(await post(`https://localhost:${plain.port}/`)).toMatchObject(failed("TLS"));
    await plain.stop();
  });
});

test.each([
  ["7", 7_000],
  ["0", 0],
  ["999999", 3_600_000],
  ["-5", 0],
  ["soon", undefined],
  ["Sat, 21 Nov 2026 20:00:30 GMT", 30_000],
  ["Sat, 21 Nov 2026 19:00:00 GMT", 0],
  [undefined, undefined],
])("Retry-After: %s means %s ms", (value, ms) => {
  expect(parseRetryAfter(value, Date.parse("2026-11-21T20:00:00Z"))).toBe(ms);
});
