/**
 * The messages of one route that could not be sent, in a file: those of each lane in their order.
 *
 *   record   {"lane":…,"id":…,…,"bytes":n}\n  and n bytes of value and a line feed
 *   mark     {"sent":lane}\n                  the lane's first message was taken
 *
 * 1. A message is on disk, synced, before it counts as parked.
 * 2. A lane is held until all of its messages are sent and the marks of that are synced: otherwise a
 *    crash could send one of them again after newer ones.
 * 3. After a failed write the file is cut back to what is synced, and the same is written again; a disk
 *    that is full is waited for.
 * 4. When most of the file is sent, the rest is written to a new one that takes its place.
 * 5. A record that is cut off at the end was never parked. Anything else that cannot be read ends the
 *    sink: what follows it was promised to be sent.
 *
 * In memory there is, of each message, where it stands.
 */
import { setMaxListeners } from "node:events";
import { constants, type FileHandle, mkdir, open, readdir, rename, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Clock } from "../core/clock.ts";
import { assert, TidemarkError, toTidemarkError } from "../core/errors.ts";
import { Fifo } from "../core/fifo.ts";
import { closeFile, isPassing, syncFolder, systemCode } from "../core/files.ts";
import type { Logger } from "../core/logger.ts";
import { retrying } from "../core/retry.ts";
import { Wake } from "../core/signal.ts";
import type { Troubles } from "../core/troubles.ts";
import { encodeMark, encodeRecord, messageOf, readLines, type Slot } from "./webhook-park-file.ts";
import type { Message } from "./sink.ts";

export interface ParkFileOptions {
  readonly path: string;
  readonly maxBytes: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly troubles: Troubles | undefined;
  /** How files are opened; replaced by tests that need a failing disk. */
  readonly openFile?: typeof open;
}

/** Something to be written. */
interface Write {
  readonly lane: string;
  readonly data: Buffer;
  /** Bytes of a record's first line; undefined for a mark. */
  readonly header: number | undefined;
  /** Called when it is durable. */
  readonly done: (() => void) | undefined;
}

const BATCH_BYTES = 1024 * 1024;
const COPY_BYTES = 1024 * 1024;
/** Below this, nothing is gained by writing the rest anew. */
const COMPACT_BYTES_MIN = 4 * 1024 * 1024;
const FLAGS = constants.O_RDWR | constants.O_CREAT;
const MODE = 0o600;

export class Park {
  readonly #options: ParkFileOptions;
  readonly #lanes = new Map<string, Fifo<Slot>>();
  readonly #closing = new AbortController();
  readonly #freed = new Wake();
  /** Marks of each lane that are not durable. */
  readonly #marks = new Map<string, number>();
  #writes: Write[] = [];
  #handle: FileHandle | undefined;
  /** What is written and synced ends here. */
  #end = 0;
  /** Bytes of records that are not sent. */
  #liveBytes = 0;
  #isWriting = false;
  #failed: ((error: TidemarkError) => void) | undefined;

