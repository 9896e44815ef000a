/** What the AWS client's requests meet when the other side is no SQS, or does not finish. */
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import { toSqsError } from "../../src/sinks/sqs-errors.ts";
import { SqsHttp } from "../../src/sinks/sqs-http.ts";

const HEAD =
  "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";

describe("SqsHttp", () => {
  let server: Server | undefined;
  let http: SqsHttp | undefined;
  const sockets = new Set<Socket>();

  afterEach(() => {
    http?.destroy();
    for (const socket of sockets) socket.destroy();
    server?.close();
  });

  /** Asks a server that does with each request what `answer` does. */
  const ask = async (
    answer: (socket: Socket, request: string) => void,
    { timeoutMs = 500, signal }: { timeoutMs?: number; signal?: AbortSignal } = {},
  ) => {
    server = createServer(socket => {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("data", data => answer(socket, data.toString()));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const options = { connections: 1, connectTimeoutMs: 5_000, timeoutMs, clock: systemClock };
    http = await SqsHttp.load(options);
    const headers = { host: `127.0.0.1:${port}`, "x-one": "1" };
    const request = { protocol: "http:", hostname: "127.0.0.1", port, method: "POST", headers };
    const query = { a: "b c", d: ["e", "f&"] };
    return http.handle(
      { ...request, path: "/p", query, body: "{}" },
      signal === undefined ? {} : { abortSignal: signal },
    );
  };

  test("gives status, headers and body, and has sent path, query, headers and body", async () => {
    let sent = "";
    const { response } = await ask((socket, request) => {
      sent = request;
      socket.write("HTTP/1.1 403 No\r\nX-Two: 2\r\ncontent-length: 5\r\n\r\nhello");
    });
    expect(sent).toMatch(/^POST \/p\?a=b%20c&d=e&d=f%26 HTTP\/1\.1\r\n/);
    expect(sent).toContain("x-one: 1\r\n");
    expect(sent.endsWith("\r\n\r\n{}")).toBe(true);
    expect(response.statusCode).toBe(403);
    expect(response.headers["x-two"]).toBe("2");
    expect(String(response.body)).toBe("hello");
  });

  test.each<[string, (socket: Socket) => void]>([
    ["never answers", () => undefined],
    ["never finishes its answer", socket => void socket.write(`${HEAD}1\r\n{\r\n`)],
    [
      "answers without end",
      socket => {
        socket.write(HEAD);
        const more = (error?: Error | null): void => {
          if (error) return;
          socket.write(`10000\r\n${"x".repeat(0x10000)}\r\n`, more);
        };
        more();
      },
    ],
    ["speaks another language", socket => void socket.write("220 mail.example ESMTP\r\n")],
    ["closes the connection", socket => void socket.destroy()],
    ["closes in the middle of its answer", socket => void socket.end(`${HEAD}5\r\n{`)],
  ])("is tried again with one that %s", async (_, answer) => {
    const thrown: unknown = await ask(answer).catch((error: unknown) => error);
    expect(toSqsError(thrown, "Sending to q")).toMatchObject({ code: "SINK_UNAVAILABLE" });
  });

  test("ends with the signal, and with destroy", async () => {
    const abort = new AbortController();
    const stopped = ask(() => abort.abort(), { timeoutMs: 60_000, signal: abort.signal });
    await expect(stopped).rejects.toMatchObject({ name: "AbortError" });
    const destroyed = ask(() => http?.destroy(), { timeoutMs: 60_000 });
    await expect(destroyed).rejects.toThrow();
  });
});
