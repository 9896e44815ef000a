/** A table without a key, beside a stream that changes it: what comes before its rows, what behind them. */
import { describe, expect, test } from "vitest";
import type { Entry } from "../../src/core/entry.ts";
import { TidemarkError } from "../../src/core/errors.ts";
import { silentLogger } from "../../src/core/logger.ts";
import type { Rows } from "../../src/core/rows.ts";
import { NOTHING_COPIED } from "../../src/core/snapshot-state.ts";
import { ChunkSize } from "../../src/snapshot/chunk-size.ts";
import {
  KeyMissing,
  type ChunkSource,
  type LockPlace,
  type TableLocks,
} from "../../src/snapshot/chunk-source.ts";
import { Copiers } from "../../src/snapshot/copiers.ts";
import { HandedOut } from "../../src/snapshot/handed-out.ts";
import { Interleaved } from "../../src/snapshot/interleaved.ts";
import { Pace } from "../../src/snapshot/pace.ts";
import { mark, rows, SERVER, table } from "../support/builders.ts";
import { ManualClock, settle } from "../support/manual-clock.ts";

const SHAPE = table({ primaryKey: [] });
const FILE = "binlog.000001";
const OTHER = "6db3edf2-e588-11f1-8730-02fc00000002";

/** It has no table with a key. */
const source: ChunkSource = {
  end: () => Promise.resolve({ file: FILE, position: 0, gtids: "" }),
  caughtUp: () => Promise.resolve(),
  read: ({ table: id }) => Promise.reject(new KeyMissing(id)),
  seenBeside: () => Promise.resolve(""),
  stillThere: () => Promise.resolve(""),
  close: () => undefined,
};

/** A table that is locked at a place, and whose rows come one by one as the test wants. */
class FakeLocks implements TableLocks {
  readonly #gates: ((row: string | undefined | Error) => void)[] = [];
  readonly places: LockPlace[];
  isBusy = false;
  opened = 0;
  closed = 0;

  constructor(...places: readonly LockPlace[]) {
    this.places = [...places];
  }

  open(_: string, locked: (place: LockPlace) => void): ReturnType<TableLocks["open"]> {
    this.opened += 1;
    if (this.isBusy) return Promise.resolve("busy");
    const place = this.places.shift();
    if (place === undefined) return Promise.resolve("gone");
    locked(place);
    const close = (): void => {
      this.closed += 1;
      void this.answer(new TidemarkError("SOURCE_UNAVAILABLE", "closed"));
    };
    return Promise.resolve({ batches: this.#rows(), close });
  }

  async *#rows(): AsyncGenerator<Rows> {
    for (;;) {
      const row = await new Promise<string | undefined | Error>(resolve =>
        this.#gates.push(resolve),
      );
      if (row === undefined) return;
      if (row instanceof Error) throw row;
      yield rows(SHAPE, [[row, "x"]], "read");
    }
  }

  /** Undefined ends the table. */
  async answer(row: string | undefined | Error): Promise<void> {
    this.#gates.shift()?.(row);
    await settle();
  }
}

/** What the pipeline is given, as text. */
class Run {
  readonly out: string[] = [];
  readonly clock = new ManualClock();
  readonly #waiting: Entry[] = [];
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #wake: () => void = () => undefined;

  constructor(locks: TableLocks | undefined) {
    const { clock } = this;
    const handedOut = new HandedOut(mark(0));
    const copiers = new Copiers({
      ...{ handedOut, clock, logger: silentLogger, locks, generation: 7, windowed: true },
      pace: new Pace(Infinity, clock),
      copiers: [{ source, size: new ChunkSize(2, 1e6) }],
      announce: (_, until) => {
        this.out.push(`announced ${JSON.stringify(until)}`);
        return Promise.resolve();
      },
    });
    copiers.add([{ id: "shop.orders", run: "1", known: NOTHING_COPIED }]);
    const stream = { entries: (signal: AbortSignal) => this.#stream(signal) };
    const all = new Interleaved({ stream, copiers, handedOut, serverId: 1, clock });
    this.#running = this.#take(all.entries(this.#stop.signal));
    this.#running.catch(() => undefined);
  }

  async *#stream(signal: AbortSignal): AsyncGenerator<readonly Entry[], void, undefined> {
    while (!signal.aborted) {
      const entry = this.#waiting.shift();
      if (entry !== undefined) yield [entry];
      else await new Promise<void>(resolve => (this.#wake = resolve));
    }
  }

  async #take(entries: AsyncGenerator<readonly Entry[], void, undefined>): Promise<void> {
    for await (const some of entries) for (const entry of some) this.out.push(textOf(entry));
  }

  /** The stream has a row that was inserted at this place. */
  async insert(id: string, position: number, serverUuid = SERVER): Promise<void> {
    const boundary = { file: FILE, fileCreated: 1, position: position + 5 };
    const change = {
      transaction: { id: `${serverUuid}:${id}`, gtid: undefined, thread: undefined },
      origin: { file: FILE, position, serverId: 1, timestampS: 0 },
      ...{ rows: rows(SHAPE, [[id, "x"]]), first: 0, count: 1, firstNumber: 0 },
      endsTransaction: true,
    };
    this.#waiting.push({
      ...{ seq: 0, bytes: 1, changes: [change], mark: mark(0, { boundary, serverUuid }) },
    });
    this.#wake();
    await settle();
  }

