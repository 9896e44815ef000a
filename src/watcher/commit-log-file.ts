/**
 * A commit log kept in files, all of them in one folder:
 *
 *   <pipeline>.json            the newest checkpoint
 *   <pipeline>.lock            who writes it (lock-file.ts)
 *   <pipeline>.uuid            the identity under which this pipeline replicates, made once at random
 *   <pipeline>.snapshot.json   what `tidemark snapshot` asked for last; written without the lock
 *
 * A checkpoint is written to a new file, synced, renamed over the old one, and the folder is synced. So a
 * crash at any moment leaves the old one or the new one, whole. The lock is looked at before each rename.
 */
import { randomUUID } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, unlink, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { compareCheckpoints, parseCheckpoint, type Checkpoint } from "../core/checkpoint.ts";
import { sleep, type Clock } from "../core/clock.ts";
import { assert, TidemarkError, toTidemarkError } from "../core/errors.ts";
import { isPassing, syncFolder, systemCode } from "../core/files.ts";
import type { Logger } from "../core/logger.ts";
import { retrying } from "../core/retry.ts";
import type { Troubles } from "../core/troubles.ts";
import { parseSnapshotRequest, type SnapshotRequest } from "../core/snapshot-request.ts";
import type { FollowEvents, LastRecord, ReplaceableCommitLog } from "./commit-log.ts";
import { LockFile } from "./lock-file.ts";

export interface CommitLogFileOptions {
  readonly dir: string;
  readonly pipeline: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly troubles?: Troubles | undefined;
  /** How files are opened for writing; replaced by tests that need a failing disk. */
  readonly openFile?: (path: string, flags: string, mode: number) => Promise<FileHandle>;
}

