import { expect, test } from "vitest";
import { ChunkSize } from "../../src/snapshot/chunk-size.ts";

test("doubles while chunks are read fast, up to its bound", () => {
  const size = new ChunkSize(undefined, 1e9);
  const seen: number[] = [];
  for (let chunk = 0; chunk < 5; chunk += 1) {
    seen.push(size.rows);
    size.note({ rows: size.rows, bytes: 1e5, ms: 10, waitedMs: 1 });
  }
  expect(seen).toEqual([1_000, 2_000, 4_000, 8_000, 10_000]);
});

test("goes to its bound at once where a replica is waited for, but not beyond the memory", () => {
  const waited = { rows: 1_000, bytes: 1e5, ms: 300, waitedMs: 5_000 };
  const free = new ChunkSize(undefined, 1e9);
  free.note(waited);
  expect(free.rows).toBe(10_000);
  const bounded = new ChunkSize(undefined, 3e5);
  bounded.note(waited);
  expect(bounded.rows).toBe(3_000);
});

test("a size that was set is kept", () => {
  const size = new ChunkSize(50, 1e9);
  size.note({ rows: 50, bytes: 1e3, ms: 1, waitedMs: 5_000 });
  expect(size.rows).toBe(50);
});
