/**
 * A TCP proxy in this process, to break the network between two programs.
 *
 *   client ──▶ proxy ──▶ target       blackhole: connections stay open, bytes pass in neither
 *                                      direction; reset: every open connection is cut with RST
 *
 * In the black hole bytes pile up unread in the kernel, as they would on a cable that is pulled, and
 * pass when it ends. A connection that is opened in the black hole is accepted and reaches the target
 * afterwards.
 */
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** So much is under way at most when bytes are held back; then the sender is made to wait. */
const heldBytesMax = 4 * 1024 * 1024;

export interface Proxy {
  readonly host: "127.0.0.1";
  readonly port: number;
  /** How long bytes are held back, in each direction. May be changed at any time. */
  latencyMs: number;
  blackhole(on: boolean): void;
  reset(): void;
  close(): Promise<void>;
}

export interface ProxyTarget {
  readonly host: string;
  readonly port: number;
}

/** @param port a free one, unless it is named. */
export async function startProxy(target: ProxyTarget, port = 0): Promise<Proxy> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  return new TcpProxy(server, target);
}

class TcpProxy implements Proxy {
  readonly host = "127.0.0.1";
  readonly port: number;
  latencyMs = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #open: Promise<void> = Promise.resolve();
  #reopen: (() => void) | undefined;

  constructor(server: Server, target: ProxyTarget) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
    server.on("connection", client => void this.#serve(client, target));
  }

  blackhole(on: boolean): void {
    if (on && !this.#reopen) {
      this.#open = new Promise(resolve => (this.#reopen = resolve));
    } else if (!on) {
      this.#reopen?.();
      this.#reopen = undefined;
    }
  }

  reset(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async close(): Promise<void> {
    const closed = new Promise<void>(resolve => this.#server.close(() => resolve()));
    this.reset();
    this.blackhole(false);
    await closed;
  }

  async #serve(client: Socket, target: ProxyTarget): Promise<void> {
    this.#own(client);
    await this.#open;
    if (client.destroyed) return;
    const upstream = connect({ ...target, allowHalfOpen: true });
    this.#own(upstream);
    // In a black hole the other side does not even hear that this one is gone.
    client.once("close", () => void this.#open.then(() => upstream.destroy()));
    upstream.once("close", () => void this.#open.then(() => client.destroy()));
    await Promise.allSettled([this.#pump(client, upstream), this.#pump(upstream, client)]);
  }

  #own(socket: Socket): void {
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    socket.on("error", () => socket.destroy());
    socket.once("close", () => this.#sockets.delete(socket));
  }

  /** Reads little more than what it could pass on, so that the kernel's windows push back. */
  async #pump(from: Socket, to: Socket): Promise<void> {
    let delivered = Promise.resolve();
    let heldBytes = 0;
    for await (const chunk of from as AsyncIterable<Buffer>) {
      const dueAt = performance.now() + this.latencyMs;
      heldBytes += chunk.length;
      delivered = delivered
        .then(() => this.#deliver(chunk, dueAt, to))
        .finally(() => (heldBytes -= chunk.length));
      if (this.latencyMs === 0 || heldBytes > heldBytesMax) await delivered;
    }
    await delivered;
    await this.#open;
    to.end();
  }

  async #deliver(chunk: Buffer, dueAt: number, to: Socket): Promise<void> {
    const waitMs = dueAt - performance.now();
    if (waitMs > 0) await sleep(waitMs);
    await this.#open;
    if (!to.destroyed && !to.write(chunk)) await drained(to);
  }
}

function drained(socket: Socket): Promise<void> {
  return new Promise(resolve => {
    const done = (): void => {
      socket.off("drain", done);
      socket.off("close", done);
      resolve();
    };
    socket.on("drain", done);
    socket.on("close", done);
  });
}
