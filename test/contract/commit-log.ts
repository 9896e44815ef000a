/**
 * What every commit log has to pass. A fixture makes commit logs over one store, as one instance after
 * the other would open it.
 */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Checkpoint, NextOffsets } from "../../src/core/checkpoint.ts";
import type { SnapshotRequest } from "../../src/core/snapshot-request.ts";
import type { ReplaceableCommitLog } from "../../src/watcher/commit-log.ts";

export interface CommitLogFixture {
  makeCommitLog(pipeline: string): ReplaceableCommitLog;
  /** Makes what the store holds of the pipeline unreadable. */
  damage(pipeline: string): Promise<void>;
  release(): Promise<void>;
}

export interface CommitLogContractOptions {
  /** How a second instance is told from the first: by a lock, or by its records. */
  readonly fence: "lock" | "generation";
}

export function makeCheckpoint(
  generation: number,
  sequence: number,
  changes: Partial<Checkpoint> = {},
): Checkpoint {
  return {
    version: 1,
    reader: "zongji",
    pipeline: "shop",
    generation,
    sequence,
    written_at: "2026-11-21T09:10:29.601Z",
    server_uuid: "6db3edf2-e588-11f1-8730-02fc00000001",
    file: "binlog.000003",
    file_created: 1_795_251_083,
    position: 4_711 + sequence,
    gtid_set: "6db3edf2-e588-11f1-8730-02fc00000001:1-20013",
    anonymous: false,
    transaction: { id: "6db3edf2:20014", tables: { "shop.orders": { rows: 250, crc: 7 } } },
    event_time: "2026-11-21T09:10:29.496Z",
    delivery: "effectively-once",
    output: "9f3a",
    next_offsets: { "shop.orders": { "0": 18_211 + sequence } },
    snapshot: null,
    ...changes,
  };
}

