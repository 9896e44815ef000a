/**
 * The ordered-commit core against a model: real queue, channel, flusher, map and watcher; a sink and a
 * commit log that deliver late, out of order, twice, or not at all; and a crash at any step.
 *
 * Safety: no record of the commit log is past a message that is not durable at the destination.
 * Liveness: once the faults end, everything is delivered, released and committed.
 */
import { expect, test } from "vitest";
import type { Checkpoint } from "../src/core/checkpoint.ts";
import type { Entry } from "../src/core/entry.ts";
import { Flusher } from "../src/queue/flusher.ts";
import { PendingChannel } from "../src/queue/pending-channel.ts";
import { WaitingQueue } from "../src/queue/waiting-queue.ts";
import type { Message } from "../src/sinks/sink.ts";
import { CommitLogMap } from "../src/watcher/commit-log-map.ts";
import { Progress } from "../src/watcher/progress.ts";
import { Watcher } from "../src/watcher/watcher.ts";
import { mark, SERVER } from "./support/builders.ts";
import { ManualClock, settle } from "./support/manual-clock.ts";
import { between, seededRandom } from "./support/random.ts";

const RUNS = 10_000;
const ENTRIES = 12;
const LANES = 3;

/** What outlives a crash: the messages at the destination, in order a lane, and the commit log. */
interface World {
  readonly random: () => number;
  /** How many messages each entry of the source yields. */
  readonly messagesOf: readonly number[];
  readonly lanes: string[][];
  readonly durable: Set<string>;
  committed: number;
  generation: number;
}

const messageId = (entry: number, index: number): string => `${entry}:${index}`;
const laneOf = (entry: number, index: number): number => (entry * 7 + index) % LANES;

/** One life of the pipeline: ends in a crash, or drained if `faults` is false. */
class Life {
  readonly clock = new ManualClock();
  readonly waiting: WaitingQueue;
  readonly pending: PendingChannel;
  readonly flusher: Flusher;
  readonly watcher: Watcher;
  readonly #world: World;
  readonly #faults: boolean;
  readonly #crash = new AbortController();
  readonly #inFlight: Message[][] = Array.from({ length: LANES }, () => []);
  readonly #delivered: Message[] = [];
  #pendingAppend: { checkpoint: Checkpoint; done: () => void } | undefined;
  #next: number;
  readonly #base: number;

