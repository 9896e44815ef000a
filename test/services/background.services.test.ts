import { existsSync, rmSync } from "node:fs";
import { createConnection } from "mysql2/promise";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Answer } from "../../tools/services/background.ts";
import { identify } from "../../tools/services/processes.ts";
import { prepare } from "../../tools/services/services.ts";
import { newCache, processesWith, services, until, type Finished } from "./support/programs.ts";

type Answers = Record<string, Answer & { url: string }>;

let cache = "";
const run = (...args: string[]): Promise<Finished> => services(args, { TIDEMARK_CACHE: cache });
const answers = ({ stdout }: Finished): Answers => JSON.parse(stdout) as Answers;

beforeAll(async () => {
  await prepare(["mysql-9"]);
  cache = await newCache(["mysql-9"]);
});
beforeEach(async () => {
  await run("down");
});
afterAll(async () => {
  await run("down");
  rmSync(cache, { recursive: true, force: true });
});

describe("the command", () => {
  test("starts a server that outlives it, says so when asked again, and ends it", async () => {
    const up = await run("up", "mysql-9", "--json");
    expect({ code: up.code, error: up.stderr }).toMatchObject({ code: 0 });
    const { "mysql-9": mysql } = answers(up);
    const connection = await createConnection(mysql?.url ?? "");
    await connection.query("SELECT 1");
    connection.destroy();

    const again = await run("up", "mysql-9", "--json");
    expect(answers(again)).toEqual({ "mysql-9": mysql });
    expect(again.stderr).toContain("already runs");
    expect(answers(await run("status", "--json"))).toEqual({ "mysql-9": mysql });

    const down = await run("down");
    expect(down.stdout).toContain(`ended mysql-9  ${mysql?.url}  (pid ${mysql?.pid}`);
    expect(identify(mysql?.pid ?? 0)).toBeUndefined();
    expect(existsSync(mysql?.dir ?? "/")).toBe(false);
    expect((await run("down")).stdout).toBe("nothing is running\n");
  });

  test("starts anew when the server was killed meanwhile", async () => {
    const { "mysql-9": first } = answers(await run("up", "mysql-9", "--json"));
    process.kill(first?.pid ?? 0, "SIGKILL");
    await until("it is gone", () => identify(first?.pid ?? 0) === undefined);
    expect(answers(await run("status", "--json"))).toEqual({});
    const { "mysql-9": second } = answers(await run("up", "mysql-9", "--json"));
    expect(second?.pid).not.toBe(first?.pid);
    expect(existsSync(first?.dir ?? "/")).toBe(false);
  });

  test("leaves nothing when the process that holds the server is killed", async () => {
    const { "mysql-9": mysql } = answers(await run("up", "mysql-9", "--json"));
    const holders = processesWith(`TIDEMARK_CACHE=${cache}`).filter(pid => pid !== mysql?.pid);
    expect(holders).toHaveLength(1);
    for (const pid of holders) process.kill(pid, "SIGKILL");
    await until("the server is gone", () => identify(mysql?.pid ?? 0) === undefined);
    await until("its folder is gone", () => !existsSync(mysql?.dir ?? "/"));
  });

  test("refuses what it does not know, with its usage", async () => {
    expect(await run("up", "oracle")).toMatchObject({ code: 64, stdout: "" });
    expect((await run("sideways")).stderr).toContain("usage: npm run services");
  });
});
