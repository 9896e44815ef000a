/** The built program, for tests that run it as a process. */
import { execFileSync, spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");

const LOCK_WAIT_MS = 60_000;

/** Builds the bundle and returns a copy of it in a folder of its own: test files run side by side. */
export function buildBundle(): string {
  const path = join(mkdtempSync(join(tmpdir(), "tidemark-bundle-")), "tidemark.mjs");
  withLock(() => {
    execFileSync(process.execPath, ["tools/build.mjs"], { cwd: root });
    copyFileSync(join(root, "dist/tidemark.mjs"), path);
  });
  return path;
}

function withLock(action: () => void): void {
  const lock = join(tmpdir(), `tidemark-build-${Buffer.from(root).toString("hex").slice(-40)}`);
  const endMs = Date.now() + LOCK_WAIT_MS;
  while (!tryMakeFolder(lock)) {
    // A test run that was killed leaves its lock behind.
    if (Date.now() > endMs) break;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
  }
  try {
    action();
  } finally {
    rmdirSync(lock);
  }
}

function tryMakeFolder(path: string): boolean {
  try {
    mkdirSync(path);
    return true;
  } catch {
    return false;
  }
}

export interface ProgramResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export function runBundle(
  bundle: string,
  args: readonly string[],
  options: { cwd: string; env?: Readonly<Record<string, string>> },
): ProgramResult {
  const { cwd, env = {} } = options;
  const result = spawnSync(process.execPath, [bundle, ...args], {
    cwd,
    env,
    encoding: "utf8",
    timeout: 20_000,
  });
  return { status: result.status, stdout: result.stdout, stderr: result.stderr };
}