  constructor(world: World, faults: boolean) {
    this.#world = world;
    this.#faults = faults;
    world.generation += 1;
    this.#base = world.committed;
    this.#next = world.committed;
    this.waiting = new WaitingQueue({ entriesMax: 6, bytesMax: 45 });
    const map = new CommitLogMap();
    const clock = this.clock;
    this.pending = new PendingChannel({
      flushIntervalMs: 100,
      batchBytes: 30,
      bytesMax: 1_000_000,
      clock,
    });
    const progress = new Progress({
      pipeline: "p",
      reader: "test",
      delivery: "at-least-once",
      output: "",
      clock,
    });
    progress.begin({
      generation: world.generation,
      position: {
        serverUuid: SERVER,
        boundary: { file: "binlog.000001", fileCreated: 1, position: world.committed },
        gtidSet: "",
        transaction: undefined,
        anonymous: false,
      },
      nextOffsets: {},
    });
    this.watcher = new Watcher({
      queue: this.waiting,
      map,
      progress,
      commitLog: { append: (checkpoint, signal) => this.#append(checkpoint, signal) },
      clock,
      intervalMs: 100,
      stallMs: 30_000,
    });
    if (this.#next === world.messagesOf.length) this.pending.close();
    this.flusher = new Flusher({
      pending: this.pending,
      encoder: {
        encode: (read: Entry, messages: Message[]) => void messages.push(...this.#encode(read)),
      },
      sink: { write: messages => this.#write(messages), room: () => Promise.resolve() },
      acknowledge: (seq, places) => {
        map.acknowledge(seq, places);
        this.waiting.releasePayload(seq);
      },
      clock,
      chunkMessages: 4,
    });
  }

  #encode(entry: Entry): Message[] {
    const source = this.#base + entry.seq;
    return Array.from({ length: this.#world.messagesOf[source] ?? 0 }, (_, index) => ({
      seq: entry.seq,
      index,
      bytes: 0,
      id: messageId(source, index),
      destination: String(laneOf(source, index)),
      partitionKey: Buffer.alloc(0),
      key: null,
      value: null,
      transaction: "",
      position: "",
      table: "shop.orders",
      operation: "insert",
      keyed: true,
    }));
  }

  #write(messages: readonly Message[]): void {
    for (const message of messages) this.#inFlight[Number(message.destination)]?.push(message);
  }

  #append(checkpoint: Checkpoint, signal: AbortSignal): Promise<void> {
    for (let source = 0; source < checkpoint.position; source += 1) {
      for (let index = 0; index < (this.#world.messagesOf[source] ?? 0); index += 1) {
        const id = messageId(source, index);
        if (!this.#world.durable.has(id)) throw new Error(`${id} is committed but not delivered`);
      }
    }
    return new Promise((resolve, reject) => {
      signal.addEventListener("abort", () => reject(new Error("crash")), { once: true });
      this.#pendingAppend = { checkpoint, done: resolve };
    });
  }

  #read(): void {
    const { random, messagesOf } = this.#world;
    if (this.#next >= messagesOf.length) return;
    const bytes = between(random, 1, 20);
    if (!this.waiting.hasRoomFor(bytes)) return;
    const seq = this.#next - this.#base;
    const read = { seq, bytes, changes: [], mark: mark(this.#next + 1) };
    this.#next += 1;
    this.waiting.push(read);
    this.pending.push(read);
    if (this.#next === messagesOf.length) this.pending.close();
  }

  /** The destination takes the first messages of a lane; the callback may be late, repeated or lost. */
  #deliver(): void {
    const { random, lanes, durable } = this.#world;
    const lane = between(random, 0, LANES - 1);
    const taken = this.#inFlight[lane]?.splice(0, between(random, 1, 3)) ?? [];
    for (const message of taken) {
      lanes[lane]?.push(message.id);
      durable.add(message.id);
      this.#delivered.push(message);
    }
  }

  #callBack(): void {
    const { random } = this.#world;
    if (this.#delivered.length === 0) return;
    const index = between(random, 0, this.#delivered.length - 1);
    const message = this.#delivered[index];
    if (message === undefined) return;
    this.flusher.delivered(message);
    if (random() < 0.3) this.flusher.delivered(message);
    if (random() < 0.8) this.#delivered.splice(index, 1);
  }

  #commit(): void {
    const append = this.#pendingAppend;
    if (append === undefined) return;
    this.#pendingAppend = undefined;
    this.#world.committed = append.checkpoint.position;
    append.done();
  }

  async run(): Promise<void> {
    const { random } = this.#world;
    const signal = this.#crash.signal;
    const running = Promise.all([
      this.flusher
        .run(signal)
        .then(() => this.flusher.settled(signal))
        .then(() => this.watcher.close()),
      this.watcher.run(signal),
    ]);
    const life: { ended: boolean; failure?: unknown } = { ended: false };
    const finished = running
      .catch((error: unknown) => {
        if (!signal.aborted) life.failure = error;
      })
      .finally(() => (life.ended = true));
    const crashAt = this.#faults ? between(random, 1, 40) : Number.POSITIVE_INFINITY;
    for (let step = 0; step < crashAt && !life.ended; step += 1) {
      if (step > 5_000) throw new Error("nothing moves any more");
      const moves = [
        (): void => this.#read(),
        (): void => this.#deliver(),
        (): void => this.#callBack(),
        (): void => this.#commit(),
        (): void => this.clock.advance(between(random, 1, 120)),
      ];
      moves[between(random, 0, moves.length - 1)]?.();
      if (random() < 0.5) await settle();
    }
    this.#crash.abort(new Error("crash"));
    await finished;
    if (life.failure !== undefined) throw life.failure as Error;
  }
}

/** The first occurrence of each message in a lane must stand in source order. */
function firstsInOrder(lane: readonly string[]): boolean {
  const firsts = [...new Set(lane)].map(id => {
    const [source = "0", index = "0"] = id.split(":");
    return Number(source) * 1000 + Number(index);
  });
  return firsts.every((value, index) => index === 0 || value > (firsts[index - 1] ?? 0));
}

test(`never commits past a gap, and ends with everything delivered (${RUNS} runs)`, async () => {
  for (let seed = 1; seed <= RUNS; seed += 1) {
    const random = seededRandom(seed);
    const world: World = {
      random,
      messagesOf: Array.from({ length: ENTRIES }, () => between(random, 0, 4)),
      lanes: Array.from({ length: LANES }, () => []),
      durable: new Set(),
      committed: 0,
      generation: 0,
    };
    const crashes = between(random, 0, 3);
    for (let crash = 0; crash < crashes; crash += 1) await new Life(world, true).run();
    await new Life(world, false).run();
    const total = world.messagesOf.reduce((sum, count) => sum + count, 0);
    expect(world.durable.size, `seed ${seed}: delivered`).toBe(total);
    expect(world.committed, `seed ${seed}: committed`).toBe(ENTRIES);
    expect(world.lanes.every(firstsInOrder), `seed ${seed}: order`).toBe(true);
  }
}, 300_000);
