import { appendFileSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { mkdirSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { systemClock } from "../../../src/core/clock.ts";
import { silentLogger } from "../../../src/core/logger.ts";
import { Troubles } from "../../../src/core/troubles.ts";
import type { Message } from "../../../src/sinks/sink.ts";
import { Park, type ParkFileOptions } from "../../../src/sinks/webhook-park.ts";
import type { WebhookSinkOptions } from "../../../src/sinks/webhook-options.ts";
import { RecordedEvents, resumeAt } from "../../contract/sink.ts";
import { failingOpen, makeFolder, removeFolder } from "../../support/files.ts";
import { accept, answer, WebhookServer, type Behaviour } from "../../support/webhook-server.ts";
import { change, makeSink, never, OpenSinks, route } from "./support.ts";

let folder = "";

beforeEach(() => {
  folder = makeFolder();
});

afterEach(() => removeFolder(folder));

const rows = (row: string, from: number, to: number): Message[] =>
  Array.from({ length: to - from }, (_, i) => change(row, from + i));

describe("a park file", () => {
  const opened: Park[] = [];

  afterEach(async () => {
    await Promise.all(opened.splice(0).map(park => park.close()));
  });

  const path = (): string => join(folder, "shop", "hook.park");

  const openPark = async (changes: Partial<ParkFileOptions> = {}): Promise<Park> => {
    const park = new Park({
      path: path(),
      maxBytes: 1024 ** 3,
      clock: systemClock,
      logger: silentLogger,
      troubles: undefined,
      ...changes,
    });
    opened.push(park);
    await park.open(() => undefined, never);
    return park;
  };

  const drain = async (park: Park, lane: string): Promise<string[]> => {
    const values: string[] = [];
    while (park.count(lane) > 0) {
      values.push(String((await park.first(lane)).value));
      park.shift(lane);
    }
    return values;
  };

  test("gives each lane its messages back, in order and as they were", async () => {
    const park = await openPark();
    const odd = change("a", 9, {
      value: Buffer.from('{"x":"ü\\n"}\n{"sent":"a"}'),
      key: null,
      partitionKey: Buffer.from([0, 255, 10]),
    });
    await Promise.all([park.append("a", rows("a", 0, 3)), park.append("b", rows("b", 0, 2))]);
    await park.append("a", [odd]);
    const again = await openPark();
    expect([...again.lanes()].sort()).toEqual(["a", "b"]);
    for (const number of [0, 1, 2]) {
      expect(String((await again.first("a")).value)).toBe(`a:${number}`);
      again.shift("a");
    }
    expect(await again.first("a")).toEqual({ ...odd, seq: -1, index: 0, bytes: odd.value?.length });
    expect(await drain(again, "b")).toEqual(["b:0", "b:1"]);
  });

  test("knows after a restart what was sent", async () => {
    const park = await openPark();
    await park.append("a", rows("a", 0, 5));
    park.shift("a");
    park.shift("a");
    await vi.waitFor(() => expect(readFileSync(path(), "utf8").match(/"sent"/g)).toHaveLength(2));
    const again = await openPark();
    expect(await drain(again, "a")).toEqual(["a:2", "a:3", "a:4"]);
  });

  test("holds a lane until it is durable that its last message was sent", async () => {
    const park = await openPark();
    await park.append("a", rows("a", 0, 1));
    park.shift("a");
    expect(park.count("a")).toBe(0);
    expect(park.holds("a")).toBe(true);
    await vi.waitFor(() => expect(park.holds("a")).toBe(false));
  });

  test.each([1, 10, 40])("cuts off a record that lacks its last %i bytes", async bytes => {
    const park = await openPark();
    await park.append("a", rows("a", 0, 3));
    await park.close();
    truncateSync(path(), statSync(path()).size - bytes);
    const again = await openPark();
    expect(await drain(again, "a")).toEqual(["a:0", "a:1"]);
  });

  test("cuts off zeros at its end", async () => {
    const park = await openPark();
    await park.append("a", rows("a", 0, 1));
    await park.close();
    appendFileSync(path(), Buffer.alloc(5_000));
    const again = await openPark();
    await again.append("a", rows("a", 1, 2));
    await again.close();
    expect(await drain(await openPark(), "a")).toEqual(["a:0", "a:1"]);
  });

  test("refuses a file that is damaged", async () => {
    mkdirSync(dirname(path()));
    writeFileSync(path(), 'nonsense\n{"sent":"a"}\n');
    await expect(openPark()).rejects.toMatchObject({ code: "COMMIT_LOG_UNUSABLE" });
  });

  test("is written anew when most of it is sent, also while more is sent", async () => {
    const park = await openPark();
    const value = Buffer.alloc(10_000, "x");
    const many = Array.from({ length: 1_000 }, (_, i) =>
      change("a", i, { value: Buffer.concat([Buffer.from(`${i} `), value]) }),
    );
    await park.append("a", many);
    await park.append("b", rows("b", 0, 3));
    const numbers: number[] = [];
    while (park.count("a") > 0) {
      numbers.push(parseInt(String((await park.first("a")).value), 10));
      park.shift("a");
      if (numbers.length % 300 === 0)
        await vi.waitFor(() => expect(statSync(path()).size).toBeLessThan(1.2e7));
    }
    expect(numbers).toEqual(many.map((_, i) => i));
    await vi.waitFor(() => expect(park.holds("a")).toBe(false));
    expect(statSync(path()).size).toBeLessThan(6e6);
    await park.close();
    const again = await openPark();
    expect([...again.lanes()]).toEqual(["b"]);
    expect(await drain(again, "b")).toEqual(["b:0", "b:1", "b:2"]);
  });

  test("lets messages wait while it is full, until some are sent", async () => {
    const park = await openPark({ maxBytes: 50_000 });
    const big = (number: number): Message =>
      change("a", number, { value: Buffer.from(`${number} `.padEnd(20_000, "x")) });
    await park.append("a", [big(0), big(1)]);
    const third = park.append("b", [big(2)]).then(() => "there");
    const soon = new Promise(resolve => setTimeout(resolve, 100, "waits"));
    expect(await Promise.race([third, soon])).toBe("waits");
    park.shift("a");
    expect(await third).toBe("there");
    expect(statSync(path()).size).toBeLessThan(50_000);
  });

  test("waits for a disk that is full, and then writes each message once", async () => {
    const troubles = new Troubles(systemClock);
    const openFile = failingOpen((method, call) =>
      (method === "write" && call < 4) || (method === "datasync" && call === 3)
        ? "ENOSPC"
        : undefined,
    ) as typeof open;
    const park = await openPark({ openFile, troubles });
    await park.append("a", rows("a", 0, 3));
    expect(troubles.failures).toBeGreaterThan(2);
    await park.close();
    expect(await drain(await openPark(), "a")).toEqual(["a:0", "a:1", "a:2"]);
  });
});

describe("a route with a park", () => {
  let server: WebhookServer;
  const sinks = new OpenSinks();

  beforeEach(async () => {
    server = await WebhookServer.start();
  });

  afterEach(async () => {
    await sinks.close();
    await server.stop();
  });

  const open = (changes: Partial<WebhookSinkOptions> = {}): ReturnType<OpenSinks["open"]> => {
    const park = { dir: folder, maxBytes: 1024 ** 3 };
    return sinks.open([route(server.url)], { park, ...changes });
  };

  const refuse =
    (...prefixes: string[]): Behaviour =>
    (request, response) =>
      (prefixes.some(prefix => request.body.startsWith(prefix)) ? answer(500) : accept)(
        request,
        response,
      );

  const valuesOf = (row: string): string[] =>
    server.bodies.filter(body => body.startsWith(`${row}:`));

  const expected = (row: string, count: number): string[] =>
    Array.from({ length: count }, (_, i) => `${row}:${i}`);

  test("delivers what fails, and sends it in order when it is mended", async () => {
    const { sink, events } = await open();
    server.behave = refuse("bad");
    sink.write([...rows("bad", 0, 5), ...rows("good", 0, 5)]);
    await events.untilDelivered(10);
    sink.write(rows("bad", 5, 10));
    await events.untilDelivered(15);
    expect(valuesOf("bad")).toEqual([]);
    server.behave = accept;
    sink.write(rows("bad", 10, 12));
    await server.until(() => valuesOf("bad").length === 12);
    sink.write(rows("bad", 12, 20));
    await server.until(() => valuesOf("bad").length === 20);
    expect(valuesOf("bad")).toEqual(expected("bad", 20));
    await events.untilDelivered(25);
  });

  test("keeps it over a restart", async () => {
    const { sink, events } = await open();
    server.behave = refuse("bad");
    sink.write(rows("bad", 0, 5));
    await events.untilDelivered(5);
    await sink.close();
    const again = await open();
    again.sink.write(rows("bad", 5, 8));
    await again.events.untilDelivered(3);
    expect(valuesOf("bad")).toEqual([]);
    server.behave = accept;
    await server.until(() => valuesOf("bad").length === 8);
    expect(valuesOf("bad")).toEqual(expected("bad", 8));
  });

  test("takes everything while the endpoint is away, without trying each", async () => {
    const { sink, events } = await open();
    await server.stop();
    const many = Array.from({ length: 500 }, (_, i) => rows(`row${i}`, 0, 2)).flat();
    sink.write(many);
    await events.untilDelivered(1_000);
    await server.startAgain();
    await server.until(() => server.taken.length >= 1_000);
    for (let i = 0; i < 500; i += 1) expect(valuesOf(`row${i}`)).toEqual(expected(`row${i}`, 2));
  });

  test("takes everything while the endpoint refuses everything", async () => {
    const { sink, events } = await open({ concurrency: 4 });
    server.behave = answer(503);
    sink.write(Array.from({ length: 200 }, (_, i) => change(`row${i}`, 0)));
    await events.untilDelivered(200);
    expect(server.received.length).toBeLessThan(200);
    server.behave = accept;
    await server.until(() => server.taken.length >= 200);
  });

  test("refuses to start without a route that has parked events", async () => {
    const { sink, events } = await open();
    server.behave = refuse("bad");
    sink.write(rows("bad", 0, 2));
    await events.untilDelivered(2);
    await sink.close();
    const park = { dir: folder, maxBytes: 1024 ** 3 };
    const other = makeSink([route(server.url, { id: "other" })], { park });
    const opening = other.open(resumeAt(undefined, "other"), new RecordedEvents(), never);
    await expect(opening).rejects.toMatchObject({ code: "SINK_SETTING" });
  });

  test("hands over a parked message that is refused", async () => {
    const { sink, events } = await open();
    server.behave = refuse("bad");
    sink.write(rows("bad", 0, 2));
    await events.untilDelivered(2);
    server.behave = (request, response) =>
      (request.body === "bad:0" ? answer(410) : accept)(request, response);
    await events.until(() => events.refusals.length === 1);
    expect(events.refusals[0]?.message.id).toBe(change("bad", 0).id);
    await server.until(() => valuesOf("bad").length === 1);
    expect(events.ids).toHaveLength(2);
  });
});
