/** Errors of the file system, told apart by their code. */

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
