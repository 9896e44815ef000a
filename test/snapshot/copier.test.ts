import { describe, expect, test } from "vitest";
import { silentLogger } from "../../src/core/logger.ts";
import { Wake } from "../../src/core/signal.ts";
import { NOTHING_COPIED, type SnapshotTable } from "../../src/core/snapshot-state.ts";
import { ChunkSize } from "../../src/snapshot/chunk-size.ts";
import {
  KeyChanged,
  type ChunkRequest,
  type ChunkSource,
} from "../../src/snapshot/chunk-source.ts";
import { Copier } from "../../src/snapshot/copier.ts";
import { HandedOut } from "../../src/snapshot/handed-out.ts";
import { Pace } from "../../src/snapshot/pace.ts";
import { TableList } from "../../src/snapshot/table-list.ts";
import { entry, mark, rows, table } from "../support/builders.ts";
import { ManualClock, settle } from "../support/manual-clock.ts";

const SHAPE = table();
const FILE = "binlog.000001";
const END = 10;

/** A quiet server: rows 1 to 5, and a binlog that ends at `END`. */
class QuietServer implements ChunkSource {
  readonly requests: ChunkRequest[] = [];
  isGone = false;
  hasOtherKey = false;

  end(): ReturnType<ChunkSource["end"]> {
    return Promise.resolve({ file: FILE, position: END, gtids: "" });
  }

  caughtUp(): Promise<void> {
    return Promise.resolve();
  }

  read(request: ChunkRequest): ReturnType<ChunkSource["read"]> {
    this.requests.push(request);
    if (this.isGone) return Promise.resolve(undefined);
    if (this.hasOtherKey && request.after !== null) return Promise.reject(new KeyChanged());
    const low = Number(request.after?.["id"] ?? 0);
    const high = Number(request.until?.["id"] ?? 5);
    const ids = [1, 2, 3, 4, 5].filter(id => id > low && id <= high).slice(0, request.limit);
    const cells = ids.map(id => [String(id), "x"]);
    const key = { id: String(ids.at(-1)) };
    const batches = ids.length === 0 ? [] : [{ rows: rows(SHAPE, cells, "read"), key }];
    return Promise.resolve({ shape: SHAPE, batches, isLast: ids.length < request.limit });
  }

  seenBeside(): Promise<string> {
    return Promise.resolve("");
  }

  stillThere(): Promise<string> {
    return Promise.resolve("");
  }

  close(): void {
    // It has no connection.
  }
}

function boundary(position: number) {
  return { boundary: { file: FILE, fileCreated: 1, position } };
}

function begin(state: SnapshotTable, server = new QuietServer()) {
  const announced: string[] = [];
  const stop = new AbortController();
  const list = new TableList();
  list.add([{ id: "shop.orders", run: "1", known: state }]);
  const copier = new Copier({
    list,
    source: server,
    handedOut: new HandedOut(mark(0, boundary(END))),
    size: new ChunkSize(2, 1e6),
    pace: new Pace(Infinity, new ManualClock()),
    generation: 1,
    windowed: true,
    announce: (_, until) => {
      announced.push(until["id"] ?? "");
      return Promise.resolve();
    },
    changed: new Wake(),
    clock: new ManualClock(),
    logger: silentLogger,
  });
  const running = copier.run(stop.signal);
  const takeAll = async (): Promise<ReturnType<Copier["take"]>[]> => {
    const taken: ReturnType<Copier["take"]>[] = [];
    while (!list.isFinished) {
      await settle();
      const chunk = copier.take();
      if (chunk !== undefined) taken.push(chunk);
    }
    copier.look();
    await running;
    return taken;
  };
  return { list, server, announced, takeAll };
}

describe("a copier", () => {
  test("reads nothing before all that was committed at its start is handed out", async () => {
    const server = new QuietServer();
    const list = new TableList();
    list.add([{ id: "shop.orders", run: "1", known: NOTHING_COPIED }]);
    const handedOut = new HandedOut(mark(0, boundary(4)));
    const copier = new Copier({
      list,
      source: server,
      handedOut,
      size: new ChunkSize(2, 1e6),
      pace: new Pace(Infinity, new ManualClock()),
      generation: 1,
      windowed: true,
      announce: () => Promise.resolve(),
      changed: new Wake(),
      clock: new ManualClock(),
      logger: silentLogger,
    });
    const stop = new AbortController();
    const running = copier.run(stop.signal);
    const note = (position: number): void => {
      const next = entry(0, { mark: mark(0, boundary(position)) });
      handedOut.note(next);
      copier.note(next);
    };
    note(END - 1);
    await settle();
    expect(server.requests).toEqual([]);
    note(END);
    await settle();
    expect(server.requests).toHaveLength(1);
    stop.abort();
    await expect(running).rejects.toThrow();
  });

  test("goes from key to key, and announces how far before it hands out", async () => {
    const { takeAll, announced } = begin(NOTHING_COPIED);
    const taken = await takeAll();
    expect(taken.map(chunk => chunk?.key?.["id"])).toEqual(["2", "4", "5"]);
    expect(taken.at(-1)?.isLast).toBe(true);
    expect(announced).toEqual(["2", "4", "5"]);
  });

  test("reads first what may have been sent before, and says when that is passed", async () => {
    const known = { rows: 1, key: { id: "1" }, until: { id: "4" }, done: false };
    const { takeAll, announced, server } = begin(known);
    const taken = await takeAll();
    expect(server.requests.map(({ until }) => until?.["id"])).toEqual(["4", "4", undefined]);
    expect(taken.map(chunk => chunk?.endsTails)).toEqual([false, true, false]);
    expect(announced).toEqual(["5"]);
  });

  test("passes by a table that is gone", async () => {
    const server = new QuietServer();
    server.isGone = true;
    const taken = await begin(NOTHING_COPIED, server).takeAll();
    expect(taken).toMatchObject([{ batches: [], isLast: true }]);
  });

  test("begins a table anew whose key has other columns now", async () => {
    const server = new QuietServer();
    server.hasOtherKey = true;
    const known = { rows: 1, key: { other: "1" }, until: null, done: false };
    const { list, takeAll } = begin(known, server);
    await settle();
    server.hasOtherKey = false;
    await takeAll();
    expect(list.isFinished).toBe(true);
    expect(server.requests.map(({ after }) => after)).toEqual([
      { other: "1" },
      null,
      { id: "2" },
      { id: "4" },
    ]);
  });
});
