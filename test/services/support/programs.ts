/** Runs the services' own programs in processes that a test may kill. */
import { spawn, type ChildProcessByStdio } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, symlinkSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { cacheFolder } from "../../../tools/services/cache.ts";
import { poll } from "../../../tools/services/wait.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const conditionTimeoutMs = 60_000;

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Program {
  readonly child: ChildProcessByStdio<null, Readable, Readable>;
  readonly finished: Promise<Finished>;
  /** What it has printed on stdout so far. */
  stdout(): string;
}

export function startProgram(
  script: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Program {
  const child = spawn(process.execPath, ["--import", "tsx", join(root, script), ...args], {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  const finished = new Promise<Finished>(resolve => {
    child.once("close", code => resolve({ code, stdout, stderr }));
  });
  return { child, finished, stdout: () => stdout };
}

export function services(args: readonly string[], env: Record<string, string>): Promise<Finished> {
  return startProgram("tools/services/main.ts", args, env).finished;
}

/** Fails when the condition does not come true. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  const met = await poll(() => (condition() ? true : undefined), conditionTimeoutMs);
  if (!met) throw new Error(`${what}: not within ${conditionTimeoutMs} ms`);
}

export function newFolder(kind: string): string {
  return mkdtempSync(join(tmpdir(), `tidemark-test-${kind}-`));
}

/** A cache of its own, which finds the named parts in the usual one. */
export async function newCache(parts: readonly string[]): Promise<string> {
  const cache = newFolder("cache");
  await mkdir(cache, { recursive: true });
  for (const part of parts) symlinkSync(join(cacheFolder(), part), join(cache, part));
  return cache;
}

/** Processes whose environment holds the assignment, such as `TMPDIR=/tmp/x`. */
export function processesWith(assignment: string): number[] {
  return readdirSync("/proc").flatMap(name => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const environment = readFileSync(`/proc/${name}/environ`, "latin1").split("\0");
      return environment.includes(assignment) ? [Number(name)] : [];
    } catch {
      return [];
    }
  });
}
