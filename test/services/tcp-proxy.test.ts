import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startProxy, type Proxy } from "../../tools/services/tcp-proxy.ts";

let target: Server;
let proxy: Proxy;
const clients: Socket[] = [];
const served: Socket[] = [];

beforeEach(async () => {
  target = createServer(socket => {
    served.push(socket);
    socket.on("error", () => undefined);
    socket.pipe(socket);
  });
  target.listen(0, "127.0.0.1");
  await once(target, "listening");
  proxy = await startProxy({ host: "127.0.0.1", port: (target.address() as AddressInfo).port });
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  await proxy.close();
  for (const socket of served.splice(0)) socket.destroy();
  target.close();
});

async function newClient(): Promise<Socket> {
  const client = connect(proxy.port, proxy.host);
  clients.push(client);
  client.on("error", () => undefined);
  await once(client, "connect");
  return client;
}

async function receive(client: Socket, count: number): Promise<string> {
  let text = "";
  while (text.length < count) text += String((await once(client, "data"))[0]);
  return text;
}

/** Whether anything arrives within a time in which, without a black hole, it long has. */
function isSilent(client: Socket): Promise<boolean> {
  return new Promise(resolve => {
    const timer = setTimeout(() => resolve(true), 100);
    client.once("data", () => {
      clearTimeout(timer);
      resolve(false);
    });
  });
}

describe("TcpProxy", () => {
  test("passes bytes in both directions, more than the buffers hold", async () => {
    const client = await newClient();
    const text = "x".repeat(3_000_000);
    client.write(text);
    expect((await receive(client, text.length)).length).toBe(text.length);
  });

  test("passes nothing in a black hole, and everything after it", async () => {
    const client = await newClient();
    client.write("before");
    expect(await receive(client, 6)).toBe("before");
    proxy.blackhole(true);
    client.write("within");
    expect(await isSilent(client)).toBe(true);
    expect(client.destroyed).toBe(false);
    proxy.blackhole(false);
    expect(await receive(client, 6)).toBe("within");
  });

  test("accepts a connection in a black hole, but does not serve it", async () => {
    proxy.blackhole(true);
    const client = await newClient();
    client.write("hello");
    expect(await isSilent(client)).toBe(true);
    expect(served).toHaveLength(0);
    proxy.blackhole(false);
    expect(await receive(client, 5)).toBe("hello");
  });

  test("hides from the target that a client went away in a black hole", async () => {
    const client = await newClient();
    client.write("hello");
    await receive(client, 5);
    let targetSawEnd = false;
    served[0]?.once("close", () => (targetSawEnd = true));
    proxy.blackhole(true);
    client.resetAndDestroy();
    await expect.poll(() => client.closed).toBe(true);
    expect(await isSilent(await newClient())).toBe(true);
    expect(targetSawEnd).toBe(false);
    proxy.blackhole(false);
    await expect.poll(() => targetSawEnd).toBe(true);
  });

  test("cuts open connections on reset and serves new ones", async () => {
    const client = await newClient();
    client.write("hello");
    await receive(client, 5);
    const closed = new Promise(resolve => client.once("close", resolve));
    proxy.reset();
    await closed;
    const next = await newClient();
    next.write("again");
    expect(await receive(next, 5)).toBe("again");
  });

  test("holds bytes back for the latency, without becoming slow", async () => {
    const client = await newClient();
    proxy.latencyMs = 50;
    const text = "x".repeat(2_000_000);
    const startedAt = performance.now();
    client.write(text);
    await receive(client, text.length);
    const elapsedMs = performance.now() - startedAt;
    expect(elapsedMs).toBeGreaterThanOrEqual(99);
    // One chunk of 64 KiB at a time would take over 3 s.
    expect(elapsedMs).toBeLessThan(2_000);
  });
});
