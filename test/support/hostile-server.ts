/**
 * A server that speaks MySQL's protocol just far enough for a dump, and damages one of its packets on the
 * way: the greeting, the answer to the login, an answer to a question, or an event.
 */
import { createServer, type Server, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import { between, seededRandom } from "./random.ts";

/** A client that has not gone on by then has nothing more to say. */
const PATIENCE_MS = 60;
const CAPABILITIES = 0x81ff_f7df & ~0x800 & ~0x20; // Without TLS and compression.

export class HostileServer {
  readonly #events: readonly Buffer[];
  readonly #server: Server;
  #seed = 0;

  private constructor(events: readonly Buffer[]) {
    this.#events = events;
    this.#server = createServer(socket => this.#serve(socket));
  }

  static async start(events: readonly Buffer[]): Promise<HostileServer> {
    const server = new HostileServer(events);
    await new Promise<void>(resolve => server.#server.listen(0, "127.0.0.1", resolve));
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** What is done to the next connection. */
  set seed(seed: number) {
    this.#seed = seed;
  }

  async stop(): Promise<void> {
    await new Promise(resolve => this.#server.close(resolve));
  }

  #serve(socket: Socket): void {
    const random = seededRandom(this.#seed);
    const target = between(random, 0, between(random, 0, 1) === 0 ? 4 : 20);
    let sent = 0;
    const send = (packets: readonly Buffer[]): void => {
      const bytes = packets.map(packet => (sent++ === target ? damaged(packet, random) : packet));
      if (socket.writable) socket.write(Buffer.concat(bytes));
    };
    let timer = setTimeout(() => socket.destroy(), PATIENCE_MS);
    let step = 0;
    socket.on("error", () => undefined);
    socket.on("close", () => clearTimeout(timer));
    socket.on("data", (request: Buffer) => {
      clearTimeout(timer);
      timer = setTimeout(() => socket.destroy(), PATIENCE_MS);
      step += 1;
      if (step === 1) send([packet(2, OK)]);
      else if ((request[4] ?? 0) === 0x12) this.#dump(socket, send);
      else if (request.includes("COLLATIONS")) send(collations());
      else send([packet(1, OK)]);
    });
    send([packet(0, greeting())]);
  }

  #dump(socket: Socket, send: (packets: readonly Buffer[]) => void): void {
    send(this.#events.map((event, i) => packet((i + 1) & 0xff, Buffer.concat([ZERO, event]))));
    socket.end();
  }
}

const ZERO = Buffer.from([0]);
const OK = Buffer.from([0, 0, 0, 2, 0, 0, 0]);
const EOF = Buffer.from([0xfe, 0, 0, 2, 0]);

function packet(sequence: number, content: Buffer): Buffer {
  const header = Buffer.alloc(4);
  header.writeUIntLE(content.length, 0, 3);
  header.writeUInt8(sequence, 3);
  return Buffer.concat([header, content]);
}

function greeting(): Buffer {
  const low = Buffer.alloc(2);
  low.writeUInt16LE(CAPABILITIES & 0xffff);
  const high = Buffer.alloc(2);
  high.writeUInt16LE(CAPABILITIES >>> 16);
  return Buffer.concat([
    Buffer.from([10]),
    Buffer.from("8.0.99\0"),
    Buffer.from([7, 0, 0, 0]),
    Buffer.from("12345678\0"),
    low,
    Buffer.from([255, 2, 0]),
    high,
    Buffer.from([21]),
    Buffer.alloc(10),
    Buffer.from("123456789012\0"),
    Buffer.from("mysql_native_password\0"),
  ]);
}

function collations(): Buffer[] {
  const column = (name: string): Buffer =>
    Buffer.concat([
      ...["def", "", "", "", name, name].map(text),
      Buffer.from([0x0c, 255, 0, 200, 0, 0, 0, 0xfd, 0, 0, 0, 0, 0]),
    ]);
  const rows = [
    ["8", "latin1"],
    ["63", "binary"],
    ["255", "utf8mb4"],
  ];
  const contents = [
    Buffer.from([2]),
    column("id"),
    column("charset"),
    EOF,
    ...rows.map(cells => Buffer.concat(cells.map(text))),
    EOF,
  ];
  return contents.map((content, i) => packet(i + 1, content));
}

function text(value: string): Buffer {
  return Buffer.concat([Buffer.from([value.length]), Buffer.from(value)]);
}

/** One packet with wrong bits, cut short, or of a length or number that is not its own. */
function damaged(bytes: Buffer, random: () => number): Buffer {
  const copy = Buffer.from(bytes);
  const at = between(random, 0, copy.length - 1);
  switch (between(random, 0, 4)) {
    case 0:
      copy[at] = (copy[at] ?? 0) ^ (1 << between(random, 0, 7));
      return copy;
    case 1:
      copy[at] = between(random, 0, 255);
      return copy;
    case 2:
      return copy.subarray(0, at);
    case 3:
      copy.fill(between(random, 0, 255), at, Math.min(at + 6, copy.length));
      return copy;
    default:
      copy[between(random, 0, 3)] = between(random, 0, 255);
      return copy;
  }
}
