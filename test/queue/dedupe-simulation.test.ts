/**
 * The de-duplication window in the ordered-commit core: random changes of a few rows, a sink and a commit log
 * that are slow, and a crash at any step.
 *
 * Safety: no record of the commit log is past a change that no delivered message stands for; the messages of a
 * row come in the order of its changes. Liveness: with a full queue and a long window, too, everything is
 * delivered and committed. In the end the consumer has what the tables have.
 */
import { describe, expect, test } from "vitest";
import type { Checkpoint } from "../../src/core/checkpoint.ts";
import { RowEventsFormat } from "../../src/formats/row-events.ts";
import { DedupeWindow } from "../../src/queue/dedupe-window.ts";
import { Encoder } from "../../src/queue/encoder.ts";
import { Flusher } from "../../src/queue/flusher.ts";
import { PendingChannel } from "../../src/queue/pending-channel.ts";
import { WaitingQueue } from "../../src/queue/waiting-queue.ts";
import type { Message } from "../../src/sinks/sink.ts";
import { CommitLogMap } from "../../src/watcher/commit-log-map.ts";
import { Progress } from "../../src/watcher/progress.ts";
import { Watcher } from "../../src/watcher/watcher.ts";
import { SERVER } from "../support/builders.ts";
import { ManualClock, settle } from "../support/manual-clock.ts";
import { between, seededRandom } from "../support/random.ts";
import { Consumer, History, type RowImage } from "./dedupe-model.ts";

const RUNS = 2_000;
const ENTRIES_MAX = 30;

/** What outlives a crash. */
interface World {
  readonly random: () => number;
  readonly history: History;
  readonly consumer: Consumer;
  /** By key: the last change that arrived. */
  readonly arrived: Map<string, number>;
  committed: number;
  generation: number;
  merged: number;
}

/** One life of the pipeline: ends in a crash, or drained if `faults` is false. */
class Life {
  readonly #world: World;
  readonly #faults: boolean;
  readonly #crash = new AbortController();
  readonly #clock = new ManualClock();
  readonly #waiting: WaitingQueue;
  readonly #pending: PendingChannel;
  readonly #flusher: Flusher;
  readonly #watcher: Watcher;
  readonly #lanes = new Map<string, Message[]>();
  readonly #callbacks: Message[] = [];
  readonly #seen = new Map<string, number>();
  readonly #base: number;
  #next: number;
  #append: { readonly checkpoint: Checkpoint; readonly done: () => void } | undefined;

