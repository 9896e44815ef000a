import { describe, expect, test } from "vitest";
import type { Checkpoint } from "../../src/core/checkpoint.ts";
import { WaitingQueue } from "../../src/queue/waiting-queue.ts";
import { CommitLogMap } from "../../src/watcher/commit-log-map.ts";
import { Progress } from "../../src/watcher/progress.ts";
import { Watcher } from "../../src/watcher/watcher.ts";
import { entry, mark, SERVER } from "../support/builders.ts";
import { ManualClock, settle } from "../support/manual-clock.ts";

const never = new AbortController().signal;

function harness() {
  const clock = new ManualClock();
  const queue = new WaitingQueue({ entriesMax: 100, bytesMax: 10_000 });
  const map = new CommitLogMap();
  const records: Checkpoint[] = [];
  const writes: (() => void)[] = [];
  const progress = new Progress({
    pipeline: "shop",
    reader: "zongji",
    delivery: "effectively-once",
    output: "o",
    clock,
  });
  progress.begin({
    generation: 4,
    position: {
      serverUuid: SERVER,
      boundary: { file: "binlog.000001", fileCreated: 1, position: 4 },
      gtidSet: `${SERVER}:1-9`,
      transaction: undefined,
      anonymous: false,
    },
    nextOffsets: { "shop.orders": { "0": 5 } },
  });
  const watcher = new Watcher({
    queue,
    map,
    progress,
    commitLog: {
      append: checkpoint => {
        records.push(checkpoint);
        return new Promise(resolve => writes.push(resolve));
      },
    },
    clock,
    intervalMs: 100,
    stallMs: 30_000,
  });
  const finishWrite = async (): Promise<void> => {
    writes.shift()?.();
    await settle();
  };
  return { clock, queue, map, records, watcher, finishWrite };
}

const place = (nextOffset: number) => ({ destination: "shop.orders", partition: 0, nextOffset });

describe("Watcher", () => {
  test("message 4 arrived and message 3 did not: the position stays before 3", () => {
    const { queue, map, watcher } = harness();
    for (let seq = 0; seq < 5; seq += 1) queue.push(entry(seq));
    for (const seq of [0, 1, 2, 4]) map.acknowledge(seq, []);
    expect(watcher.release()).toBe(3);
    expect(queue.head()?.seq).toBe(3);
    map.acknowledge(3, []);
    expect(watcher.release()).toBe(2);
    expect(map.size).toBe(0);
  });

  test("writes position, GTIDs and offsets of what was released, and nothing of what was not", async () => {
    const { clock, queue, map, records, watcher } = harness();
    queue.push(entry(0, { mark: mark(300, { gtids: [`${SERVER}:10`] }) }));
    queue.push(entry(1, { mark: mark(400, { gtids: [`${SERVER}:11`] }) }));
    map.acknowledge(0, [place(6)]);
    void watcher.run(never);
    clock.advance(100);
    await settle();
    expect(records).toMatchObject([
      {
        generation: 4,
        sequence: 0,
        position: 300,
        gtid_set: `${SERVER}:1-10`,
        next_offsets: { "shop.orders": { "0": 6 } },
      },
    ]);
  });

  test("writes one record at a time, and the newest next", async () => {
    const { clock, queue, map, records, watcher, finishWrite } = harness();
    void watcher.run(never);
    for (let seq = 0; seq < 4; seq += 1) {
      queue.push(entry(seq, { mark: mark(100 * (seq + 1)) }));
      map.acknowledge(seq, []);
      clock.advance(100);
      await settle();
    }
    expect(records.map(record => record.position)).toEqual([100]);
    expect(queue.entries).toBe(0);
    await finishWrite();
    clock.advance(100);
    await settle();
    expect(records.map(record => [record.sequence, record.position])).toEqual([
      [0, 100],
      [1, 400],
    ]);
  });

  test("writes a claim at once and resolves it only when that is durable", async () => {
    const { records, watcher, finishWrite } = harness();
    void watcher.run(never);
    await settle();
    const state = { claimed: false };
    void watcher.claim({ "shop.lines": { "2": 17 } }, never).then(() => (state.claimed = true));
    await settle();
    expect(records.at(-1)?.next_offsets).toMatchObject({ "shop.lines": { "2": 17 } });
    expect(state.claimed).toBe(false);
    await finishWrite();
    expect(state.claimed).toBe(true);
  });

  test("stops the pull when no write succeeds for 30 s, until one does", async () => {
    const { clock, queue, map, watcher, finishWrite } = harness();
    void watcher.run(never);
    queue.push(entry(0));
    map.acknowledge(0, []);
    clock.advance(100);
    await settle();
    await watcher.current(never);
    clock.advance(30_000);
    const state = { current: false };
    void watcher.current(never).then(() => (state.current = true));
    await settle();
    expect(state.current).toBe(false);
    await finishWrite();
    expect(state.current).toBe(true);
  });

  test("ends after it has written the last position", async () => {
    const { clock, queue, map, records, watcher, finishWrite } = harness();
    const run = watcher.run(never);
    queue.push(entry(0, { mark: mark(500) }));
    map.acknowledge(0, []);
    watcher.close();
    await settle();
    await finishWrite();
    await run;
    expect(records.at(-1)?.position).toBe(500);
    expect(clock.timers).toBe(0);
  });

  test("fails with the commit log's error", async () => {
    const { clock, queue, map, watcher } = harness();
    const stop = new AbortController();
    const run = watcher.run(stop.signal);
    queue.push(entry(0));
    map.acknowledge(0, []);
    clock.advance(100);
    await settle();
    stop.abort(new Error("crash"));
    await expect(run).rejects.toThrow("crash");
  });
});
