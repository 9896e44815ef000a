/**
 * Every command that the documentation tells people to type is typed here, in a fresh folder, against real
 * servers. A block that cannot be has a comment directly above it that says why: `<!-- not run: … -->`.
 */
import { spawn } from "node:child_process";
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { cacheFolder } from "../tools/services/cache.ts";
import { keptEnvironment } from "../tools/services/keeper.ts";
import { prepare } from "../tools/services/services.ts";
import { services, newCache } from "./services/support/programs.ts";
import { buildBundle, root } from "./support/bundle.ts";

const pages = ["README.md", "docs/tutorial.md", "docs/handbook.md"];
const timeoutMs = 150_000;

interface Block {
  readonly page: string;
  readonly line: number;
  readonly commands: string;
  /** Why it is not run. */
  readonly excuse: string | undefined;
}

function blocksOf(page: string): Block[] {
  const lines = readFileSync(join(root, page), "utf8").split("\n");
  const blocks: Block[] = [];
  let start = -1;
  for (const [index, line] of lines.entries()) {
    const fence = /^```(\w*)/.exec(line);
    if (!fence) continue;
    if (start < 0) {
      start = index;
      continue;
    }
    const language = lines[start]?.slice(3).trim();
    const inside = lines.slice(start + 1, index);
    const [, excuse] = /^<!-- not run: (.*) -->$/.exec(lines[start - 1] ?? "") ?? [];
    const place = { page, line: start + 1, excuse };
    if (language === "sh") blocks.push({ ...place, commands: inside.join("\n") });
    if (language === "console") {
      const typed = inside.filter(text => text.startsWith("$ ")).map(text => text.slice(2));
      blocks.push({ ...place, commands: typed.join("\n") });
    }
    start = -1;
  }
  return blocks;
}

/** What a clone has after `npm ci && npm run build`, without what tests and people left in this one. */
function freshFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "tidemark-docs-"));
  const left = new Set([".git", "node_modules", "dist", "coverage", "tidemark-state"]);
  for (const name of readdirSync(root).filter(name => !left.has(name))) {
    cpSync(join(root, name), join(folder, name), { recursive: true });
  }
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  mkdirSync(join(folder, "dist"));
  copyFileSync(buildBundle(), join(folder, "dist/tidemark.mjs"));
  return folder;
}

interface Typed {
  readonly code: number | null;
  readonly output: string;
}

/** One bash for a whole page, as a reader would have it. Ends at the first command that fails. */
function type(blocks: readonly Block[], cwd: string, env: NodeJS.ProcessEnv): Promise<Typed> {
  const script = blocks.map(
    ({ page, line, commands }) => `echo "── ${page}:${line}"\n${commands}\n`,
  );
  const bash = spawn("bash", ["-eu", "-c", `exec 2>&1\n${script.join("\n")}`], {
    cwd,
    env,
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  let output = "";
  bash.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
  const timer = setTimeout(() => end(bash.pid), timeoutMs);
  return new Promise(resolve => {
    bash.once("exit", code => {
      clearTimeout(timer);
      end(bash.pid); // What a page started and a failure left behind.
      resolve({ code, output });
    });
  });
}

/** What the page's programs said, for whoever has to find out why it does not work. */
function logsOf(folder: string): string {
  const names = readdirSync(folder).filter(name => name.endsWith(".log"));
  return names.map(name => `── ${name}\n${readFileSync(join(folder, name), "utf8")}`).join("");
}

/** The whole group: bash and what it started. */
function end(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, "SIGKILL");
  } catch {
    // All of it has ended.
  }
}

describe.each(pages)("%s", page => {
  const blocks = blocksOf(page);
  const typed = blocks.filter(({ excuse }) => excuse === undefined);

  test("says why, where a command is not run", () => {
    for (const { line, excuse } of blocks) {
      if (excuse !== undefined) expect(excuse.length, `${page}:${line}`).toBeGreaterThan(10);
    }
  });

  if (typed.length === 0) return;

  describe("its commands", () => {
    let cache = "";
    let folder = "";
    beforeAll(async () => {
      await prepare(["mysql-9", "kafka"]);
      const parts = readdirSync(cacheFolder()).filter(name => /^(kafka|mysql)-/.test(name));
      // Servers in the background are known by their cache: those of other people go on.
      cache = await newCache(parts);
      folder = freshFolder();
    });
    afterAll(async () => {
      await services(["down"], { TIDEMARK_CACHE: cache });
      for (const path of [cache, folder]) rmSync(path, { recursive: true, force: true });
    });

    test("work as written", { timeout: timeoutMs + 10_000 }, async () => {
      const env = { ...keptEnvironment(), TIDEMARK_CACHE: cache };
      const { code, output } = await type(typed, folder, env);
      expect(code, output + logsOf(folder)).toBe(0);
    });
  });
});
