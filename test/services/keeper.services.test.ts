import { existsSync, readdirSync, rmSync } from "node:fs";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { prepare } from "../../tools/services/services.ts";
import { newFolder, processesWith, startProgram, until, type Program } from "./support/programs.ts";

const folders: string[] = [];

beforeAll(() => prepare(["mysql-9", "kafka"]));
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** The servers inherit TMPDIR, so that it tells them from those of everybody else. */
function startOwner(service: string): { owner: Program; temp: string } {
  const temp = newFolder("owner");
  folders.push(temp);
  return {
    owner: startProgram("test/services/support/owner.ts", [service], { TMPDIR: temp }),
    temp,
  };
}

async function expectNothingLeft(temp: string): Promise<void> {
  await until("every process ends", () => processesWith(`TMPDIR=${temp}`).length === 0);
  // tsx has a folder there as well, and apt-get's lock file stays.
  const left = (): string[] => readdirSync(temp).filter(name => /^tidemark-.*-\w{8}$/.test(name));
  await until("folders are removed", () => left().length === 0);
}

describe("when the process that started servers ends", () => {
  test.each([
    ["mysql-9", "SIGKILL"],
    ["kafka", "SIGKILL"],
    ["mysql-9", "SIGINT"],
    ["mysql-9", "SIGTERM"],
  ] as const)("nothing is left of %s after %s", async (service, signal) => {
    const { owner, temp } = startOwner(service);
    await until("the server is up", () => owner.stdout().includes("\n"));
    const { pids, dir } = JSON.parse(owner.stdout()) as { pids: number[]; dir: string };
    expect(existsSync(dir)).toBe(true);
    expect(processesWith(`TMPDIR=${temp}`)).toEqual(expect.arrayContaining(pids));
    owner.child.kill(signal);
    await expectNothingLeft(temp);
  });

  // Goal: no moment of a start leaves a server behind, so the kill comes at the first sign of one.
  test.each(["mysql-9", "kafka"])("nothing is left of %s that is just starting", async service => {
    const { owner, temp } = startOwner(service);
    await until("a folder appears", () => readdirSync(temp).some(name => name.includes(service)));
    owner.child.kill("SIGKILL");
    await expectNothingLeft(temp);
  });
});
