/** The HTTP server with real sockets. */
import { request } from "node:http";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { silentLogger } from "../../src/core/logger.ts";
import { TidemarkError } from "../../src/core/errors.ts";
import { openHttp } from "../../src/http/http.ts";
import { HttpServer, type HttpServerOptions } from "../../src/http/server.ts";
import { runningPipeline } from "../metrics/support.ts";
import { ManualClock } from "../support/manual-clock.ts";

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

const bounds = { heartbeatMs: 12_000, stalledMs: 10_000, unacknowledgedMs: 60_000, lagMs: 300_000 };

async function serve(...pipelines: readonly ReturnType<typeof runningPipeline>[]) {
  const http = await openHttp({
    host: "127.0.0.1",
    port: 0,
    healthPath: "/up",
    bounds,
    vitals: pipelines.map(pipeline => pipeline.vitals),
    memoryBytes: 1,
    version: "1.2.3",
    clock: pipelines[0]?.clock ?? new ManualClock(),
    logger: silentLogger,
  });
  closers.push(() => http.close());
  return http.url;
}

async function bare(options: Partial<HttpServerOptions>): Promise<HttpServer> {
  const server = new HttpServer({
    host: "127.0.0.1",
    port: 0,
    healthPath: "/health",
    sight: () => ({
      pipelines: [],
      process: {
        version: "",
        startedAtS: 0,
        cpuSeconds: 0,
        residentBytes: 0,
        loopLateMs: 0,
        memoryBytes: 0,
      },
    }),
    logger: silentLogger,
    ...options,
  });
  await server.open();
  closers.push(() => server.close());
  return server;
}

function dial(url: string): Socket {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on("error", () => undefined);
  socket.resume();
  return socket;
}

const closed = (socket: Socket): Promise<void> =>
  new Promise(resolve => socket.once("close", () => resolve()));

async function get(url: string): Promise<{ status: number; body: unknown }> {
  const response = await fetch(url);
  return { status: response.status, body: await response.json() };
}

describe("probes", () => {
  test("of a pipeline that runs", async () => {
    const pipeline = runningPipeline();
    pipeline.gauges.newest = { readMs: 0, rows: 1, mark: { eventTimeS: 1_684_147_845 } };
    pipeline.gauges.waiting = { entries: 1, items: 12, bytes: 100 };
    pipeline.clock.advance(5_000);
    const url = await serve(pipeline);
    expect(await get(`${url}/live`)).toEqual({ status: 200, body: { live: true, causes: [] } });
    expect(await get(`${url}/ready?verbose`)).toEqual({
      status: 200,
      body: { ready: true, pipelines: [{ name: "shop", ready: true, causes: [] }] },
    });
    expect(await get(`${url}/up`)).toEqual({
      status: 200,
      body: {
        status: "UP",
        monitor_running: true,
        dispatcher_running: true,
        event_queue_size: 12,
        last_event_time: "2023-05-15T10:50:45Z",
      },
    });
  });

  test("of two, one of which has lost MySQL: not ready, and alive", async () => {
    const clock = new ManualClock();
    const good = runningPipeline("good", clock);
    const bad = runningPipeline("bad", clock);
    bad.gauges.source = { ...bad.gauges.source, connected: false, reason: "connection refused" };
    const url = await serve(good, bad);
    expect(await get(`${url}/ready`)).toEqual({
      status: 503,
      body: {
        ready: false,
        pipelines: [
          { name: "good", ready: true, causes: [] },
          { name: "bad", ready: false, causes: ["MySQL is not connected: connection refused."] },
        ],
      },
    });
    expect(await get(`${url}/up`)).toMatchObject({
      status: 503,
      body: {
        status: "DOWN",
        monitor_running: false,
        dispatcher_running: true,
        last_event_time: null,
      },
    });
    expect((await get(`${url}/live`)).status).toBe(200);
  });

  test("of a reader that has hung: not alive", async () => {
    const pipeline = runningPipeline();
    const url = await serve(pipeline);
    await get(`${url}/live`);
    pipeline.clock.advance(91_000);
    // The server looks once a second, and that look does not count as a movement.
    expect(await get(`${url}/live`)).toEqual({
      status: 503,
      body: { live: false, causes: ["The reader of pipeline shop has not moved for 91 s."] },
    });
  });

  test("metrics are in the text format", async () => {
    const response = await fetch(`${await serve(runningPipeline())}/metrics`);
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toContain("text/plain; version=0.0.4");
    expect(await response.text()).toContain('tidemark_ready{pipeline="shop"} 1\n');
  });
});

