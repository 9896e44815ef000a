/** Endpoints that do what an endpoint must not, one kind each; and DNS answers that change. */
import { createServer, type Server, type Socket } from "node:net";
import type { AddressInfo } from "node:net";

/** What an endpoint does with a connection. */
export type Misbehaviour = (socket: Socket) => void;

const onRequest =
  (act: (socket: Socket) => void): Misbehaviour =>
  socket =>
    void socket.once("data", () => act(socket));

const answers = (text: string): Misbehaviour => onRequest(socket => void socket.end(text));

/** Writes without an end, as fast as it is read, or slowly. */
function endless(socket: Socket, part: string, everyMs: number): void {
  const timer = setInterval(() => {
    if (socket.writableLength < 1_000_000) socket.write(part);
  }, everyMs);
  socket.on("close", () => clearInterval(timer));
}

const CHUNKED = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
const CHUNK = `4000\r\n${"x".repeat(0x4000)}\r\n`;

export const misbehaviours = {
  redirect: answers(
    "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/latest/meta-data/\r\ncontent-length: 0\r\n\r\n",
  ),
  "reset in mid-response": onRequest(socket => {
    socket.write("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf");
    setTimeout(() => socket.resetAndDestroy(), 20);
  }),
  "cut off in mid-response": answers("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"),
  "reset at once": socket => void socket.resetAndDestroy(),
  "no HTTP": answers("SSH-2.0-OpenSSH_9.2\r\n"),
  "malformed headers": answers("HTTP/1.1 200 OK\r\nno colon here\r\n\r\n"),
  "endless headers": onRequest(socket => {
    socket.write("HTTP/1.1 200 OK\r\n");
    endless(socket, `x-filler: ${"x".repeat(1_000)}\r\n`, 1);
  }),
  "no answer": socket => void socket.resume(),
  "an answer that trickles": onRequest(socket => {
    socket.write(CHUNKED);
    endless(socket, "1\r\nx\r\n", 50);
  }),
  "endless 500": onRequest(socket => {
    socket.write(CHUNKED.replace("200 OK", "500 No"));
    endless(socket, CHUNK, 1);
  }),
  "only 100 Continue": onRequest(socket => endless(socket, "HTTP/1.1 100 Continue\r\n\r\n", 20)),
  "switches protocols": answers(
    "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
  ),
} as const satisfies Record<string, Misbehaviour>;

/** These have answered 2xx, whatever they put behind it. */
export const acceptable = {
  "endless 200": onRequest(socket => {
    socket.write(CHUNKED);
    endless(socket, CHUNK, 1);
  }),
  "malformed JSON": answers(
    'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 6\r\n\r\n{"a":[',
  ),
} as const satisfies Record<string, Misbehaviour>;

export const gone: Misbehaviour = answers("HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n");

/** Takes the request, and closes the connection. */
export const mended: Misbehaviour = answers("HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n");

export class HostileEndpoint {
  connections = 0;
  act: Misbehaviour;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(act: Misbehaviour) {
    this.act = act;
    this.#server = createServer(socket => {
      this.connections += 1;
      this.#sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => this.#sockets.delete(socket));
      this.act(socket);
    });
  }

  static async start(act: Misbehaviour): Promise<HostileEndpoint> {
    const endpoint = new HostileEndpoint(act);
    await new Promise<void>(resolve => endpoint.#server.listen(0, "127.0.0.1", resolve));
    return endpoint;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get open(): number {
    return this.#sockets.size;
  }

  async stop(): Promise<void> {
    const closed = new Promise(resolve => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}
