import { deflateRawSync, gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { DeliveryDecoder } from "../verify/decoder.ts";
import { GtidRanges } from "../verify/gtids.ts";
import { HashSet } from "../verify/hash-set.ts";
import { Journal } from "../verify/journal.ts";
import { readBatches, type RawRecord } from "../verify/kafka-wire.ts";
import { Random } from "../verify/random.ts";
import { SlotModel } from "../verify/slot-model.ts";
import { payload, tables } from "../verify/tables.ts";

describe("GTID ranges", () => {
  const uuid = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
  const ranges = new GtidRanges(`${uuid}:1-5:8:10-11,\n${uuid}:tag:20-30`);

  test.each([
    [1, true],
    [5, true],
    [6, false],
    [8, true],
    [9, false],
    [11, true],
    [12, false],
    [20, false],
  ])("of %i: %s", (number, expected) => {
    expect(ranges.has(`${uuid}:${number}`)).toBe(expected);
    expect(ranges.has(`${uuid.toUpperCase()}:${number}`)).toBe(expected);
  });

  test("hold nothing of another server, and nothing at all when empty", () => {
    expect(ranges.has(`00000000-71ca-11e1-9e33-c80aa9429562:1`)).toBe(false);
    expect(new GtidRanges("").has(`${uuid}:1`)).toBe(false);
  });
});

describe("the set of ids", () => {
  test("knows each of 200,000 similar ids from the others", () => {
    const set = new HashSet();
    let repeats = 0;
    for (let pass = 0; pass < 2; pass += 1) {
      for (let i = 0; i < 200_000; i += 1) {
        if (!set.add(`3e11fa47-71ca-11e1-9e33-c80aa9429562:${i >> 3}:shop.orders:${i & 7}`)) {
          repeats += 1;
        }
      }
    }
    expect(repeats).toBe(200_000);
    expect(set.size).toBe(200_000);
  });
});

describe("tables", () => {
  test.each(tables.map(table => [table.name, table] as const))(
    "%s: a slot is read back from the key that is made of it",
    (_, table) => {
      for (const slot of [0, 1, 7, 8, 9, 1000, 123_457]) {
        const values = table.values(slot, 5).map(value => value.replace(/^'|'$/g, ""));
        const image = Object.fromEntries(table.columns.map((column, i) => [column, values[i]]));
        expect(table.slot(image)).toBe(slot);
      }
    },
  );

  test("a row image of no table of ours has no slot", () => {
    for (const table of tables) expect(table.slot({})).toBeNaN();
  });
});

describe("the writer's model", () => {
  test("goes back to a savepoint", () => {
    const model = new SlotModel();
    model.begin();
    const [a, b] = [model.takeNew(), model.takeNew()];
    model.write(a, 1);
    const { mark } = model;
    model.write(a, 2);
    model.kill(a);
    model.write(b, 3);
    model.undo(mark);
    expect(model.aliveCount).toBe(1);
    expect(model.kill(a)).toBe(1);
  });

  test("goes back over a random walk to where it began", () => {
    const random = new Random(5, "model");
    const model = new SlotModel();
    model.begin();
    for (let i = 0; i < 50; i += 1) model.write(model.takeNew(), i + 1);
    const before = Array.from({ length: 50 }, (_, slot) => slot);
    model.begin();
    for (let i = 0; i < 2_000; i += 1) {
      const draw = random.next();
      if (draw < 0.4) model.write(model.takeDead(random), 100 + i);
      else if (draw < 0.6 || model.aliveCount < 5) model.write(model.takeNew(), 100 + i);
      else if (draw < 0.8) model.write(model.pickAlive(random), 100 + i);
      else model.kill(model.pickAlive(random));
    }
    model.undo(0);
    expect(model.aliveCount).toBe(50);
    for (const slot of before) expect(model.kill(slot)).toBe(slot + 1);
    expect(model.aliveCount).toBe(0);
  });
});

describe("the seed", () => {
  test("gives the same numbers again, and others to another stream", () => {
    const draw = (seed: number, stream: string): readonly number[] => {
      const random = new Random(seed, stream);
      return Array.from({ length: 5 }, () => random.int(0, 1_000_000));
    };
    expect(draw(1, "a")).toEqual(draw(1, "a"));
    expect(draw(1, "a")).not.toEqual(draw(1, "b"));
    expect(draw(1, "a")).not.toEqual(draw(2, "a"));
  });
});

describe("reading record batches", () => {
  const varint = (value: number): Buffer => {
    const bytes: number[] = [];
    let rest = value < 0 ? -value * 2 - 1 : value * 2;
    for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
    return Buffer.from([...bytes, rest]);
  };
  const sized = (bytes: Buffer | null): Buffer =>
    bytes === null ? varint(-1) : Buffer.concat([varint(bytes.length), bytes]);

  function record(offset: number, key: string | null, value: string | null): Buffer {
    const body = Buffer.concat([
      Buffer.from([0]),
      varint(300),
      varint(offset),
      sized(key === null ? null : Buffer.from(key)),
      sized(value === null ? null : Buffer.from(value)),
      varint(1),
      sized(Buffer.from("id")),
      sized(Buffer.from(`id ${offset}`)),
    ]);
    return sized(body);
  }

  function batch(
    first: number,
    records: readonly Buffer[],
    { lastDelta = records.length - 1, attributes = 0 } = {},
  ): Buffer {
    const plain = Buffer.concat(records);
    const body = (attributes & 7) === 1 ? gzipSync(plain) : plain;
    const head = Buffer.alloc(61);
    head.writeBigInt64BE(BigInt(first));
    head.writeInt32BE(49 + body.length, 8);
    head.writeInt8(2, 16);
    head.writeInt16BE(attributes, 21);
    head.writeInt32BE(lastDelta, 23);
    head.writeInt32BE(records.length, 57);
    return Buffer.concat([head, body]);
  }

  function read(bytes: Buffer, from = 0): { next: number; records: RawRecord[] } {
    const records: RawRecord[] = [];
    const next = readBatches(bytes, from, found => records.push(found));
    return { next, records };
  }

  test("gives keys, values, headers and offsets", () => {
    const { next, records } = read(batch(7, [record(0, "a", "x"), record(1, null, null)]));
    expect(next).toBe(9);
    expect(records.map(({ offset }) => offset)).toEqual([7, 8]);
    expect(records[0]?.key?.toString()).toBe("a");
    expect(records[0]?.headers).toEqual({ id: "id 0" });
    expect(records[1]?.key).toBeNull();
    expect(records[1]?.value).toBeNull();
  });

  test("passes a control batch, and a batch that compaction emptied", () => {
    const bytes = Buffer.concat([
      batch(0, [record(0, "k", "v")], { attributes: 32 }),
      batch(1, [], { lastDelta: 9 }),
      batch(11, [record(0, "a", "x")]),
    ]);
    const { next, records } = read(bytes);
    expect(next).toBe(12);
    expect(records.map(({ offset }) => offset)).toEqual([11]);
  });

  test("leaves out what stands before the offset asked for, and a batch that is cut off", () => {
    const whole = batch(0, [record(0, "a", "x"), record(1, "b", "y")]);
    const bytes = Buffer.concat([whole, batch(2, [record(0, "c", "z")]).subarray(0, 70)]);
    const { next, records } = read(bytes, 1);
    expect(next).toBe(2);
    expect(records.map(({ offset }) => offset)).toEqual([1]);
  });

  test("inflates gzip, and refuses what it cannot read", () => {
    const { records } = read(batch(0, [record(0, "a", "x")], { attributes: 1 }));
    expect(records[0]?.value?.toString()).toBe("x");
    expect(() => read(batch(0, [deflateRawSync("")], { attributes: 4 }))).toThrow(/Compression 4/);
  });
});

describe("decoding messages", () => {
  const journal = new Journal();
  for (const table of tables) journal.addTable(table);
  const decoder = new DeliveryDecoder({ journal, database: "shop" });
  const source = { db: "shop", table: "orders", file: "binlog.000012", pos: 345, gtid: "u:5" };
  const image = { id: 8, version: 21, payload: payload(21) };
  const place = { topic: "p.shop.orders", partition: 2 };
  const raw = (key: unknown, value: unknown): RawRecord => ({
    offset: 0,
    timestampMs: 0,
    key: key === null ? null : Buffer.from(JSON.stringify(key)),
    value: value === null ? null : Buffer.from(JSON.stringify(value)),
    headers: { id: "u:5:shop.orders:0", transaction: "u:5", position: "binlog.000012:345" },
  });

  test("gives row, version, position and ids", () => {
    const envelope = { before: null, after: image, op: "c", source };
    expect(decoder.record(raw({ id: 8 }, envelope), place)).toEqual({
      lane: "p.shop.orders/2",
      id: "u:5:shop.orders:0",
      transaction: "u:5",
      position: [12, 345],
      table: 0,
      slot: 7,
      kind: "create",
      version: 21,
      sound: true,
    });
  });

  test.each([
    ["a key of another row", { id: 9 }, image, source],
    ["another payload", { id: 8 }, { ...image, payload: "x" }, source],
    ["another table", { id: 8 }, image, { ...source, table: "lines" }],
  ])("is not sound with %s", (_, key, after, from) => {
    const envelope = { before: null, after, op: "c", source: from };
    expect(decoder.record(raw(key, envelope), place)?.sound).toBe(false);
  });

  test("is not sound where an image is there that does not belong", () => {
    const envelope = { before: image, after: image, op: "c", source };
    expect(decoder.record(raw({ id: 8 }, envelope), place)?.sound).toBe(false);
  });

  test("reads the version of a delete from what was, and tombstones from the key", () => {
    const envelope = { before: image, after: null, op: "d", source };
    expect(decoder.record(raw({ id: 8 }, envelope), place)).toMatchObject({
      kind: "delete",
      version: 21,
      sound: true,
    });
    expect(decoder.record(raw({ id: 8 }, null), place)).toMatchObject({
      kind: "tombstone",
      slot: 7,
    });
  });

  test("takes the transaction of a line from its source, and passes the line of a tombstone", () => {
    const line = JSON.stringify({ before: null, after: image, op: "c", source });
    expect(decoder.line(line, "file")).toMatchObject({
      id: undefined,
      transaction: "u:5",
      position: [12, 345],
      sound: true,
    });
    expect(decoder.line("null", "file")).toBeUndefined();
  });
});