describe("anything else", () => {
  test("HEAD has the headers of GET and no body", async () => {
    const { url } = await bare({});
    const response = await fetch(`${url}/ready`, { method: "HEAD" });
    expect(response.status).toBe(200);
    expect(Number(response.headers.get("content-length"))).toBeGreaterThan(10);
    expect(await response.text()).toBe("");
  });

  test.each(["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])("%s is refused", async method => {
    const { url } = await bare({});
    const response = await fetch(`${url}/ready`, {
      method,
      ...(method === "POST" && { body: "x" }),
    });
    expect(response.status).toBe(405);
    expect(response.headers.get("allow")).toBe("GET, HEAD");
    expect(await response.text()).toBe("Only GET and HEAD are answered.\n");
  });

  test.each(["/", "/Ready", "/ready/", "/../etc/passwd", "/health/x", "//ready"])(
    "%s is not there",
    async path => {
      const { url } = await bare({});
      const { hostname, port } = new URL(url);
      const { status, body } = await new Promise<{ status: number; body: string }>(resolve => {
        request({ hostname, port, path }, response => {
          let text = "";
          response.on("data", (chunk: Buffer) => (text += chunk.toString()));
          response.on("end", () => resolve({ status: response.statusCode ?? 0, body: text }));
        }).end();
      });
      expect({ status, lines: body.trimEnd().split("\n").length }).toEqual({
        status: 404,
        lines: 1,
      });
      expect(body).not.toContain("passwd");
    },
  );

  test("a page that cannot be made is 500, and the server goes on", async () => {
    let broken = true;
    const server = await bare({
      sight: () => {
        if (broken) throw new Error("secret detail");
        return { pipelines: [], process: {} as never };
      },
    });
    const response = await fetch(`${server.url}/live`);
    expect(response.status).toBe(500);
    expect(await response.text()).not.toContain("secret");
    broken = false;
    expect((await fetch(`${server.url}/live`)).status).toBe(200);
  });
});

describe("clients that are no use", () => {
  test("one that sends half a request is cut off", async () => {
    const { url } = await bare({ timeoutMs: 200 });
    const socket = dial(url);
    socket.write("GET /ready HTTP/1.1\r\nHost: x\r\n");
    await closed(socket);
  });

  test("one that says nothing is cut off", async () => {
    const { url } = await bare({ timeoutMs: 200 });
    await closed(dial(url));
  });

  test("more than the bound are turned away, and there is room again afterwards", async () => {
    const { url } = await bare({ connectionsMax: 2 });
    const idle = [dial(url), dial(url)];
    await Promise.all(idle.map(socket => new Promise(resolve => socket.once("connect", resolve))));
    await expect(fetch(`${url}/live`)).rejects.toThrow();
    for (const socket of idle) socket.destroy();
    await expect
      .poll(() =>
        fetch(`${url}/live`).then(
          ({ status }) => status,
          () => 0,
        ),
      )
      .toBe(200);
  });

  test("open connections do not hold up the end", async () => {
    const { url } = await bare({});
    const sockets = [dial(url), dial(url)];
    const ends = Promise.all(sockets.map(closed));
    await Promise.all(
      sockets.map(socket => new Promise(resolve => socket.once("connect", resolve))),
    );
    await closers.pop()?.();
    await ends;
  });
});

test("a port in use is one clear sentence", async () => {
  const other = createServer();
  await new Promise<void>(resolve => other.listen(0, "127.0.0.1", resolve));
  closers.push(() => new Promise(resolve => other.close(() => resolve())));
  const { port } = other.address() as AddressInfo;
  const error = await bare({ port }).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(TidemarkError);
  expect(error).toMatchObject({
    code: "CONFIG_INVALID",
    message: `Port ${port} of 127.0.0.1 is in use by another program: choose another http.port.`,
  });
});

test("an address that this machine does not have is, too", async () => {
  const error = await bare({ host: "192.0.2.1" }).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: "CONFIG_INVALID" });
  expect((error as Error).message).toContain("does not have the address 192.0.2.1");
});
