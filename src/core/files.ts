/** Files: what their errors mean, and how a new name is made durable. */
import { open, type FileHandle } from "node:fs/promises";
import { sleep, type Clock } from "./clock.ts";

/** What passes, or is mended without us: a full disk, a failing one, a file system that went away. */
const PASSING = new Set([
  "EAGAIN",
  "EBUSY",
  "EDQUOT",
  "EFBIG",
  "EIO",
  "EMFILE",
  "ENFILE",
  "ENOMEM",
  "ENOSPC",
  "EROFS",
  "ESTALE",
  "ETIMEDOUT",
]);

/** Such as "ENOSPC"; undefined for what does not come from the operating system. */
export function systemCode(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error) || !("code" in thrown)) return undefined;
  return typeof thrown.code === "string" && "syscall" in thrown ? thrown.code : undefined;
}

/** Whether trying again can succeed without anybody changing the configuration. */
export function isPassing(thrown: unknown): boolean {
  return PASSING.has(systemCode(thrown) ?? "");
}

/** Makes a file that was created or renamed in this folder survive a power failure under its name. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

const CLOSE_MS = 3_000;

/** Waits for what the system is doing with the file now; on a disk that hangs it is left behind. */
export async function closeFile(handle: FileHandle, clock: Clock): Promise<void> {
  const inTime = new AbortController();
  const closed = handle.close().finally(() => inTime.abort());
  await Promise.race([closed, sleep(clock, CLOSE_MS, inTime.signal)]).catch(() => undefined);
}