  constructor(options: ParkFileOptions) {
    this.#options = options;
    setMaxListeners(0, this.#closing.signal); // Each read waits on it.
  }

  /** Reads what an earlier run has left. `failed` is called if the file can no longer be written. */
  async open(failed: (error: TidemarkError) => void, signal: AbortSignal): Promise<void> {
    this.#failed = failed;
    const { path } = this.#options;
    await this.#retrying(`Opening ${path}`, signal, async () => {
      await this.#handle?.close();
      this.#handle = undefined;
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      this.#handle = await this.#open(path);
      await syncFolder(dirname(path));
      await this.#load(this.#handle);
    });
  }

  count(lane: string): number {
    return this.#lanes.get(lane)?.length ?? 0;
  }

  /** Whether the lane's next messages have to go here too. */
  holds(lane: string): boolean {
    return this.#lanes.has(lane) || this.#marks.has(lane);
  }

  lanes(): Iterable<string> {
    return [...this.#lanes.keys()];
  }

  /** All messages. */
  get length(): number {
    let length = 0;
    for (const slots of this.#lanes.values()) length += slots.length;
    return length;
  }

  /** Resolves when the messages are durable, behind what the lane has here; with room, in time. */
  append(lane: string, messages: readonly Message[]): Promise<void> {
    return new Promise(resolve => {
      for (const [index, message] of messages.entries()) {
        const { data, header } = encodeRecord(lane, message);
        const done = index === messages.length - 1 ? resolve : undefined;
        this.#writes.push({ lane, data, header, done });
      }
      this.#drain();
    });
  }

  async first(lane: string): Promise<Message> {
    const { path } = this.#options;
    return this.#retrying(`Reading ${path}`, this.#closing.signal, async () => {
      // Where it stands is looked up each time: the file may have been written anew.
      const slot = this.#lanes.get(lane)?.first;
      assert(slot !== undefined && this.#handle !== undefined, "nothing is parked for the lane");
      const data = Buffer.alloc(slot.bytes);
      await readAll(this.#handle, data, slot.at);
      return messageOf(data, slot.header);
    });
  }

  /** The lane's first message is taken. */
  shift(lane: string): void {
    this.#forget(lane);
    this.#marks.set(lane, (this.#marks.get(lane) ?? 0) + 1);
    const done = (): void => {
      const left = (this.#marks.get(lane) ?? 0) - 1;
      if (left > 0) this.#marks.set(lane, left);
      else this.#marks.delete(lane);
    };
    this.#writes.push({ lane, data: encodeMark(lane), header: undefined, done });
    this.#freed.notify();
    this.#drain();
  }

  async close(): Promise<void> {
    const { clock, path } = this.#options;
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(new TidemarkError("SINK_UNAVAILABLE", `${path} is closed.`));
    const handle = this.#handle;
    this.#handle = undefined;
    if (handle !== undefined) await closeFile(handle, clock);
  }

  async #open(path: string): Promise<FileHandle> {
    return (this.#options.openFile ?? open)(path, FLAGS, MODE);
  }

  async #load(handle: FileHandle): Promise<void> {
    this.#lanes.clear();
    this.#liveBytes = 0;
    const { path, logger } = this.#options;
    const { size } = await handle.stat();
    let end = 0;
    for await (const line of readLines(handle, size, path)) {
      end = line.end;
      if ("sent" in line) this.#forget(line.sent);
      else this.#remember(line.lane, line.slot);
    }
    if (end < size) {
      await handle.truncate(end);
      logger.info({ path, bytes: size - end }, "Cut off a torn record");
    }
    await handle.datasync();
    this.#end = end;
    if (this.length > 0)
      logger.info({ path, messages: this.length }, "Goes on with what is parked");
  }

  #remember(lane: string, slot: Slot): void {
    let slots = this.#lanes.get(lane);
    if (slots === undefined) this.#lanes.set(lane, (slots = new Fifo()));
    slots.push(slot);
    this.#liveBytes += slot.bytes;
  }

  #forget(lane: string): void {
    const slots = this.#lanes.get(lane);
    this.#liveBytes -= slots?.shift()?.bytes ?? 0;
    if (slots?.length === 0) this.#lanes.delete(lane);
  }

  #drain(): void {
    if (this.#isWriting || this.#closing.signal.aborted) return;
    this.#writeAll().catch((error: unknown) => {
      if (!this.#closing.signal.aborted) this.#failed?.(toTidemarkError(error));
    });
  }

  async #writeAll(): Promise<void> {
    this.#isWriting = true;
    try {
      while (this.#writes.length > 0) {
        const batch = await this.#next();
        const data = Buffer.concat(batch.map(write => write.data));
        await this.#append(data);
        let at = this.#end - data.length;
        for (const { data: written, lane, header, done } of batch) {
          if (header !== undefined) this.#remember(lane, { at, bytes: written.length, header });
          at += written.length;
          done?.();
        }
      }
    } finally {
      this.#isWriting = false;
    }
  }

  /** What is written next, as soon as the file has room for it. */
  async #next(): Promise<readonly Write[]> {
    for (;;) {
      const deadBytes = this.#end - this.#liveBytes;
      if (deadBytes > this.#liveBytes && deadBytes > COMPACT_BYTES_MIN) await this.#compact();
      const count = this.#fitting();
      if (count > 0) return this.#writes.splice(0, count);
      // Marks make room: they are written even if there is none, before the messages that wait for it.
      const marks = this.#writes.filter(isMark);
      if (marks.length > 0) {
        this.#writes = this.#writes.filter(write => !isMark(write));
        return marks;
      }
      if (this.#writes.length === 0) return [];
      if (deadBytes * 4 >= this.#options.maxBytes) await this.#compact();
      else await this.#freed.wait(this.#closing.signal);
    }
  }

  /** How many of the next writes make a batch. A message that is larger than the file may be goes alone. */
  #fitting(): number {
    let bytes = 0;
    let count = 0;
    for (const { data, header } of this.#writes) {
      const isTooMuch = this.#end + bytes + data.length > this.#options.maxBytes;
      if (bytes > BATCH_BYTES || (header !== undefined && isTooMuch)) break;
      bytes += data.length;
      count += 1;
    }
    return count === 0 && this.#liveBytes === 0 && this.#end === 0 ? 1 : count;
  }

  async #append(data: Buffer): Promise<void> {
    let isFirst = true;
    await this.#retrying(`Writing ${this.#options.path}`, this.#closing.signal, async () => {
      const handle = this.#handle;
      assert(handle !== undefined, "the park is not open");
      if (!isFirst) await handle.truncate(this.#end);
      isFirst = false;
      await writeAll(handle, data, this.#end);
      await handle.datasync();
    });
    this.#end += data.length;
  }

  /** Writes what is not sent to a new file. Lanes keep their order; lanes among each other need none. */
  async #compact(): Promise<void> {
    const { path } = this.#options;
    const marks: Write[] = [];
    await this.#retrying(`Writing ${path}`, this.#closing.signal, async () => {
      // What is marked as sent is not copied, so its mark must not be written either.
      marks.push(...this.#writes.filter(isMark));
      this.#writes = this.#writes.filter(write => !isMark(write));
      const old = this.#handle;
      assert(old !== undefined, "the park is not open");
      const next = await this.#open(`${path}.new`);
      try {
        await next.truncate(0);
        const { lanes, end } = await this.#copy(old, next);
        await next.datasync();
        await rename(`${path}.new`, path);
        await syncFolder(dirname(path));
        this.#handle = next;
        this.#replace(lanes, end);
      } catch (error) {
        await next.close().catch(() => undefined);
        throw error;
      }
      await old.close();
    });
    for (const { done } of marks) done?.();
  }

  async #copy(
    old: FileHandle,
    next: FileHandle,
  ): Promise<{ lanes: Map<string, Slot[]>; end: number }> {
    const lanes = new Map<string, Slot[]>();
    let end = 0;
    let parts: Buffer[] = [];
    let waiting = 0;
    const flush = async (): Promise<void> => {
      await writeAll(next, Buffer.concat(parts), end - waiting);
      parts = [];
      waiting = 0;
    };
    const snapshot = Array.from(this.#lanes, ([lane, slots]) => [lane, slots.items()] as const);
    for (const [lane, slots] of snapshot) {
      const copied: Slot[] = [];
      for (const { at, bytes, header } of slots) {
        const data = Buffer.alloc(bytes);
        await readAll(old, data, at);
        parts.push(data);
        copied.push({ at: end, bytes, header });
        end += bytes;
        waiting += bytes;
        if (waiting >= COPY_BYTES) await flush();
      }
      lanes.set(lane, copied);
    }
    await flush();
    return { lanes, end };
  }

  /** What was sent while it was copied is known by being gone from the front of its lane. */
  #replace(lanes: ReadonlyMap<string, readonly Slot[]>, end: number): void {
    for (const [lane, copied] of lanes) {
      const left = this.#lanes.get(lane)?.length ?? 0;
      if (left === 0) continue;
      const slots = new Fifo<Slot>();
      for (const slot of copied.slice(copied.length - left)) slots.push(slot);
      this.#lanes.set(lane, slots);
    }
    this.#end = end;
  }

  #retrying<T>(doing: string, signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
    const { clock, logger, troubles } = this.#options;
    const classify = (thrown: unknown): TidemarkError => {
      if (systemCode(thrown) === undefined) return toTidemarkError(thrown);
      const message = `${doing} failed: ${(thrown as Error).message}.`;
      const kind = isPassing(thrown) ? "SINK_UNAVAILABLE" : "SINK_SETTING";
      return new TidemarkError(kind, message, { cause: thrown });
    };
    const isUnreachable = (): boolean => false;
    return retrying(attempt, { clock, logger, signal, doing, classify, troubles, isUnreachable });
  }
}