const FOLLOW_MS = 1_000;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export class CommitLogFile implements ReplaceableCommitLog {
  readonly #options: CommitLogFileOptions;
  readonly #lock: LockFile;
  readonly #path: string;
  readonly #closing = new AbortController();
  #isOpen = false;

  constructor(options: CommitLogFileOptions) {
    this.#options = options;
    const { dir, pipeline, clock } = options;
    this.#path = join(dir, `${pipeline}.json`);
    this.#lock = new LockFile({
      path: join(dir, `${pipeline}.lock`),
      what: `the commit log of pipeline ${pipeline}`,
      clock,
    });
  }

  open(signal: AbortSignal): Promise<Checkpoint | undefined> {
    return this.#open(signal, () => this.#read());
  }

  openToReplace(signal: AbortSignal): Promise<LastRecord> {
    return this.#open(signal, async () => {
      try {
        const checkpoint = await this.#read();
        return { checkpoint, generation: checkpoint?.generation ?? 0, damage: undefined };
      } catch (error) {
        const isDamage = error instanceof TidemarkError && error.code === "COMMIT_LOG_UNUSABLE";
        if (!isDamage || error instanceof ForeignCheckpoint) throw error;
        const text = (await readIfThere(this.#path)) ?? "";
        return { checkpoint: undefined, generation: readableGeneration(text), damage: error };
      }
    });
  }

  read(signal: AbortSignal): Promise<Checkpoint | undefined> {
    return this.#retrying(`Reading the commit log ${this.#path}`, signal, () => this.#read());
  }

  async #open<T>(signal: AbortSignal, read: () => Promise<T>): Promise<T> {
    const { dir } = this.#options;
    await this.#retrying(`Opening the commit log in ${dir}`, signal, async () => {
      await mkdir(dir, { recursive: true, mode: 0o700 });
      await this.#lock.acquire(signal);
    });
    this.#isOpen = true;
    try {
      return await this.#retrying(`Reading the commit log ${this.#path}`, signal, async () => {
        await this.#removeLeftovers();
        return read();
      });
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async append(checkpoint: Checkpoint, signal: AbortSignal): Promise<void> {
    const doing = `Writing the commit log ${this.#path}`;
    await this.#retrying(doing, signal, () =>
      this.#replace(this.#path, `${JSON.stringify(checkpoint)}\n`),
    );
  }

  async *watch(signal: AbortSignal): AsyncGenerator<Checkpoint, void, undefined> {
    let last: Checkpoint | undefined;
    for (;;) {
      const next = await this.read(signal);
      if (next !== undefined && (last === undefined || compareCheckpoints(next, last) > 0)) {
        last = next;
        yield next;
      }
      await sleep(this.#options.clock, FOLLOW_MS, signal);
    }
  }

  lastRequest(signal: AbortSignal): Promise<SnapshotRequest | undefined> {
    const doing = `Reading ${this.#requestPath}`;
    return this.#retrying(doing, signal, async () => {
      const text = (await readIfThere(this.#requestPath)) ?? "";
      return parseSnapshotRequest(text, this.#options.pipeline);
    });
  }

  async request(request: SnapshotRequest, signal: AbortSignal): Promise<void> {
    const path = this.#requestPath;
    const temporary = `${path}.${process.pid}`;
    await this.#retrying(`Writing ${path}`, signal, async () => {
      await this.#write(temporary, `${JSON.stringify(request)}\n`);
      await rename(temporary, path);
      await syncFolder(this.#options.dir);
    });
  }

  get #requestPath(): string {
    return join(this.#options.dir, `${this.#options.pipeline}.snapshot.json`);
  }

  async follow(signal: AbortSignal, events: FollowEvents = {}): Promise<void> {
    const { clock } = this.#options;
    let number = 0;
    while (!signal.aborted) {
      try {
        await sleep(clock, FOLLOW_MS, signal);
      } catch {
        return;
      }
      await this.#lock.check().catch((error: unknown) => {
        if (!isPassing(error)) throw this.#classify(error, "Looking at the lock");
      });
      const request = await this.lastRequest(signal).catch(ignoreAbort(signal));
      if (request !== undefined && request.number > number) {
        ({ number } = request);
        events.requested?.(request);
      }
      events.answered?.();
    }
  }

  stillOurs(signal: AbortSignal): Promise<void> {
    return this.#retrying("Looking at the lock", signal, () => this.#lock.check());
  }

  /** Random at first, and then always the same. */
  async replicaUuid(): Promise<string> {
    assert(this.#isOpen, "the commit log is not open");
    const path = join(this.#options.dir, `${this.#options.pipeline}.uuid`);
    const { signal } = this.#closing;
    return this.#retrying(`Keeping the replica's UUID in ${path}`, signal, async () => {
      const kept = (await readIfThere(path))?.trim();
      if (kept === undefined) {
        const uuid = randomUUID();
        await this.#replace(path, `${uuid}\n`);
        return uuid;
      }
      if (UUID.test(kept)) return kept;
      throw new TidemarkError("COMMIT_LOG_UNUSABLE", `${path} holds no UUID. Remove it.`);
    });
  }

  async close(): Promise<void> {
    this.#isOpen = false;
    this.#closing.abort();
    // What stays behind is a lock whose process is gone: the next one takes it over.
    await this.#lock.release().catch(() => undefined);
  }

  async #read(): Promise<Checkpoint | undefined> {
    const text = await readIfThere(this.#path);
    if (text === undefined) return undefined;
    const checkpoint = parseCheckpoint(text, this.#path);
    if (checkpoint.pipeline === this.#options.pipeline) return checkpoint;
    throw new ForeignCheckpoint(
      "COMMIT_LOG_UNUSABLE",
      `${this.#path} holds the checkpoint of pipeline ${checkpoint.pipeline}, not of ` +
        `${this.#options.pipeline}. Restore the right file, or choose another folder.`,
    );
  }

  /** The name holds our token: an instance that was replaced cannot write into its successor's file. */
  async #replace(path: string, text: string): Promise<void> {
    const temporary = `${path}.${this.#lock.token}.tmp`;
    await this.#lock.check();
    await this.#write(temporary, text);
    await this.#lock.check();
    await rename(temporary, path);
    await syncFolder(this.#options.dir);
  }

  async #write(path: string, text: string): Promise<void> {
    const { openFile = open } = this.#options;
    const handle = await openFile(path, "w", 0o600);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
  }

  /** Temporary files of instances that were killed while they wrote. */
  async #removeLeftovers(): Promise<void> {
    const { dir, pipeline } = this.#options;
    const mine = [`${pipeline}.json.`, `${pipeline}.lock.`, `${pipeline}.uuid.`];
    for (const name of await readdir(dir)) {
      if (!name.endsWith(".tmp") || !mine.some(prefix => name.startsWith(prefix))) continue;
      await unlink(join(dir, name)).catch(() => undefined);
    }
  }

  #retrying<T>(doing: string, signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
    const { clock, logger, troubles } = this.#options;
    const classify = (thrown: unknown): TidemarkError => this.#classify(thrown, doing);
    const isUnreachable = (): boolean => false;
    return retrying(attempt, { clock, logger, signal, doing, classify, troubles, isUnreachable });
  }

  #classify(thrown: unknown, doing: string): TidemarkError {
    const code = systemCode(thrown);
    if (code === undefined) return toTidemarkError(thrown);
    const message = `${doing} failed: ${(thrown as Error).message}.`;
    if (isPassing(thrown)) return new TidemarkError("SINK_UNAVAILABLE", message, { cause: thrown });
    const remedy = `The user that runs this must be able to write in the folder ${this.#options.dir}.`;
    return new TidemarkError("SINK_SETTING", `${message} ${remedy}`, { cause: thrown });
  }
}

/** It belongs to somebody, so it is never replaced. */
class ForeignCheckpoint extends TidemarkError {}

/** Of a record that is not whole. The lock keeps others away, so any number above it will do. */
function readableGeneration(text: string): number {
  const generation = Number(/"generation":(\d{1,15})\b/.exec(text)?.[1] ?? 0);
  return Number.isSafeInteger(generation) ? generation : 0;
}

function ignoreAbort(signal: AbortSignal): (thrown: unknown) => undefined {
  return thrown => {
    if (!signal.aborted) throw thrown;
  };
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  }
}
