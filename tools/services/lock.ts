/**
 * One holder at a time, across processes. The lock is the kernel's (flock), so a holder that is
 * killed leaves nothing stale behind and nobody has to guess from pids and ages.
 *
 * Node has no flock of its own: a small shell holds the lock for as long as our end of its stdin is
 * open, which is until we close it or die.
 */
import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { exitCodes, ServicesError } from "./failure.ts";
import { progress } from "./progress.ts";

const noticeAfterMs = 2_000;

export async function withLock<T>(
  file: string,
  waitingFor: string,
  run: () => Promise<T>,
): Promise<T> {
  const release = await acquire(file, waitingFor);
  try {
    return await run();
  } finally {
    await release();
  }
}

async function acquire(file: string, waitingFor: string): Promise<() => Promise<void>> {
  mkdirSync(dirname(file), { recursive: true });
  const holder = spawn("flock", ["--exclusive", file, "sh", "-c", "echo locked; exec cat"], {
    stdio: ["pipe", "pipe", "inherit"],
    detached: true, // Ctrl-C must not release the lock before we are done.
  });
  const ended = new Promise<void>(resolve => holder.once("close", () => resolve()));
  const notice = setTimeout(() => progress(`waiting for ${waitingFor}`), noticeAfterMs);
  try {
    await new Promise<void>((resolve, reject) => {
      holder.stdout.once("data", () => resolve());
      holder.once("error", reject);
      holder.once("close", () => reject(new Error(`flock could not lock ${file}`)));
    });
  } catch (error) {
    const message = `Cannot lock ${file}; is flock (package util-linux) installed?`;
    throw new ServicesError(message, exitCodes.unavailable, { cause: error });
  } finally {
    clearTimeout(notice);
  }
  return async () => {
    holder.stdin.end();
    await ended;
  };
}