  async end(): Promise<void> {
    this.#stop.abort();
    this.#wake();
    await this.#running;
  }

  get failure(): Promise<void> {
    return this.#running;
  }
}

function textOf({ changes, notice, mark: { snapshot } }: Entry): string {
  if (notice !== undefined) return `${notice.operation} ${notice.transaction.id}`;
  if (snapshot?.done === true) return `done ${snapshot.rows}`;
  const [change] = changes;
  const cell = change?.rows.cell(change.first, "after", 0).toString() ?? "";
  return `${change?.rows.operation} ${cell}`;
}

const at = (position: number, serverUuid = SERVER): LockPlace => ({
  serverUuid,
  file: FILE,
  position,
});

describe("a table without a key", () => {
  test("stands whole in front of what changed it behind its lock", async () => {
    const locks = new FakeLocks(at(100));
    const run = new Run(locks);
    await settle();
    await run.insert("early", 50);
    await run.insert("late", 100);
    await run.insert("later", 200);
    await locks.answer("a");
    await locks.answer("b");
    expect(run.out.at(-1)).toBe("read b");
    await locks.answer(undefined);
    expect(run.out).toEqual([
      ...["announced {}", "insert early", "truncate snapshot/1-7.1"],
      ...["read a", "read b", "done 2", "insert late", "insert later"],
    ]);
    expect(locks.closed).toBe(1);
    await run.end();
  });

  test("waits for the stream to get to its place", async () => {
    const locks = new FakeLocks(at(100));
    const run = new Run(locks);
    await settle();
    await locks.answer("a");
    await run.insert("early", 50);
    expect(run.out).toEqual(["announced {}", "insert early"]);
    await run.insert("last", 95);
    expect(run.out.slice(2)).toEqual(["insert last", "truncate snapshot/1-7.1", "read a"]);
    await run.end();
  });

  test("is emptied and sent again under other ids where its rows break off", async () => {
    const locks = new FakeLocks(at(100), at(300));
    const run = new Run(locks);
    await settle();
    await run.insert("late", 100);
    await locks.answer("a");
    await locks.answer(new TidemarkError("SOURCE_UNAVAILABLE", "cut"));
    run.clock.advance(100);
    await settle();
    expect(run.out.at(-1)).toBe("insert late");
    await run.insert("later", 300);
    await locks.answer("b");
    await locks.answer(undefined);
    expect(run.out).toEqual([
      ...["announced {}", "truncate snapshot/1-7.1", "read a", "insert late"],
      ...["truncate snapshot/1-7.2", "read b", "done 1", "insert later"],
    ]);
    await run.end();
  });

  test("is locked anew where the stream goes on from another server", async () => {
    const locks = new FakeLocks(at(100), at(60, OTHER));
    const run = new Run(locks);
    await settle();
    await run.insert("there", 10, OTHER);
    expect(run.out).toEqual(["announced {}", "insert there"]);
    run.clock.advance(60_000);
    await settle();
    await run.insert("behind", 60, OTHER);
    await locks.answer("a");
    await locks.answer(undefined);
    expect(run.out.slice(2)).toEqual([
      ...["truncate snapshot/1-7.2", "read a", "done 1", "insert behind"],
    ]);
    await run.end();
  });

  test("is asked for again, and not at once, where a transaction holds it", async () => {
    const locks = new FakeLocks(at(0));
    locks.isBusy = true;
    const run = new Run(locks);
    await settle();
    await run.insert("meanwhile", 50);
    run.clock.advance(900);
    await settle();
    expect(locks.opened).toBe(1);
    locks.isBusy = false;
    run.clock.advance(2_000);
    await settle();
    await locks.answer(undefined);
    expect(run.out).toEqual([
      ...["announced {}", "insert meanwhile", "truncate snapshot/1-7.1", "done 0"],
    ]);
    await run.end();
  });

  test("that is gone is done with, and one that may not be locked is refused", async () => {
    const run = new Run(new FakeLocks());
    await settle();
    expect(run.out).toEqual(["announced {}", "done 0"]);
    await run.end();
    await expect(new Run(undefined).failure).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  });
});
