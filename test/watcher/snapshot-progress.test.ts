import { describe, expect, test } from "vitest";
import { isSnapshotState, type SnapshotStep } from "../../src/core/snapshot-state.ts";
import { SnapshotProgress } from "../../src/watcher/snapshot-progress.ts";

const NOTHING = { rows: 0, key: null, until: null, done: false };
const TAILS = { topic: { "0": 5 } };

function progress(): SnapshotProgress {
  const progress = new SnapshotProgress();
  progress.begin({ run: "1", patterns: [], tables: { a: NOTHING, b: NOTHING }, tails: TAILS });
  return progress;
}

function step(more: Partial<SnapshotStep>): SnapshotStep {
  return { table: "a", rows: 10, key: { id: "10" }, done: false, endsTails: false, ...more };
}

describe("the snapshot in a checkpoint", () => {
  test("is null where none was ever wanted", () => {
    expect(new SnapshotProgress().state).toBeNull();
  });

  test("knows up to where rows may be sent until they are released", () => {
    const copy = progress();
    copy.announce("a", { id: "20" });
    copy.release(step({}));
    expect(copy.state?.tables["a"]).toEqual({
      ...{ rows: 10, key: { id: "10" }, until: { id: "20" } },
      done: false,
    });
    copy.release(step({ rows: 20, key: { id: "20" }, done: true }));
    expect(copy.state?.tables["a"]).toMatchObject({ until: null, done: true });
  });

  test("knows who has not been told of a gap", () => {
    const copy = new SnapshotProgress();
    const place = { server_uuid: "u", file: "binlog.000001", position: 4, gtid_set: "" };
    const gap = { from: place, to: place, untold: ["a", "b"], unemptied: ["a"] };
    copy.begin({ run: "1", patterns: [], tables: { a: NOTHING }, tails: null, gap });
    copy.releaseGap({ table: "a", operation: "gap" });
    expect(copy.state?.gap).toEqual({ ...gap, untold: ["b"] });
    expect(isSnapshotState(copy.state, () => true)).toBe(true);
    expect(isSnapshotState({ ...copy.state, gap: { ...gap, to: null } }, () => true)).toBe(false);
  });

  test("lists few tables for ever, and many until all are copied", () => {
    for (const [count, listed] of [
      [100, 100],
      [101, 0],
    ] as const) {
      const names = Array.from({ length: count }, (_, i) => `t${i}`);
      const copy = new SnapshotProgress();
      const tables = Object.fromEntries(names.map(name => [name, NOTHING]));
      copy.begin({ run: "1", patterns: [["t*"]], tables, tails: null });
      const last = names.pop() as string;
      for (const table of names) copy.release(step({ table, done: true }));
      expect(Object.keys(copy.state?.tables ?? {})).toHaveLength(count);
      copy.release(step({ table: last, done: true }));
      expect(copy.state).toMatchObject({ run: "1", patterns: [["t*"]] });
      expect(Object.keys(copy.state?.tables ?? {})).toHaveLength(listed);
    }
  });

  test("keeps the tails until all that may have been sent is passed, or all is copied", () => {
    const copy = progress();
    copy.release(step({}));
    expect(copy.state?.tails).toEqual(TAILS);
    copy.release(step({ endsTails: true }));
    expect(copy.state?.tails).toBeNull();
    const other = progress();
    for (const table of ["a", "b"]) other.release(step({ table, done: true }));
    expect(other.state?.tails).toBeNull();
  });
});
