import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { NextOffsets } from "../../src/core/checkpoint.ts";
import { systemClock } from "../../src/core/clock.ts";
import { silentLogger, type Logger } from "../../src/core/logger.ts";
import { FileSink, type FileSinkOptions } from "../../src/sinks/file-sink.ts";
import type { Message, SinkResume } from "../../src/sinks/sink.ts";
import { makeMessages, RecordedEvents, resumeAt, sinkContract } from "../contract/sink.ts";
import {
  canMount,
  failingOpen,
  makeFolder,
  mountSmallDisk,
  removeFolder,
} from "../support/files.ts";

let folder = "";
let path = "";
const opened: FileSink[] = [];
const signal = new AbortController().signal;

beforeEach(() => {
  folder = makeFolder();
  path = join(folder, "out.jsonl");
});

afterEach(async () => {
  await Promise.all(opened.splice(0).map(sink => sink.close()));
  removeFolder(folder);
});

function makeSink(more: Partial<FileSinkOptions> = {}): FileSink {
  const sink = new FileSink({
    path,
    envelope: false,
    delivery: "effectively-once",
    backlogBytesMax: 16 * 1024 * 1024,
    clock: systemClock,
    logger: silentLogger,
    ...more,
  });
  opened.push(sink);
  return sink;
}

async function openSink(
  offsets: NextOffsets | undefined,
  options: { sink?: Partial<FileSinkOptions>; resume?: Partial<SinkResume> } = {},
): Promise<{ sink: FileSink; events: RecordedEvents; fresh: NextOffsets }> {
  const sink = makeSink(options.sink);
  const events = new RecordedEvents();
  const fresh = await sink.open(resumeAt(offsets, path, options.resume), events, signal);
  return { sink, events, fresh };
}

const lines = (): string[] => readFileSync(path, "utf8").split("\n").slice(0, -1);
const texts = (messages: readonly Message[]): string[] =>
  messages.map(({ value }) => String(value));
const at = (offset: number): NextOffsets => ({ [path]: { "0": offset } });
const lengthOf = (messages: readonly Message[]): number =>
  messages.reduce((sum, { value }) => sum + (value === null ? 0 : value.length + 1), 0);

/** A disk that is full from time to time. */
class FullDisk {
  isFull = false;
  readonly openFile = failingOpen(method =>
    this.isFull && ["open", "write", "datasync"].includes(method) ? "ENOSPC" : undefined,
  );
  away(): void {
    this.isFull = true;
  }
  back(): void {
    this.isFull = false;
  }
}

sinkContract(
  "FileSink",
  () => {
    const own = makeFolder();
    const destination = join(own, "out.jsonl");
    const faults = new FullDisk();
    return Promise.resolve({
      makeSink: ({ backlogBytesMax = 16 * 1024 * 1024 } = {}) =>
        makeSink({ path: destination, backlogBytesMax, openFile: faults.openFile }),
      faults,
      destination,
      read: () => Promise.resolve([readFileSync(destination, "utf8").split("\n").slice(0, -1)]),
      release: () => {
        removeFolder(own);
        return Promise.resolve();
      },
    });
  },
  { offsets: true, faults: ["away"] },
);