/** The file of a route; the folder is shared by pipelines. */
export function parkPath(dir: string, pipeline: string, route: string): string {
  return join(dir, pipeline, `${route}.park`);
}

function isMark({ header }: Write): boolean {
  return header === undefined;
}

/**
 * Files of routes that are gone: their events were promised to be sent.
 *
 * @throws TidemarkError SINK_SETTING if there is one.
 */
export async function checkNoStray(
  dir: string,
  pipeline: string,
  routes: readonly string[],
): Promise<void> {
  const folder = join(dir, pipeline);
  const known = new Set(routes.map(route => parkPath(dir, pipeline, route)));
  const names = await readdir(folder).catch(() => []);
  for (const path of names.filter(name => name.endsWith(".park")).map(name => join(folder, name))) {
    if (known.has(path) || (await stat(path)).size === 0) continue;
    throw new TidemarkError(
      "SINK_SETTING",
      `${path} holds parked events of a route that is not configured. Add the route again, or move ` +
        "the file away to go on without them.",
    );
  }
}

async function writeAll(handle: FileHandle, data: Buffer, at: number): Promise<void> {
  for (let done = 0; done < data.length;) {
    const { bytesWritten } = await handle.write(data, done, data.length - done, at + done);
    done += bytesWritten;
  }
}

async function readAll(handle: FileHandle, data: Buffer, at: number): Promise<void> {
  for (let done = 0; done < data.length;) {
    const { bytesRead } = await handle.read(data, done, data.length - done, at + done);
    assert(bytesRead > 0, "a park file has become shorter");
    done += bytesRead;
  }
}
