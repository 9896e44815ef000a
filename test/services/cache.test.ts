import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { cached, isCached } from "../../tools/services/cache.ts";
import { newFolder } from "./support/programs.ts";

let cache = "";
beforeEach(() => {
  cache = newFolder("cache");
  vi.stubEnv("TIDEMARK_CACHE", cache);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(cache, { recursive: true });
});

const build = vi.fn((folder: string) => {
  writeFileSync(join(folder, "file"), "whole");
  return Promise.resolve();
});

describe("cached", () => {
  test("builds once, for callers at the same time and later", async () => {
    build.mockClear();
    await Promise.all([cached("thing", build), cached("thing", build)]);
    const folder = await cached("thing", build);
    expect(build).toHaveBeenCalledTimes(1);
    expect(folder).toBe(join(cache, "thing"));
    expect(readFileSync(join(folder, "file"), "utf8")).toBe("whole");
  });

  test("has nothing under the name while and after a build fails", async () => {
    const failing = (folder: string): Promise<void> => {
      writeFileSync(join(folder, "half"), "");
      expect(isCached("thing")).toBe(false);
      return Promise.reject(new Error("cut"));
    };
    await expect(cached("thing", failing)).rejects.toThrow("cut");
    expect(existsSync(join(cache, "thing"))).toBe(false);
    const folder = await cached("thing", build);
    expect(existsSync(join(folder, "half"))).toBe(false);
  });
});
