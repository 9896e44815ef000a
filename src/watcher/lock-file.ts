/**
 * A lock that a killed process leaves behind without locking anybody out.
 *
 *   free ──create──▶ held: its time stamp is renewed every second
 *                      │ the holder is gone, or did not renew it for 5 s
 *                      └──replace──▶ held by the next
 *
 * Whether the holder is gone is certain where its process can be seen: on this boot of this machine and in
 * this process namespace, by its pid and start time. Elsewhere (another container, another machine, before
 * a reboot) only the renewals tell; they are then watched for up to 5 s.
 *
 * A lock of files cannot exclude an owner that stood still while it was replaced. So the owner looks for
 * its token before each write, and what it finds lost stays lost. The token is renewed through the open
 * file, never through its name: an owner that was replaced cannot renew its successor's lock.
 */
import { randomUUID } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { open, readFile, rename, stat, unlink, type FileHandle } from "node:fs/promises";
import { sleep, type Clock } from "../core/clock.ts";
import { TidemarkError } from "../core/errors.ts";
import { systemCode } from "../core/files.ts";

const RENEW_MS = 1_000;
const EXPIRES_MS = 5_000;
const LOOK_AGAIN_MS = 250;

/** A process, for as long as its pid could be given to another. */
interface Holder {
  readonly pid: number;
  /** Clock ticks after boot at which the process began; "" where the system does not tell. */
  readonly start_time: string;
  readonly boot_id: string;
  readonly pid_namespace: string;
  readonly token: string;
}

export interface LockFileOptions {
  readonly path: string;
  /** What is locked, for the error: "the commit log of pipeline shop". */
  readonly what: string;
  readonly clock: Clock;
}

export class LockFile {
  readonly token = randomUUID();
  readonly #options: LockFileOptions;
  #handle: FileHandle | undefined;
  #cancelRenewal: (() => void) | undefined;
  #isReleased = false;

  constructor(options: LockFileOptions) {
    this.#options = options;
  }

  /** @throws TidemarkError TAKEN_OVER if another process holds it, or the file system's error. */
  async acquire(signal: AbortSignal): Promise<void> {
    for (;;) {
      const created = await this.#create(this.#options.path);
      if (created !== undefined) {
        this.#hold(created);
        return;
      }
      if ((await this.#isFree(signal)) && (await this.#replace())) return;
    }
  }

  /** @throws TidemarkError TAKEN_OVER if it is not ours any more, or the file system's error. */
  async check(): Promise<void> {
    const { path, what } = this.#options;
    const { holder } = await look(path);
    if (holder?.token === this.token) return;
    const taker = holder === undefined ? "" : ` by process ${holder.pid}`;
    throw new TidemarkError(
      "TAKEN_OVER",
      `The lock on ${what}, ${path}, was taken${taker}: another instance runs this pipeline now.`,
    );
  }

  /** Removes the lock, if it is still ours. */
  async release(): Promise<void> {
    this.#isReleased = true;
    this.#cancelRenewal?.();
    const handle = this.#handle;
    if (handle === undefined) return;
    this.#handle = undefined;
    const { path } = this.#options;
    try {
      const { holder } = await look(path);
      if (holder?.token === this.token) await unlink(path);
    } finally {
      await handle.close();
    }
  }

  async #create(path: string): Promise<FileHandle | undefined> {
    let handle: FileHandle;
    try {
      handle = await open(path, "wx", 0o600);
    } catch (error) {
      if (systemCode(error) === "EEXIST") return undefined;
      throw error;
    }
    try {
      await handle.writeFile(`${JSON.stringify(thisProcess(this.token))}\n`);
      return handle;
    } catch (error) {
      // Without its content it would keep us out too, until it expires.
      await handle.close();
      await unlink(path);
      throw error;
    }
  }

  /** By rename, so that there is a lock at every moment. Of two that replace it, the later one has it. */
  async #replace(): Promise<boolean> {
    const { path } = this.#options;
    const own = `${path}.${this.token}.tmp`;
    const handle = await this.#create(own);
    if (handle === undefined) return false;
    try {
      await rename(own, path);
    } catch (error) {
      await handle.close();
      if (systemCode(error) === "ENOENT") return false; // The one that was faster has cleaned up.
      throw error;
    }
    this.#hold(handle);
    return true;
  }

