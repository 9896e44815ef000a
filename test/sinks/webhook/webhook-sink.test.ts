import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Webhook } from "standardwebhooks";
import { systemClock } from "../../../src/core/clock.ts";
import { Troubles } from "../../../src/core/troubles.ts";
import type { Message } from "../../../src/sinks/sink.ts";
import type { WebhookRoute, WebhookSinkOptions } from "../../../src/sinks/webhook-options.ts";
import { makeMessage, sinkContract } from "../../contract/sink.ts";
import { accept, answer, WebhookServer } from "../../support/webhook-server.ts";
import { change, makeSink, OpenSinks, OTHER_SECRET, route, SECRET } from "./support.ts";

sinkContract(
  "WebhookSink",
  async () => {
    const server = await WebhookServer.start();
    server.behave = (request, response) =>
      (request.body.startsWith("refused") ? answer(410) : accept)(request, response);
    return {
      makeSink: ({ backlogBytesMax = 16 * 1024 * 1024 } = {}) =>
        makeSink([route(server.url)], { backlogBytesMax }),
      destination: "hook",
      read: () => Promise.resolve([server.bodies]),
      release: () => server.stop(),
      faults: {
        away: () => server.stop(),
        back: () => (server.isUp ? undefined : server.startAgain()),
        refusable: message => ({ ...message, value: Buffer.from("refused") }),
      },
    };
  },
  { offsets: false, repeats: true, faults: ["away", "refused"] },
);

