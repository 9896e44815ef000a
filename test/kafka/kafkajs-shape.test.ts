/** The parts of kafkajs below its public interface that we stand on, as they are in 2.2.4. */
import { createConnection, createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { afterEach, describe, expect, test, vi } from "vitest";
import Connection from "kafkajs/src/network/connection.js";
import RequestQueue from "kafkajs/src/network/requestQueue/index.js";
import kafkajsLoggers from "kafkajs/src/loggers/index.js";
import kafkajsProtocol from "kafkajs/src/protocol/requests/index.js";
import { apis, definition, mendIdleLoop } from "../../src/kafka/connection.ts";

const require = createRequire(import.meta.url);

test("is the version that was read", () => {
  const manifest = readFileSync(require.resolve("kafkajs/package.json"), "utf8");
  expect((JSON.parse(manifest) as { version: string }).version).toBe("2.2.4");
});

describe("requests", () => {
  test("have the versions and keys that we ask for", async () => {
    for (const { name, apiKey, versionMax } of Object.values(apis)) {
      const versions = kafkajsProtocol.requests[name]?.versions.map(Number) ?? [];
      expect(Math.max(...versions), name).toBe(versionMax);
      const args = { topics: [], resources: [], transactionalId: "", producerId: "0" };
      const { request, response } = definition(name, versionMax)(args);
      expect(request).toMatchObject({ apiKey, apiVersion: versionMax, apiName: name });
      const encoded = await request.encode();
      expect(Buffer.isBuffer(encoded.buf) && Buffer.isBuffer(encoded.buffer)).toBe(true);
      expect([typeof response.decode, typeof response.parse]).toEqual(["function", "function"]);
    }
  });

  test("read the answer to a produce request", async () => {
    const answer = Buffer.concat([
      Buffer.from("00000001000161", "hex"), // One topic, "a".
      Buffer.from("00000001" + "00000002" + "000a", "hex"), // One partition, 2, error 10.
      Buffer.from("0000000000000007" + "ffffffffffffffff" + "0000000000000001", "hex"),
      Buffer.from("00000000", "hex"),
    ]);
    const { response } = definition("Produce", 7)({ topicData: [] });
    expect(await response.decode(answer)).toMatchObject({
      topics: [{ topicName: "a", partitions: [{ partition: 2, errorCode: 10, baseOffset: "7" }] }],
    });
  });

  test("write a fetch request as version 11 wants it", async () => {
    const { request } = definition(
      "Fetch",
      11,
    )({
      replicaId: -1,
      isolationLevel: 0,
      maxWaitTime: 5,
      minBytes: 1,
      maxBytes: 9,
      topics: [{ topic: "a", partitions: [{ partition: 2, fetchOffset: 7, maxBytes: 9 }] }],
      rackId: "",
    });
    expect(request).toMatchObject({ apiKey: 1, apiVersion: 11, apiName: "Fetch" });
    const hex = (await request.encode()).buffer.toString("hex");
    expect(hex).toBe(
      "ffffffff" + "00000005" + "00000001" + "00000009" + "00" + "00000000" + "ffffffff" + // Session.
        "00000001" + "000161" + "00000001" + "00000002" + "ffffffff" + "0000000000000007" +
        "ffffffffffffffff" + "00000009" + "00000000" + "0000", // prettier-ignore
    );
  });
});

describe("a connection", () => {
  const servers: Server[] = [];
  const sockets: Socket[] = [];
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
    for (const server of servers.splice(0)) server.close();
  });

  /** A server that keeps what it receives and answers nothing. */
  const connect = async (): Promise<{
    connection: Connection;
    received: () => Buffer;
    socket: () => Socket;
  }> => {
    const chunks: Buffer[] = [];
    let ours: Socket | undefined;
    const server = createServer(socket => {
      sockets.push(socket);
      socket.on("data", chunk => chunks.push(chunk));
    });
    servers.push(server);
    await new Promise<void>(resolve => server.listen(0, "127.0.0.1", resolve));
    const connection = new Connection({
      host: "127.0.0.1",
      port: (server.address() as AddressInfo).port,
      clientId: "c",
      connectionTimeout: 1_000,
      requestTimeout: 1_000,
      enforceRequestTimeout: true,
      logger: kafkajsLoggers.createLogger({
        level: kafkajsLoggers.LEVELS.WARN,
        logCreator: () => () => undefined,
      }),
      socketFactory: (made: { host: string; port: number; onConnect: () => void }) => {
        ours = createConnection({ host: made.host, port: made.port }, made.onConnect);
        sockets.push(ours);
        return ours;
      },
    });
    await connection.connect();
    const socket = (): Socket => ours as Socket;
    return { connection, received: () => Buffer.concat(chunks), socket };
  };

  const request = (body: Buffer): KafkajsExchange => ({
    request: {
      apiKey: 0,
      apiVersion: 7,
      apiName: "Produce",
      encode: () => Promise.resolve({ buf: body, buffer: body }),
    },
    response: { decode: () => Promise.resolve(1), parse: () => Promise.resolve(1) },
  });

  test("sends bytes that we wrote, behind its header", async () => {
    const { connection, received } = await connect();
    const body = Buffer.alloc(5_000, "b");
    connection.send(request(body)).catch(() => undefined);
    await vi.waitFor(() => expect(received().length).toBeGreaterThan(5_000));
    const header = Buffer.from("0000" + "0007" + "00000000" + "000163", "hex");
    const size = Buffer.alloc(4);
    size.writeInt32BE(header.length + body.length);
    expect(received()).toEqual(Buffer.concat([size, header, body]));
  });

  test("lets us write a request ourselves, and rejects it when its socket is destroyed", async () => {
    const { connection, socket } = await connect();
    await connection.authenticate();
    expect(connection.clientId).toBe("c");
    const correlationId = connection.nextCorrelationId();
    expect(connection.nextCorrelationId()).toBe(correlationId + 1);
    const sendRequest = vi.fn();
    const sending = new Promise((resolve, reject) => {
      const entry = {
        apiKey: 0,
        apiVersion: 7,
        apiName: "Produce",
        correlationId,
        resolve,
        reject,
      };
      const request = { entry, expectResponse: true, requestTimeout: null, sendRequest };
      connection.requestQueue.push(request);
    });
    expect(sendRequest).toHaveBeenCalledTimes(1);
    socket().destroy(new Error("ended"));
    await expect(sending).rejects.toMatchObject({ name: "KafkaJSConnectionError" });
    connection.requestQueue.maybeThrottle(60_000);
    expect(connection.requestQueue.throttledUntil).toBeGreaterThan(Date.now());
  });

  test("rejects what is under way when its socket is destroyed with an error", async () => {
    const { connection, socket } = await connect();
    const sending = connection.send(request(Buffer.alloc(1)));
    const rejected = expect(sending).rejects.toMatchObject({ name: "KafkaJSConnectionError" });
    await new Promise(resolve => setImmediate(resolve));
    socket().destroy(new Error("ended"));
    await rejected;
    await vi.waitFor(() => expect(connection.isConnected()).toBe(false));
  });

  test("looks for waiting requests 0 times while it is idle", async () => {
    mendIdleLoop();
    mendIdleLoop();
    const check = vi.spyOn(RequestQueue.prototype, "checkPendingRequests");
    const timer = vi.spyOn(globalThis, "setTimeout");
    try {
      const { connection } = await connect();
      timer.mockClear();
      check.mockClear();
      const queue = connection.requestQueue;
      queue.scheduleCheckPendingRequests();
      queue.scheduleCheckPendingRequests();
      expect(timer).not.toHaveBeenCalled();
      expect(check).not.toHaveBeenCalled();
      expect(queue.throttleCheckTimeoutId).toBeNull();
      expect(queue.pending).toEqual([]);
      expect(queue.throttledUntil).toBeTypeOf("number");
    } finally {
      vi.restoreAllMocks();
    }
  });
});
