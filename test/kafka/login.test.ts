/** What a login that fails means: a wrong password ends Tidemark, a lost connection does not. */
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { silentLogger } from "../../src/core/logger.ts";
import { KafkaClient } from "../../src/kafka/client.ts";
import { errorCodeOf } from "../../src/kafka/kafka-errors.ts";

const API_VERSIONS = 18;
const SASL_HANDSHAKE = 17;
const SASL_AUTHENTICATE = 36;

const int16 = (value: number): Buffer => Buffer.from([(value >> 8) & 0xff, value & 0xff]);
const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};
const text = (value: string): Buffer => Buffer.concat([int16(value.length), Buffer.from(value)]);

const answers: Readonly<Record<number, Buffer>> = {
  [API_VERSIONS]: Buffer.concat([
    int16(0),
    int32(4),
    ...[3, SASL_HANDSHAKE, API_VERSIONS, SASL_AUTHENTICATE].map(key =>
      Buffer.concat([int16(key), int16(0), int16(9)]),
    ),
    int32(0),
  ]),
  [SASL_HANDSHAKE]: Buffer.concat([int16(0), int32(1), text("PLAIN")]),
};

describe("a login", () => {
  const servers: Server[] = [];
  const clients: KafkaClient[] = [];
  afterEach(() => {
    for (const client of clients.splice(0)) client.close();
    for (const server of servers.splice(0)) server.close();
  });

  /** A broker that can no more than ask for a password. */
  const connect = async (onPassword: (socket: Socket, answer: (body: Buffer) => void) => void) => {
    const server = createServer(socket => {
      socket.on("error", () => undefined);
      socket.on("data", request => {
        const key = request.readInt16BE(4);
        const answer = (body: Buffer): void => {
          const payload = Buffer.concat([request.subarray(8, 12), body]);
          socket.write(Buffer.concat([int32(payload.length), payload]));
        };
        if (key === SASL_AUTHENTICATE) onPassword(socket, answer);
        else answer(answers[key] ?? Buffer.alloc(0));
      });
    });
    servers.push(server);
    await new Promise<void>(resolve => server.listen(0, "127.0.0.1", resolve));
    const client = new KafkaClient({
      brokers: [`127.0.0.1:${(server.address() as AddressInfo).port}`],
      clientId: "test",
      sasl: { mechanism: "plain", username: "cdc", password: "wrong" },
      connectionTimeoutMs: 500,
      logger: silentLogger,
    });
    clients.push(client);
    return client.any().then(
      () => "connected",
      (error: unknown) => errorCodeOf(error),
    );
  };

  test("that the broker refuses is ACCESS_DENIED", async () => {
    const refuse = Buffer.concat([
      int16(58),
      text("Authentication failed"),
      int32(0),
      Buffer.alloc(8),
    ]);
    expect(await connect((_, answer) => answer(refuse))).toBe("ACCESS_DENIED");
  });

  test("during which the connection is lost is tried again", async () => {
    expect(await connect(socket => socket.destroy())).toBe("SINK_UNAVAILABLE");
    expect(await connect(socket => socket.resetAndDestroy())).toBe("SINK_UNAVAILABLE");
  });

  test("that is never answered is tried again", async () => {
    expect(await connect(() => undefined)).toBe("SINK_UNAVAILABLE");
  });

  test("that the broker accepts is none of these", async () => {
    const accept = Buffer.concat([int16(0), int16(-1), int32(0), Buffer.alloc(8)]);
    expect(await connect((_, answer) => answer(accept))).toBe("connected");
  });
});