describe("WebhookSink", () => {
  let server: WebhookServer;
  const sinks = new OpenSinks();

  beforeEach(async () => {
    server = await WebhookServer.start();
  });

  afterEach(async () => {
    await sinks.close();
    await server.stop();
  });

  const open = (
    changes: Partial<WebhookSinkOptions> = {},
    routes: readonly WebhookRoute[] = [route(server.url)],
  ): ReturnType<OpenSinks["open"]> => sinks.open(routes, changes);

  const rows = (count: number): Message[] =>
    Array.from({ length: count }, (_, i) => change(`row${i}`, i));

  describe("a request", () => {
    test("has the value as its body, and is verified by a receiver with either secret", async () => {
      const { sink, events } = await open({}, [
        route(server.url, { secrets: [SECRET, OTHER_SECRET] }),
      ]);
      const value = Buffer.from('{"id":1,"name":"Grüße"}');
      sink.write([makeMessageOf(value)]);
      await events.untilDelivered(1);
      const [request] = server.received;
      const headers = request?.headers as Record<string, string>;
      expect(request?.path).toBe("/hook");
      expect(headers["content-type"]).toBe("application/json");
      for (const secret of [SECRET, OTHER_SECRET]) {
        expect(new Webhook(secret).verify(request?.body ?? "", headers)).toEqual({
          id: 1,
          name: "Grüße",
        });
      }
      expect(() => new Webhook(SECRET).verify("{}", headers)).toThrow();
      expect(() =>
        new Webhook("whsec_AAAAAAAAAAAAAAAAAAAAAAAA").verify(request?.body ?? "", headers),
      ).toThrow();
    });

    test("keeps its id over retries", async () => {
      const { sink, events } = await open();
      server.behave = (request, response) =>
        (server.received.length < 3 ? answer(500) : accept)(request, response);
      sink.write([change("a", 1)]);
      await events.untilDelivered(1);
      const ids = server.received.map(({ headers }) => headers["webhook-id"]);
      expect(ids).toEqual(Array.from({ length: 3 }, () => change("a", 1).id));
    });

    test("carries user and password of the URL as a header", async () => {
      const url = server.url.replace("//", "//me%40x:p%3Aw@");
      const { sink, events } = await open({}, [route(url)]);
      sink.write([change("a", 1)]);
      await events.untilDelivered(1);
      const expected = `Basic ${Buffer.from("me@x:p:w").toString("base64")}`;
      expect(server.received[0]?.headers.authorization).toBe(expected);
      expect(server.received[0]?.headers["webhook-signature"]).toBeUndefined();
    });

    test("carries the name of any table in its id", async () => {
      const { sink, events } = await open();
      const id = "6db3edf2:7:shop.größe 100%:3";
      sink.write([change("a", 1, { id })]);
      await events.untilDelivered(1);
      expect(server.received[0]?.headers["webhook-id"]).toBe(
        "6db3edf2:7:shop.gr%C3%B6%C3%9Fe%20100%25:3",
      );
    });
  });

  describe("routes", () => {
    test("take what they want, and a message is delivered when all have taken it", async () => {
      const other = await WebhookServer.start();
      const { sink, events } = await open({}, [
        route(server.url, { id: "all" }),
        route(other.url, { id: "deletes", events: ["delete"] }),
      ]);
      let release = (): void => undefined;
      other.behave = (request, response) =>
        request.body.startsWith("b")
          ? (release = () => accept(request, response))
          : accept(request, response);
      sink.write([
        change("a", 1, { destination: "all" }),
        change("b", 2, { destination: "all,deletes", operation: "delete" }),
        change("c", 3, { destination: "all,deletes", operation: "update" }),
        change("d", 4, { destination: "deletes", operation: "insert" }),
        change("e", 5, { destination: "" }),
        change("f", 6, { destination: "all,deletes", operation: "read" }),
        change("g", 7, { destination: "deletes", operation: "schema" }),
      ]);
      await events.untilDelivered(6);
      await server.until(() => server.taken.length === 4);
      await other.until(() => other.received.length === 2);
      expect(events.ids).not.toContain(change("b", 2).id);
      release();
      await events.untilDelivered(7);
      expect(server.bodies.sort()).toEqual(["a:1", "b:2", "c:3", "f:6"]);
      expect(other.bodies.sort()).toEqual(["b:2", "g:7"]);
      await other.stop();
    });

    test("get no tombstones", async () => {
      const { sink, events } = await open();
      sink.write([change("a", 1, { value: null })]);
      expect(events.ids).toEqual([change("a", 1).id]);
      expect(server.received).toEqual([]);
    });
  });

  describe("order", () => {
    test("of a row is kept while it fails, and no request of it overtakes another", async () => {
      const { sink, events } = await open();
      let attempts = 0;
      server.behave = (request, response) => {
        attempts += 1;
        (attempts % 3 === 0 ? accept : answer(500))(request, response);
      };
      const messages = Array.from({ length: 6 }, (_, i) => change("a", i));
      sink.write(messages);
      await events.untilDelivered(6);
      expect(server.bodies).toEqual(messages.map(({ value }) => String(value)));
      expect(Math.max(...server.received.map(({ inFlight }) => inFlight))).toBe(1);
    });

    test("tells rows with the same key in two tables apart", async () => {
      const { sink, events } = await open();
      server.behave = (request, response) =>
        (request.body === "x:1" ? answer(500) : accept)(request, response);
      sink.write([
        change("1", 1, { value: Buffer.from("x:1") }),
        change("1", 2, { table: "shop.other" }),
      ]);
      await events.untilDelivered(1);
      expect(server.bodies).toEqual(["1:2"]);
    });

    test("lets many rows be in flight, and no more than `concurrency`", async () => {
      const { sink, events } = await open({ concurrency: 8 });
      server.behave = (request, response) => void setTimeout(accept, 20, request, response);
      sink.write(rows(100));
      await events.untilDelivered(100);
      expect(Math.max(...server.received.map(({ inFlight }) => inFlight))).toBe(8);
    });
  });

  describe("what fails", () => {
    test("holds back only itself, even if it is more than may be in flight", async () => {
      const { sink, events } = await open({ concurrency: 4 });
      server.behave = (request, response) =>
        (request.body.startsWith("bad") ? answer(503) : accept)(request, response);
      const bad = Array.from({ length: 12 }, (_, i) => change(`bad${i}`, i));
      sink.write([...bad, ...rows(50)]);
      await events.untilDelivered(50);
      expect(server.bodies.every(body => body.startsWith("row"))).toBe(true);
      server.behave = accept;
      await events.untilDelivered(62);
    });

    test("shares no bytes with what has been delivered", async () => {
      const { sink, events } = await open();
      server.behave = (request, response) =>
        (request.body.startsWith("bad") ? answer(503) : accept)(request, response);
      const detached: string[] = [];
      const held = (row: string, number: number): Message => {
        const detach = (): void => void detached.push(`${row}:${number}`);
        return change(row, number, { detach });
      };
      sink.write([held("bad", 0), held("bad", 1), held("good", 2), held("good", 3)]);
      await server.until(() => server.received.length > 4);
      sink.write([held("bad", 4), held("good", 5)]);
      await events.untilDelivered(3);
      expect(detached).toEqual(["bad:0", "bad:1", "bad:4"]);
    });

    test("holds half of the requests in flight at most while it hangs", async () => {
      const { sink, events } = await open({ concurrency: 4, timeoutMs: 1_000 });
      server.behave = (request, response) => {
        if (!request.body.startsWith("bad")) accept(request, response);
      };
      sink.write(Array.from({ length: 4 }, (_, i) => change(`bad${i}`, i)));
      await server.until(() => server.received.length > 5);
      const startedMs = performance.now();
      sink.write(rows(200));
      await events.untilDelivered(200);
      expect(performance.now() - startedMs).toBeLessThan(900);
    });

    test("is given up after so many retries, and the row goes on when that is safe", async () => {
      const { sink, events } = await open({ retries: 2 });
      let release = (): void => undefined;
      events.buried = new Promise(resolve => (release = resolve));
      server.behave = (request, response) =>
        (request.body === "a:1" ? answer(422) : accept)(request, response);
      sink.write([change("a", 1), change("a", 2), change("b", 3)]);
      await events.until(() => events.refusals.length === 1);
      expect(events.refusals[0]).toMatchObject({
        message: { id: change("a", 1).id },
        error: { code: "MESSAGE_REFUSED" },
        attempts: 3,
      });
      expect(events.refusals[0]?.error.message).toContain("answered 422");
      expect(server.bodies).toEqual(["b:3"]);
      release();
      await events.untilDelivered(2);
      expect(server.bodies).toEqual(["b:3", "a:2"]);
      expect(events.ids).not.toContain(change("a", 1).id);
    });

    test("is refused at once by 410", async () => {
      const { sink, events } = await open();
      server.behave = answer(410);
      sink.write([change("a", 1)]);
      await events.until(() => events.refusals.length === 1);
      expect(events.refusals[0]?.attempts).toBe(1);
    });

    test("on one route is refused only when the others are done with it", async () => {
      const other = await WebhookServer.start();
      const { sink, events } = await open({}, [
        route(server.url, { id: "gone" }),
        route(other.url, { id: "slow" }),
      ]);
      server.behave = answer(410);
      let release = (): void => undefined;
      other.behave = (request, response) => (release = () => accept(request, response));
      sink.write([change("a", 1, { destination: "gone,slow" })]);
      await server.until(() => server.received.length === 1);
      await other.until(() => other.received.length === 1);
      expect(events.refusals).toEqual([]);
      release();
      await events.until(() => events.refusals.length === 1);
      expect(events.ids).toEqual([]);
      await other.stop();
    });

    test("waits no longer once something is taken after nothing was", async () => {
      const { sink, events } = await open({ concurrency: 8 });
      server.behave = answer(500);
      sink.write(rows(20));
      await server.until(() => server.received.length > 100);
      server.behave = accept;
      const startedMs = performance.now();
      await events.untilDelivered(20);
      expect(performance.now() - startedMs).toBeLessThan(2_000);
    });

    test("is left alone for as long as it asks", async () => {
      const troubles = new Troubles(systemClock);
      const { sink, events } = await open({ troubles });
      const times: number[] = [];
      server.behave = (request, response) => {
        times.push(performance.now());
        (times.length === 1 ? answer(429, { "retry-after": "1" }) : accept)(request, response);
      };
      sink.write([change("a", 1)]);
      await vi.waitFor(() => expect(troubles.failures).toBe(1));
      sink.write([change("b", 2)]);
      await events.untilDelivered(2);
      expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(950);
    });
  });

  test("waits for an endpoint that is down, for ever, and tells of it", async () => {
    await server.stop();
    const troubles = new Troubles(systemClock);
    const { sink, events } = await open({ troubles });
    sink.write(rows(3));
    const early = new Promise(resolve => setTimeout(resolve, 1_000));
    await Promise.race([events.untilDelivered(1), early]);
    expect(events.ids).toEqual([]);
    expect(troubles.open).toMatchObject([
      { message: expect.stringContaining("nothing listens") as string },
    ]);
    await server.startAgain();
    await events.untilDelivered(3);
    expect(troubles.open).toEqual([]);
  });

  test("has room again when its backlog is delivered", async () => {
    const { sink, events } = await open({ backlogBytesMax: 10_000 });
    let release: (() => void)[] = [];
    server.behave = (request, response) => release.push(() => accept(request, response));
    sink.write(rows(20));
    const waiting = new AbortController();
    const room = sink.room(waiting.signal).then(() => events.ids.length);
    await server.until(() => release.length === 20);
    expect(events.ids).toEqual([]);
    for (const go of release.splice(0)) go();
    expect(await room).toBeGreaterThan(0);
    release = [];
  });
});

function makeMessageOf(value: Buffer): Message {
  return { ...makeMessage(1, "hook"), value };
}