export function commitLogContract(
  name: string,
  makeFixture: () => Promise<CommitLogFixture>,
  options: CommitLogContractOptions,
): void {
  describe(`${name} as a commit log`, () => {
    let fixture: CommitLogFixture;
    const opened: ReplaceableCommitLog[] = [];
    const signal = new AbortController().signal;

    beforeEach(async () => {
      fixture = await makeFixture();
    });

    afterEach(async () => {
      await Promise.all(opened.splice(0).map(log => log.close()));
      await fixture.release();
    });

    const make = (pipeline = "shop"): ReplaceableCommitLog => {
      const log = fixture.makeCommitLog(pipeline);
      opened.push(log);
      return log;
    };

    /** What the next instance would find. */
    const reopened = async (pipeline = "shop"): Promise<Checkpoint | undefined> => {
      const log = make(pipeline);
      const found = await log.open(signal);
      await log.close();
      return found;
    };

    test("holds nothing at first", async () => {
      expect(await make().open(signal)).toBeUndefined();
    });

    test("gives back the last record, whole", async () => {
      const log = make();
      await log.open(signal);
      for (let sequence = 0; sequence < 5; sequence += 1) {
        await log.append(makeCheckpoint(1, sequence), signal);
      }
      await log.close();
      expect(await reopened()).toEqual(makeCheckpoint(1, 4));
    });

    test("keeps a null transaction and odd names", async () => {
      const next_offsets = { 'a"b\\c': { "0": 0 }, "tisch.größe": { "7": 2 ** 40 } };
      const record = makeCheckpoint(1, 0, { transaction: null, event_time: null, next_offsets });
      const log = make();
      await log.open(signal);
      await log.append(record, signal);
      await log.close();
      expect(await reopened()).toEqual(record);
    });

    test("keeps 200 partitions of which one changes at a time, over restarts", async () => {
      const offsets = Array.from({ length: 200 }, () => 10);
      const next = (): NextOffsets => ({ orders: Object.fromEntries(offsets.entries()) });
      let record = makeCheckpoint(1, 0);
      for (let generation = 1; generation <= 3; generation += 1) {
        const log = make();
        const found = await log.open(signal);
        if (generation > 1) expect(found).toEqual(record);
        for (let sequence = 0; sequence < 20; sequence += 1) {
          const index = (generation * 31 + sequence * 7) % 200;
          offsets[index] = (offsets[index] ?? 0) + 1;
          record = makeCheckpoint(generation, sequence, { next_offsets: next() });
          await log.append(record, signal);
        }
        await log.close();
      }
      expect(await reopened()).toEqual(record);
    });

    test("takes the highest generation, then the highest sequence", async () => {
      for (const [generation, sequence] of [
        [1, 0],
        [1, 9],
        [2, 0],
        [2, 1],
      ] as const) {
        const log = make();
        await log.open(signal);
        await log.append(makeCheckpoint(generation, sequence), signal);
        await log.close();
      }
      expect(await reopened()).toEqual(makeCheckpoint(2, 1));
    });

    test("keeps pipelines apart", async () => {
      for (const pipeline of ["shop", "shop2", "sho"]) {
        const log = make(pipeline);
        expect(await log.open(signal)).toBeUndefined();
        await log.append(makeCheckpoint(1, 0, { pipeline, output: pipeline }), signal);
        await log.close();
      }
      expect((await reopened("shop"))?.output).toBe("shop");
      expect((await reopened("shop2"))?.output).toBe("shop2");
    });

    test("refuses a damaged record", async () => {
      const log = make();
      await log.open(signal);
      await log.append(makeCheckpoint(1, 0), signal);
      await log.close();
      await fixture.damage("shop");
      await expect(make().open(signal)).rejects.toMatchObject({ code: "COMMIT_LOG_UNUSABLE" });
    });

    test("gives up when the signal aborts", async () => {
      const reason = new Error("stopped");
      await expect(make().open(AbortSignal.abort(reason))).rejects.toBe(reason);
    });

    test("follows until the signal aborts", async () => {
      const log = make();
      await log.open(signal);
      await log.append(makeCheckpoint(1, 0), signal);
      const stop = new AbortController();
      const following = log.follow(stop.signal);
      await log.append(makeCheckpoint(1, 1), signal);
      stop.abort();
      await following;
    });

    test("brings a request to whoever follows, now or later, and its answer back", async () => {
      const log = make();
      await log.open(signal);
      await log.append(makeCheckpoint(1, 0), signal);
      const numbers: number[] = [];
      const requested = ({ number }: SnapshotRequest): void => void numbers.push(number);
      const following = log.follow(signal, { requested });
      following.catch(() => undefined);
      const tables = { "shop.orders": "again" } as const;
      const request = { version: 1, pipeline: "shop", number: 7, tables } as const;
      const asking = make();
      await asking.request({ ...request, pipeline: "other" }, signal);
      await asking.request(request, signal);
      await vi.waitFor(() => expect(numbers).toEqual([7]), 20_000);
      expect(await asking.lastRequest(signal)).toEqual(request);
      const seen: number[] = [];
      for await (const { sequence } of asking.watch(signal)) {
        seen.push(sequence);
        if (sequence === 1) break;
        await log.append(makeCheckpoint(1, 1), signal);
      }
      expect(seen).toEqual([0, 1]);

      await log.close();
      await following.catch(() => undefined);
      const next = make();
      await next.open(signal);
      await next.append(makeCheckpoint(2, 0), signal);
      next.follow(signal, { requested }).catch(() => undefined);
      await vi.waitFor(() => expect(numbers).toEqual([7, 7]), 20_000);
    });

    test("gives each pipeline one replica uuid, over restarts", async () => {
      const uuidOf = async (pipeline: string): Promise<string> => {
        const log = make(pipeline);
        await log.open(signal);
        await log.append(makeCheckpoint(1, 0, { pipeline }), signal);
        const uuid = await log.replicaUuid();
        await log.close();
        return uuid;
      };
      const uuid = await uuidOf("shop");
      expect(uuid).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
      expect(await uuidOf("shop")).toBe(uuid);
      expect(await uuidOf("other")).not.toBe(uuid);
    });

    test("can be closed before it was opened, and twice", async () => {
      const log = fixture.makeCommitLog("shop");
      await log.close();
      await log.close();
    });

    const keepsOut = async (): Promise<void> => {
      const log = make();
      await log.open(signal);
      await log.append(makeCheckpoint(1, 0), signal);
      await expect(make().open(signal)).rejects.toMatchObject({ code: "TAKEN_OVER" });
    };

    const givesWay = async (): Promise<void> => {
      const first = make();
      await first.open(signal);
      await first.append(makeCheckpoint(1, 0), signal);
      const following = first.follow(signal);
      const second = make();
      expect((await second.open(signal))?.generation).toBe(1);
      await second.append(makeCheckpoint(2, 0), signal);
      await expect(following).rejects.toMatchObject({ code: "TAKEN_OVER" });
    };

    if (options.fence === "lock") test("keeps a second instance out", keepsOut);
    else test("ends when a second instance starts", givesWay);
  });
}
