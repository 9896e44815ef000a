import { describe, expect, test } from "vitest";
import type { Entry } from "../../src/core/entry.ts";
import { Encoder } from "../../src/queue/encoder.ts";
import { Flusher } from "../../src/queue/flusher.ts";
import { PendingChannel } from "../../src/queue/pending-channel.ts";
import type { Message } from "../../src/sinks/sink.ts";
import { entry, rows, table } from "../support/builders.ts";
import { ManualClock, settle } from "../support/manual-clock.ts";

const never = new AbortController().signal;
const shape = table();

function change(count: number, operation: "insert" | "delete" = "insert"): Entry["changes"] {
  const cells = Array.from({ length: count }, (_, index) => [String(index), "x"]);
  return [
    {
      transaction: { id: "server:7", gtid: "server:7", thread: 1 },
      origin: { file: "binlog.000001", position: 150, serverId: 1, timestampS: 0 },
      rows: rows(shape, cells, operation),
      first: 0,
      count,
      firstNumber: 40,
      endsTransaction: false,
    },
  ];
}

function harness({ room = () => Promise.resolve(), badRow = -1 } = {}) {
  const clock = new ManualClock();
  const pending = new PendingChannel({
    flushIntervalMs: 0,
    batchBytes: 1000,
    bytesMax: 1_000_000,
    clock,
  });
  const written: Message[] = [];
  const acknowledged: number[] = [];
  const flusher = new Flusher({
    pending,
    encoder: new Encoder({
      format: {
        name: "test",
        write: (_, row, out) => {
          out.keys.integer(row);
          out.endKey();
          out.tombstone("");
          if (row === badRow) throw new Error("no value of its type");
        },
        noticeValue: ({ operation }) => Buffer.from(operation),
      },
      router: (database, name) => `${database}.${name}`,
      events: new Set(["insert", "truncate"]),
    }),
    sink: {
      write: messages => void written.push(...messages),
      room,
    },
    acknowledge: seq => void acknowledged.push(seq),
    clock,
    chunkMessages: 2,
  });
  return { pending, flusher, written, acknowledged };
}

describe("Flusher", () => {
  test("gives each row its id, destination and position", async () => {
    const { pending, flusher, written } = harness();
    pending.push(entry(0, { changes: change(2) }));
    void flusher.run(never);
    await settle();
    expect(written).toMatchObject([
      { id: "server:7:shop.orders:40", destination: "shop.orders", position: "binlog.000001:150" },
      { id: "server:7:shop.orders:41", table: "shop.orders", operation: "insert", keyed: true },
    ]);
  });

  test("lets an entry go when it is encoded, and does not hold it until the others are", async () => {
    const { pending, flusher } = harness({ room: () => new Promise(() => undefined) });
    for (const seq of [0, 1, 2]) pending.push(entry(seq, { changes: change(2) }));
    let held: readonly Entry[] = [];
    const take = pending.take.bind(pending);
    pending.take = async signal => (held = await take(signal));
    void flusher.run(never);
    await settle();
    expect(held.map(({ seq }) => seq)).toEqual([2, 1]);
  });

  test("acknowledges an entry when its last message is delivered, not before", async () => {
    const { pending, flusher, written, acknowledged } = harness();
    pending.push(entry(0, { changes: change(3) }));
    void flusher.run(never);
    await settle();
    for (const message of written.slice(0, 2)) flusher.delivered(message);
    expect(acknowledged).toEqual([]);
    flusher.delivered(written[2] as Message);
    expect(acknowledged).toEqual([0]);
  });

  test("does not take a delivery reported twice for that of another message", async () => {
    const { pending, flusher, written, acknowledged } = harness();
    pending.push(entry(0, { changes: change(2) }));
    void flusher.run(never);
    await settle();
    flusher.delivered(written[0] as Message);
    flusher.delivered(written[0] as Message);
    expect(acknowledged).toEqual([]);
  });

  test("acknowledges at once what yields no message: marks, and operations not wanted", async () => {
    const { pending, flusher, acknowledged } = harness();
    pending.push(entry(0));
    pending.push(entry(1, { changes: change(2, "delete") }));
    void flusher.run(never);
    await settle();
    expect(acknowledged).toEqual([0, 1]);
  });

  test("sends what stands in front of a row that cannot be encoded, and never acknowledges its entry", async () => {
    const { pending, flusher, written, acknowledged } = harness({ badRow: 2 });
    pending.push(entry(0, { changes: change(1) }));
    pending.push(entry(1, { changes: change(4) }));
    pending.push(entry(2, { changes: change(1) }));
    await expect(flusher.run(never)).rejects.toMatchObject({ code: "EVENT_UNREADABLE" });
    expect(written.map(({ seq, id }) => [seq, id.slice(-2)])).toEqual([
      [0, "40"],
      [1, "40"],
      [1, "41"],
    ]);
    const state = { settled: false };
    const settled = flusher.settled(never).then(() => (state.settled = true));
    for (const message of written.slice(0, 2)) flusher.delivered(message);
    await settle();
    expect(state.settled).toBe(false);
    flusher.delivered(written[2] as Message);
    await settled;
    expect(acknowledged).toEqual([0]);
  });

  test("sends what is told of a whole table alone: behind all of before, in front of all that follows", async () => {
    const { pending, flusher, written, acknowledged } = harness();
    pending.push(entry(0, { changes: change(1) }));
    const [{ transaction, origin }] = change(1) as [Entry["changes"][number]];
    const notice = { operation: "truncate", database: "shop", table: "orders" } as const;
    pending.push(entry(1, { notice: { ...notice, transaction, origin } }));
    pending.push(entry(2, { changes: change(1) }));
    void flusher.run(never);
    await settle();
    expect(written.map(({ seq }) => seq)).toEqual([0]);
    flusher.delivered(written[0] as Message);
    await settle();
    expect(written.map(({ id }) => id).slice(1)).toEqual(["server:7:shop.orders:ddl:0"]);
    const [, told] = written as [Message, Message];
    expect(told.forPartition?.(2)).toMatchObject({
      ...{ id: "server:7:shop.orders:ddl:2", key: null, seq: 1, index: 0 },
    });
    flusher.delivered(told);
    await settle();
    expect(written.map(({ seq }) => seq)).toEqual([0, 1, 2]);
    expect(acknowledged).toEqual([0, 1]);
  });

  test("acknowledges what is told of a table where the format has no word for it", async () => {
    const { pending, flusher, written, acknowledged } = harness();
    const [{ transaction, origin }] = change(1) as [Entry["changes"][number]];
    const notice = { operation: "gap", database: "shop", table: "orders" } as const;
    pending.push(entry(0, { notice: { ...notice, transaction, origin } }));
    void flusher.run(never);
    await settle();
    expect([written, acknowledged]).toEqual([[], [0]]);
  });

  test("ends only when everything it sent is delivered", async () => {
    const { pending, flusher, written } = harness();
    pending.push(entry(0, { changes: change(1) }));
    pending.close();
    const state = { ended: false };
    const run = flusher
      .run(never)
      .then(() => flusher.settled(never))
      .then(() => (state.ended = true));
    await settle();
    expect(state.ended).toBe(false);
    flusher.delivered(written[0] as Message);
    await run;
  });
});