  #hold(handle: FileHandle): void {
    this.#handle = handle;
    if (this.#isReleased) {
      // `acquire` was under way when its caller gave up.
      void this.release().catch(() => undefined);
      return;
    }
    const { clock } = this.#options;
    const renew = async (): Promise<void> => {
      const now = clock.wallMs() / 1_000;
      // A renewal that fails is made up by the next; one that cannot be made up shows in `check`.
      await handle.utimes(now, now).catch(() => undefined);
      if (this.#handle === handle) this.#cancelRenewal = clock.after(RENEW_MS, () => void renew());
    };
    this.#cancelRenewal = clock.after(RENEW_MS, () => void renew());
  }

  /** Whether the lock that exists can be replaced. */
  async #isFree(signal: AbortSignal): Promise<boolean> {
    const { path, clock } = this.#options;
    const first = await look(path);
    if (first.renewedMs === undefined) return true; // Released just now.
    if (first.holder !== undefined && isSeenGone(first.holder)) return true;
    const untilMs = clock.nowMs() + EXPIRES_MS;
    for (let latest = first; ; latest = await look(path)) {
      const { renewedMs, holder } = latest;
      if (renewedMs === undefined || clock.wallMs() - renewedMs >= EXPIRES_MS) return true;
      const isRenewed = renewedMs !== first.renewedMs || holder?.token !== first.holder?.token;
      if (isRenewed || (holder !== undefined && isSeen(holder))) throw this.#held(holder);
      if (clock.nowMs() >= untilMs) return true;
      await sleep(clock, LOOK_AGAIN_MS, signal);
    }
  }

  #held(holder: Holder | undefined): TidemarkError {
    const { path, what } = this.#options;
    const by = holder === undefined ? "another process" : `process ${holder.pid}`;
    return new TidemarkError(
      "TAKEN_OVER",
      `${by.charAt(0).toUpperCase()}${by.slice(1)} holds the lock on ${what} (${path}). Stop it first.`,
    );
  }
}

interface Look {
  /** Undefined if there is no lock file. */
  readonly renewedMs: number | undefined;
  /** Undefined if the file holds no whole record: it is just being written, or its writer was killed. */
  readonly holder: Holder | undefined;
}

async function look(path: string): Promise<Look> {
  try {
    const [text, { mtimeMs }] = [await readFile(path, "utf8"), await stat(path)];
    return { renewedMs: mtimeMs, holder: parseHolder(text) };
  } catch (error) {
    if (systemCode(error) === "ENOENT") return { renewedMs: undefined, holder: undefined };
    throw error;
  }
}

function parseHolder(text: string): Holder | undefined {
  try {
    const value = JSON.parse(text) as Partial<Holder> | null;
    const isWhole = typeof value?.pid === "number" && typeof value.token === "string";
    return isWhole ? (value as Holder) : undefined;
  } catch {
    return undefined;
  }
}

function thisProcess(token: string): Holder {
  const { startTime = "" } = processStatus(process.pid);
  return { pid: process.pid, start_time: startTime, ...machine(), token };
}

function machine(): Pick<Holder, "boot_id" | "pid_namespace"> {
  return {
    boot_id: systemText(() => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()) ?? "",
    pid_namespace: systemText(() => readlinkSync("/proc/self/ns/pid")) ?? "",
  };
}

/** Whether the holder's process, if it runs, is one that we can see. */
function isSeen(holder: Holder): boolean {
  const here = machine();
  return holder.boot_id === here.boot_id && holder.pid_namespace === here.pid_namespace;
}

function isSeenGone(holder: Holder): boolean {
  if (!isSeen(holder)) return false;
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    return systemCode(error) === "ESRCH";
  }
  const { state, startTime } = processStatus(holder.pid);
  if (state === undefined || holder.start_time === "") return false;
  return state === ZOMBIE || startTime !== holder.start_time;
}

/** Killed, but its parent has not asked for its exit code yet. */
const ZOMBIE = "Z";

/** Fields 3 and 22 of /proc/PID/stat; field 2 is the command in parentheses and may hold any character. */
function processStatus(pid: number): { state?: string; startTime?: string } {
  const text = systemText(() => readFileSync(`/proc/${pid}/stat`, "utf8"));
  if (text === undefined) return {};
  const [state = "", ...fields] = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { state, startTime: fields[18] ?? "" };
}

function systemText(read: () => string): string | undefined {
  try {
    return read();
  } catch {
    return undefined; // Not Linux, or /proc is hidden.
  }
}