describe("FileSink", () => {
  test("gives the byte offset after each line", async () => {
    const { sink, events, fresh } = await openSink(undefined);
    expect(fresh).toEqual(at(0));
    const messages = makeMessages(0, 20, path);
    sink.write(messages);
    await events.untilDelivered(20);
    const expected = messages.map((_, index) => lengthOf(messages.slice(0, index + 1)));
    expect(events.delivered_.map(({ place }) => place?.nextOffset)).toEqual(expected);
  });

  test("writes the envelope with id, topic, key and value", async () => {
    const { sink, events } = await openSink(undefined, { sink: { envelope: true } });
    const [message] = makeMessages(0, 1, "shop.orders");
    if (message === undefined) throw new Error("no message");
    sink.write([
      { ...message, key: Buffer.from('{"id":1}'), value: Buffer.from('{"op":"c"}') },
      { ...message, id: `${message.id}:t`, key: null, value: null },
    ]);
    await events.untilDelivered(2);
    expect(lines().map(line => JSON.parse(line) as unknown)).toEqual([
      { id: message.id, topic: "shop.orders", key: { id: 1 }, value: { op: "c" } },
      { id: `${message.id}:t`, topic: "shop.orders", key: null, value: null },
    ]);
  });

  test("delivers tombstones without a line", async () => {
    const { sink, events } = await openSink(undefined);
    const messages = makeMessages(0, 6, path).map((message, index) =>
      index % 2 === 1 ? { ...message, value: null } : message,
    );
    sink.write(messages);
    await events.untilDelivered(6);
    expect(lines()).toEqual(texts(messages.filter(({ value }) => value !== null)));
    const offsets = events.delivered_.map(({ place }) => place?.nextOffset);
    expect(offsets[1]).toBe(offsets[0]);
  });

  test("refuses a message with a line feed in it", async () => {
    const { sink, events } = await openSink(undefined);
    const [message] = makeMessages(0, 1, path);
    if (message === undefined) throw new Error("no message");
    sink.write([{ ...message, value: Buffer.from("a\nb") }]);
    await events.until(() => events.failure !== undefined);
    expect(events.failure?.code).toBe("BUG");
    sink.write(makeMessages(1, 3, path));
    await new Promise(resolve => setTimeout(resolve, 20));
    expect(lines()).toEqual([]);
  });

  describe("after a restart", () => {
    /** 10 lines, of which the checkpoint knows the first 4. */
    const prepare = (): { messages: Message[]; offset: number } => {
      const messages = makeMessages(0, 20, path);
      writeFileSync(path, `${texts(messages.slice(0, 10)).join("\n")}\n`);
      return { messages, offset: lengthOf(messages.slice(0, 4)) };
    };

    test("passes over what stands behind the checkpoint, with its true offsets", async () => {
      const { messages, offset } = prepare();
      const { sink, events } = await openSink(at(offset));
      for (const message of messages.slice(4)) sink.write([message]);
      await events.untilDelivered(16);
      expect(lines()).toEqual(texts(messages));
      expect(events.delivered_.map(({ place }) => place?.nextOffset)).toEqual(
        messages.slice(4).map((_, index) => lengthOf(messages.slice(0, 5 + index))),
      );
    });

    test("does not count tombstones, which have no line", async () => {
      const { messages, offset } = prepare();
      const { sink, events } = await openSink(at(offset));
      const withTombstones = messages
        .slice(4)
        .flatMap(message => [message, { ...message, id: `${message.id}:t`, value: null }]);
      sink.write(withTombstones);
      await events.untilDelivered(32);
      expect(lines()).toEqual(texts(messages));
    });

    test("cuts off a torn last line and writes it again", async () => {
      const { messages, offset } = prepare();
      truncateSync(path, lengthOf(messages.slice(0, 10)) - 3);
      const { sink, events } = await openSink(at(offset));
      expect(lines()).toEqual(texts(messages.slice(0, 9)));
      sink.write(messages.slice(4));
      await events.untilDelivered(16);
      expect(lines()).toEqual(texts(messages));
    });

    test("holds a tail that is larger than its pieces", async () => {
      const messages = makeMessages(0, 40_000, path);
      writeFileSync(path, `${texts(messages.slice(0, 35_000)).join("\n")}\n`);
      const { sink, events } = await openSink(at(lengthOf(messages.slice(0, 10))));
      sink.write(messages.slice(10));
      await events.untilDelivered(39_990);
      expect(lines()).toEqual(texts(messages));
    });

    test.each([
      ["another server", { sameServer: false }],
      ["another output", { sameOutput: false }],
    ])("writes again behind the tail, with a warning, for %s", async (_, resume) => {
      const { messages, offset } = prepare();
      const warnings: string[] = [];
      const logger: Logger = { ...silentLogger, warn: (_fields, text) => warnings.push(text) };
      const { sink, events, fresh } = await openSink(at(offset), { sink: { logger }, resume });
      // A kill after two of them: the next start counts these, and not those in front of them.
      sink.write(messages.slice(4, 6));
      await events.untilDelivered(2);
      await sink.close();
      const next = await openSink({ ...at(offset), ...fresh });
      next.sink.write(messages.slice(4));
      await next.events.untilDelivered(16);
      expect(lines()).toEqual(texts([...messages.slice(0, 10), ...messages.slice(4)]));
      expect(warnings).toHaveLength(1);
    });

    test("repeats the tail with at-least-once", async () => {
      const { messages, offset } = prepare();
      const { sink, events } = await openSink(at(offset), { sink: { delivery: "at-least-once" } });
      sink.write(messages.slice(4, 6));
      await events.untilDelivered(2);
      expect(lines()).toEqual(texts([...messages.slice(0, 10), ...messages.slice(4, 6)]));
    });

    test.each([
      ["is shorter than the checkpoint says", 3, "COMMIT_LOG_UNUSABLE"],
      ["has no line end there", undefined, "COMMIT_LOG_UNUSABLE"],
    ])("refuses a file that %s", async (_, size, code) => {
      const { offset } = prepare();
      if (size !== undefined) truncateSync(path, size);
      await expect(openSink(at(offset - 1))).rejects.toMatchObject({ code });
    });

    test("refuses a file with content that no checkpoint knows, whatever the delivery", async () => {
      prepare();
      const other = { [join(folder, "other")]: { "0": 0 } };
      for (const delivery of ["at-least-once", "effectively-once"] as const) {
        for (const offsets of [undefined, other]) {
          const opening = openSink(offsets, { sink: { delivery } });
          await expect(opening).rejects.toMatchObject({ code: "OUTPUT_UNKNOWN" });
        }
      }
    });

    test("begins an empty file that the checkpoint does not know", async () => {
      const { fresh } = await openSink({ [join(folder, "other")]: { "0": 12 } });
      expect(fresh).toEqual(at(0));
    });
  });

  describe("with a file that it cannot use", () => {
    test("says so for a folder, a device and a missing folder", async () => {
      mkdirSync(path);
      await expect(openSink(undefined)).rejects.toMatchObject({ code: "SINK_SETTING" });
      const device = openSink(undefined, { sink: { path: "/dev/null" } });
      await expect(device).rejects.toThrow("not a regular file");
      const missing = openSink(undefined, { sink: { path: join(folder, "no", "such") } });
      await expect(missing).rejects.toMatchObject({ code: "SINK_SETTING" });
    });

    test("says so where it has no right to write", async () => {
      const openFile = failingOpen(method => (method === "open" ? "EACCES" : undefined));
      const opening = openSink(undefined, { sink: { openFile } });
      await expect(opening).rejects.toMatchObject({ code: "SINK_SETTING" });
    });

    test("follows a link to a file", async () => {
      symlinkSync(join(folder, "real"), path);
      const { sink, events } = await openSink(undefined);
      sink.write(makeMessages(0, 2, path));
      await events.untilDelivered(2);
      expect(readFileSync(join(folder, "real"), "utf8").split("\n")).toHaveLength(3);
    });

    test("ends when somebody else writes to the file", async () => {
      const { sink, events } = await openSink(undefined);
      sink.write(makeMessages(0, 2, path));
      await events.untilDelivered(2);
      appendFileSync(path, "a stranger's line\n");
      sink.write(makeMessages(2, 4, path));
      await events.until(() => events.failure !== undefined);
      expect(events.failure?.code).toBe("OUTPUT_UNKNOWN");
      expect(events.delivered_).toHaveLength(2);
    });
  });

  describe("on a disk that fails", () => {
    // Goal: whichever call fails, each line is there once, in order, and delivered once.
    test.each([
      ["write", "EIO"],
      ["write", "ENOSPC"],
      ["datasync", "EIO"],
      ["truncate", "EIO"],
      ["stat", "EIO"],
      ["open", "EMFILE"],
    ])("waits while %s gives %s, and loses and doubles nothing", async (method, code) => {
      const openFile = failingOpen((name, call) => {
        if (name === "write" && method === "truncate" && call % 3 === 2) return code;
        if (name === "stat" && call % 3 !== 1) return undefined; // Opening needs two that succeed.
        return name === method && call % 4 !== 0 ? code : undefined;
      });
      const { sink, events } = await openSink(undefined, { sink: { openFile } });
      const messages = makeMessages(0, 12, path);
      for (let i = 0; i < 12; i += 4) {
        sink.write(messages.slice(i, i + 4));
        await events.untilDelivered(i + 4);
      }
      expect(lines()).toEqual(texts(messages));
      expect(events.ids).toEqual(messages.map(({ id }) => id));
    });

    test("reads the tail again after an error", async () => {
      const messages = makeMessages(0, 10, path);
      writeFileSync(path, `${texts(messages.slice(0, 8)).join("\n")}\n`);
      const openFile = failingOpen((name, call) =>
        name === "read" && call % 4 === 1 ? "EIO" : undefined,
      );
      const { sink, events } = await openSink(at(0), { sink: { openFile } });
      sink.write(messages);
      await events.untilDelivered(10);
      expect(lines()).toEqual(texts(messages));
    });

    test("can be closed while it waits", async () => {
      const openFile = failingOpen(method => (method === "write" ? "ENOSPC" : undefined));
      const { sink, events } = await openSink(undefined, { sink: { openFile } });
      sink.write(makeMessages(0, 5, path));
      await new Promise(resolve => setTimeout(resolve, 80));
      await sink.close();
      expect(events.delivered_).toEqual([]);
      expect(events.failure).toBeUndefined();
    });

    if (canMount)
      test("waits for space on a full disk, and goes on once there is some", async () => {
        const disk = mountSmallDisk(folder, 256);
        try {
          const filler = join(folder, "filler");
          writeFileSync(filler, Buffer.alloc(160 * 1024));
          const { sink, events } = await openSink(undefined);
          const messages = makeMessages(0, 9_000, path);
          for (let i = 0; i < messages.length; i += 100) sink.write(messages.slice(i, i + 100));
          await new Promise(resolve => setTimeout(resolve, 500));
          const reached = events.delivered_.length;
          expect(reached).toBeLessThan(messages.length);
          expect(lines().length).toBeGreaterThanOrEqual(reached);
          execFileSync("rm", [filler]);
          await events.untilDelivered(messages.length);
          expect(lines()).toEqual(texts(messages));
          expect(events.ids).toEqual(messages.map(({ id }) => id));
          await sink.close();
        } finally {
          disk.unmount();
        }
      });
  });

  test("has no room while its backlog is full, and some once it is written", async () => {
    let isStuck = true;
    const openFile = failingOpen(method => (method === "write" && isStuck ? "ENOSPC" : undefined));
    const { sink, events } = await openSink(undefined, {
      sink: { openFile, backlogBytesMax: 4_000 },
    });
    await sink.room(signal);
    sink.write(makeMessages(0, 50, path));
    const stop = new AbortController();
    const reason = new Error("enough");
    setTimeout(() => stop.abort(reason), 100);
    await expect(sink.room(stop.signal)).rejects.toBe(reason);
    isStuck = false;
    await sink.room(signal);
    await events.untilDelivered(50);
  });

  test("writes what waits in few batches", async () => {
    let syncs = 0;
    const openFile = failingOpen(method => {
      if (method === "datasync") syncs += 1;
      return undefined;
    });
    const { sink, events } = await openSink(undefined, { sink: { openFile } });
    for (const message of makeMessages(0, 2_000, path)) sink.write([message]);
    await events.untilDelivered(2_000);
    expect(syncs).toBeLessThan(10);
  });
});