  constructor(world: World, faults: boolean) {
    this.#world = world;
    this.#faults = faults;
    world.generation += 1;
    const { committed, generation, random } = world;
    // A person may have set others before the restart.
    const windowMs = [1, 200, 1_000, 1e9][between(random, 0, 3)] ?? 1;
    const maxBytes = [0, 2_000, 1e6][between(random, 0, 2)] ?? 0;
    const entriesMax = [1, 2, 6, 1_000][between(random, 0, 3)] ?? 1;
    this.#base = committed;
    this.#next = committed;
    const clock = this.#clock;
    this.#waiting = new WaitingQueue({ entriesMax, bytesMax: 45 });
    this.#pending = new PendingChannel({
      ...{ flushIntervalMs: 100, batchBytes: 30, bytesMax: 60, clock },
    });
    const map = new CommitLogMap();
    const progress = new Progress({
      ...{ pipeline: "p", reader: "test", delivery: "at-least-once", output: "", clock },
    });
    const boundary = { file: "binlog.000001", fileCreated: 1, position: committed };
    const position = { serverUuid: SERVER, boundary, gtidSet: "", transaction: undefined };
    progress.begin({ generation, position: { ...position, anonymous: false }, nextOffsets: {} });
    this.#watcher = new Watcher({
      ...{ queue: this.#waiting, map, progress, clock, intervalMs: 100, stallMs: 30_000 },
      commitLog: { append: checkpoint => this.#appended(checkpoint) },
    });
    const window = new DedupeWindow({
      ...{ pending: this.#pending, windowMs, maxBytes, clock },
      ...{ maxEntries: Math.floor(entriesMax / 2), parcelRows: 3, parcelBytes: 1_000_000 },
      wants: () => true,
      copied: seq => this.#waiting.releasePayload(seq),
      acknowledge: (seq, places) => map.acknowledge(seq, places),
      onMerged: () => (world.merged += 1),
    });
    this.#flusher = new Flusher({
      pending: window,
      encoder: new Encoder({
        format: new RowEventsFormat(clock),
        router: (_, name) => name,
        events: new Set(["insert", "update", "delete"]),
        idMark: () => `:g${generation}`,
      }),
      sink: { write: messages => this.#write(messages), room: () => Promise.resolve() },
      acknowledge: (parcel, places) => window.delivered(parcel, places),
      ...{ clock, chunkMessages: 4 },
    });
  }

  #write(messages: readonly Message[]): void {
    for (const message of messages) {
      const lane = `${message.table}/${message.key?.toString() ?? ""}`;
      const waiting = this.#lanes.get(lane);
      if (waiting === undefined) this.#lanes.set(lane, [message]);
      else waiting.push(message);
    }
  }

  /** What is committed must have arrived: for each row something at least as new. */
  #appended({ position }: Checkpoint): Promise<void> {
    const { history, arrived } = this.#world;
    for (const [key, index] of history.lastChanges(position)) {
      const last = arrived.get(key) ?? -1;
      if (last < index) throw new Error(`row ${key}: ${last} arrived, but ${index} is committed`);
    }
    return new Promise(resolve => {
      const checkpoint = { position } as Checkpoint;
      this.#append = { checkpoint, done: resolve };
    });
  }

  #read(): void {
    const { entries } = this.#world.history;
    const next = entries[this.#next];
    if (next === undefined || this.#pending.isFull || !this.#waiting.hasRoomFor(next.bytes)) return;
    const read = { ...next, seq: this.#next - this.#base };
    this.#next += 1;
    this.#waiting.push(read);
    this.#pending.push(read);
  }

  /** The first message of a lane arrives; that is told later. */
  #deliver(): void {
    const lanes = [...this.#lanes].filter(([, messages]) => messages.length > 0);
    const [, lane] = lanes[between(this.#world.random, 0, lanes.length - 1)] ?? [];
    const message = lane?.shift();
    if (message === undefined) return;
    this.#arrive(message);
    this.#callbacks.push(message);
  }

  #arrive(message: Message): void {
    const { history, arrived, consumer } = this.#world;
    const [, id = "", suffix = ""] = /^(.*):g\d+(:.)?$/.exec(message.id) ?? [];
    const change = history.changes.get(id);
    if (change === undefined) throw new Error(`${message.id} is the id of no change`);
    consumer.apply(message.value ?? Buffer.alloc(0));
    if (message.table !== "shop.keyed") return;
    const key = suffix === ":d" ? change.keys[0] : change.keys.at(-1);
    if (key === undefined) return;
    if ((this.#seen.get(key) ?? -1) >= change.index) throw new Error(`row ${key} goes back`);
    this.#seen.set(key, change.index);
    arrived.set(key, Math.max(arrived.get(key) ?? -1, change.index));
  }

  #callBack(): void {
    const index = between(this.#world.random, 0, this.#callbacks.length - 1);
    const [message] = this.#callbacks.splice(index, 1);
    if (message !== undefined) this.#flusher.delivered(message);
  }

  #commit(): void {
    const append = this.#append;
    if (append === undefined) return;
    this.#append = undefined;
    this.#world.committed = append.checkpoint.position;
    append.done();
  }

  async run(): Promise<void> {
    const { random, history } = this.#world;
    const { signal } = this.#crash;
    const life: { ended: boolean; failure?: unknown } = { ended: false };
    const finished = Promise.all([
      this.#flusher
        .run(signal)
        .then(() => this.#flusher.settled(signal))
        .then(() => this.#watcher.close()),
      this.#watcher.run(signal),
    ])
      .catch((error: unknown) => {
        if (!signal.aborted) life.failure = error;
      })
      .finally(() => (life.ended = true));
    // A slow commit log leaves much to a crash.
    const commits = [1, 0.02][between(random, 0, 1)] ?? 1;
    const crashAt = this.#faults
      ? between(random, 1, 5 * history.entries.length)
      : Number.POSITIVE_INFINITY;
    for (let step = 0; step < crashAt && !life.ended; step += 1) {
      if (step > 20_000) throw new Error("nothing moves any more");
      const moves = [
        (): void => this.#read(),
        (): void => this.#deliver(),
        (): void => this.#callBack(),
        (): void => {
          if (random() < commits) this.#commit();
        },
        (): void => this.#clock.advance(between(random, 1, 60)),
      ];
      moves[between(random, 0, moves.length - 1)]?.();
      // Also without more to read, what is held has to leave by itself.
      const isDone = this.#next === history.entries.length;
      if (isDone && !this.#faults && step % 500 === 499) this.#pending.close();
      if (random() < 0.5) await settle();
    }
    this.#crash.abort(new Error("crash"));
    this.#commitNothing();
    await finished;
    if (life.failure !== undefined) throw life.failure as Error;
  }

  #commitNothing(): void {
    this.#append?.done();
  }
}

async function simulate(seed: number, image: RowImage): Promise<World> {
  const random = seededRandom(seed);
  const world: World = {
    random,
    history: new History(random, image, between(random, 2, ENTRIES_MAX)),
    consumer: new Consumer(),
    arrived: new Map(),
    committed: 0,
    generation: 0,
    merged: 0,
  };
  const crashes = between(random, 0, 3);
  for (let crash = 0; crash < crashes; crash += 1) await new Life(world, true).run();
  await new Life(world, false).run();
  return world;
}

describe("the de-duplication window", () => {
  test.each(["full", "minimal", "noblob"] as const)(
    "loses no last state, with row images %s and a crash at any step",
    async image => {
      let merged = 0;
      for (let seed = 1; seed <= RUNS / 3; seed += 1) {
        const { history, consumer, committed, merged: some } = await simulate(seed, image);
        const sorted = (rows: ReadonlyMap<string, object>): unknown => [...rows].sort();
        expect(committed, `seed ${seed}: committed`).toBe(history.entries.length);
        expect(sorted(consumer.rows), `seed ${seed}: rows`).toEqual(sorted(history.rows));
        expect(consumer.loose, `seed ${seed}: rows without key`).toEqual(history.loose);
        merged += some;
      }
      expect(merged).toBeGreaterThan(RUNS);
    },
    300_000,
  );
});
