/** An endpoint for tests: keeps what it was sent, and answers as it is told to. */
import {
  createServer,
  type IncomingHttpHeaders,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo, Socket } from "node:net";

export interface Received {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** Those that were under way when it came, itself included. */
  readonly inFlight: number;
}

/** Answers one request; it may do so later, or never. */
export type Behaviour = (request: Received, response: ServerResponse) => void;

export const accept: Behaviour = (_request, response) => void response.writeHead(204).end();

export const answer =
  (status: number, headers: Record<string, string> = {}): Behaviour =>
  (_request, response) =>
    void response.writeHead(status, headers).end();

export class WebhookServer {
  readonly received: Received[] = [];
  /** Those that were answered 2xx. */
  readonly taken: Received[] = [];
  behave: Behaviour = accept;
  inFlight = 0;
  connections = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #port = 0;
  #changed: () => void = () => undefined;

  private constructor() {
    this.#server = createServer((request, response) => {
      const parts: Buffer[] = [];
      this.inFlight += 1;
      response.on("close", () => (this.inFlight -= 1));
      request.on("error", () => undefined);
      request.on("data", (part: Buffer) => parts.push(part));
      request.on("end", () => {
        const received = {
          path: request.url ?? "",
          headers: request.headers,
          body: Buffer.concat(parts).toString(),
          inFlight: this.inFlight,
        };
        this.received.push(received);
        response.on("finish", () => {
          if (response.statusCode < 300) this.taken.push(received);
          this.#changed();
        });
        this.behave(received, response);
        this.#changed();
      });
    });
    this.#server.on("connection", socket => {
      this.connections += 1;
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
      socket.on("error", () => undefined);
    });
  }

  static async start(): Promise<WebhookServer> {
    const server = new WebhookServer();
    await new Promise<void>(resolve => server.#server.listen(0, "127.0.0.1", resolve));
    server.#port = (server.#server.address() as AddressInfo).port;
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/hook`;
  }

  get isUp(): boolean {
    return this.#server.listening;
  }

  get bodies(): string[] {
    return this.taken.map(({ body }) => body);
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>(resolve => (this.#changed = resolve));
  }

  /** After `stop`: at the same address as before. */
  async startAgain(): Promise<void> {
    await new Promise<void>(resolve => this.#server.listen(this.#port, "127.0.0.1", resolve));
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise(resolve => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}
