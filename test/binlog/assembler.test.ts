import { describe, expect, test } from "vitest";
import { Assembler, type AssemblerOptions } from "../../src/binlog/assembler.ts";
import type { BinlogEvent } from "../../src/binlog/reader.ts";
import type { SourcePosition } from "../../src/core/checkpoint.ts";
import type { Entry } from "../../src/core/entry.ts";
import { TidemarkError, toTidemarkError } from "../../src/core/errors.ts";
import type { Rows } from "../../src/core/rows.ts";
import { rows, SERVER, table } from "../support/builders.ts";

const FILE = "binlog.000007";
const CREATED = 1_790_000_000;
const COMMITTED_AT_US = 1_790_000_100_123_456;
const gtid = (n: number): string => `${SERVER}:${n}`;

const start = (options: Partial<SourcePosition> = {}): SourcePosition => ({
  serverUuid: SERVER,
  boundary: { file: FILE, fileCreated: CREATED, position: 200 },
  gtidSet: `${SERVER}:1-9`,
  transaction: undefined,
  anonymous: false,
  ...options,
});

function assembler(options: Partial<AssemblerOptions> = {}): Assembler {
  return new Assembler({
    start: start(),
    serverUuid: SERVER,
    entryBytesMax: 64 * 1024,
    entryRowsMax: 500,
    rowBytesMax: 1024 * 1024,
    ...options,
  });
}

const header = (position: number) => ({
  position,
  nextPosition: position + 10,
  timestampS: 1_790_000_100,
  serverId: 1,
});
const file = (name = FILE, fileCreated = CREATED): BinlogEvent => ({
  kind: "file",
  file: name,
  fileCreated,
});
const numbered = (from: number, count: number): Rows =>
  rows(
    table(),
    Array.from({ length: count }, (_, index) => [String(from + index), "x"]),
  );
const rowsAt = (position: number, data: Rows): BinlogEvent => ({
  kind: "rows",
  ...header(position),
  rows: data,
});

/** gtid, begin, the rows events given, commit; ten bytes each from `position` on. */
function transaction(position: number, id: string | undefined, ...data: Rows[]): BinlogEvent[] {
  let at = position;
  const next = () => {
    at += 10;
    return header(at - 10);
  };
  return [
    { kind: "gtid", ...next(), gtid: id, committedAtUs: COMMITTED_AT_US },
    { kind: "begin", ...next(), thread: 8 },
    ...data.map((each): BinlogEvent => ({ kind: "rows", ...next(), rows: each })),
    { kind: "commit", ...next() },
  ];
}

function push(target: Assembler, events: readonly BinlogEvent[]): Entry[] {
  return events.flatMap(event => [...target.push(event)]);
}

function thrownBy(action: () => unknown): TidemarkError {
  try {
    action();
  } catch (thrown) {
    return toTidemarkError(thrown);
  }
  throw new Error("nothing was thrown");
}

describe("Assembler", () => {
  test("makes an entry of its own of a statement that empties a table, with the end of the statement", () => {
    const target = assembler();
    const orders = { database: "shop", table: "orders" };
    const statement = { kind: "statement", database: "shop", sql: "TRUNCATE orders" } as const;
    const truncate = (position: number, id: string): Entry[] => [
      ...target.push({ kind: "gtid", ...header(position), gtid: id }),
      ...target.push({ ...statement, ...header(position + 10) }, orders),
    ];
    // So many transactions without rows that the next one would be cut off with its GTID.
    push(target, [file()]);
    for (let i = 0; i < 999; i += 1) push(target, transaction(200, gtid(10 + i)));
    const [told, ...more] = truncate(300, gtid(1009));
    expect(more).toEqual([]);
    expect(told).toMatchObject({
      ...{ seq: 0, changes: [], mark: { boundary: { position: 320 }, transaction: undefined } },
      notice: {
        ...{ operation: "truncate", ...orders, transaction: { id: gtid(1009) } },
        origin: { file: FILE, position: 310 },
      },
    });
    expect(told?.mark.gtids).toHaveLength(1000);
    // Delivered before the start: it is passed over.
    expect(truncate(400, gtid(3))).toEqual([]);
    expect(target.flush()).toMatchObject([{ seq: 1, changes: [] }]);
  });

  test("makes one entry of a small transaction, with its end as boundary", () => {
    const target = assembler();
    const [only, ...more] = push(target, [file(), ...transaction(200, gtid(10), numbered(1, 3))]);
    expect(more).toEqual([]);
    expect(only).toMatchObject({
      seq: 0,
      mark: {
        boundary: { file: FILE, fileCreated: CREATED, position: 240 },
        gtids: [gtid(10)],
        transaction: undefined,
      },
    });
    expect(only?.changes).toMatchObject([
      {
        transaction: { id: gtid(10), thread: 8, committedAtUs: COMMITTED_AT_US },
        ...{ first: 0, count: 3, firstNumber: 0 },
      },
    ]);
  });

  test("keeps the boundary before a transaction until its last row is in an entry", () => {
    const target = assembler({ entryRowsMax: 4 });
    const entries = push(target, [file(), ...transaction(200, gtid(10), numbered(1, 10))]);
    expect(entries.map(each => each.mark.boundary.position)).toEqual([200, 200, 240]);
    expect(entries.map(each => each.mark.gtids)).toEqual([[], [], [gtid(10)]]);
    expect(entries.map(each => each.mark.transaction?.tables["shop.orders"]?.rows)).toEqual([
      4,
      8,
      undefined,
    ]);
    expect(entries.flatMap(each => each.changes.map(change => change.firstNumber))).toEqual([
      0, 4, 8,
    ]);
  });

  test("cuts entries by bytes as well as by rows", () => {
    const wide = rows(
      table(),
      [1, 2, 3].map(id => [String(id), "y".repeat(600)]),
    );
    const entries = push(assembler({ entryBytesMax: 1000 }), [
      file(),
      ...transaction(200, gtid(10), wide),
    ]);
    expect(entries.map(each => each.changes[0]?.count)).toEqual([2, 1]);
  });

  test("ends a transaction without BEGIN at its statement, and none at a savepoint", () => {
    const target = assembler();
    push(target, [file()]);
    const ddl: BinlogEvent[] = [
      { kind: "gtid", ...header(200), gtid: gtid(10) },
      { kind: "statement", ...header(210), database: "shop", sql: "ALTER TABLE orders …" },
    ];
    expect(push(target, ddl)).toEqual([]);
    expect(target.flush()[0]?.mark).toMatchObject({
      boundary: { position: 220 },
      gtids: [gtid(10)],
    });
    const savepoint: BinlogEvent = {
      kind: "statement",
      ...header(260),
      database: "shop",
      sql: "SAVEPOINT a",
    };
    const [begin, open, data, commit] = transaction(220, gtid(11), numbered(1, 1));
    if (!begin || !open || !data || !commit) throw new Error("four events");
    expect(push(target, [begin, open, savepoint, data])).toEqual([]);
    expect(push(target, [commit])).toHaveLength(1);
  });

  test("gathers transactions without captured rows into one mark", () => {
    const target = assembler();
    push(target, [file(), ...transaction(200, gtid(10)), ...transaction(230, gtid(11))]);
    const [only] = target.flush();
    expect(only).toMatchObject({
      changes: [],
      mark: { boundary: { position: 260 }, gtids: [gtid(10), gtid(11)] },
    });
    expect(target.flush()).toEqual([]);
  });

  test("moves the position at a heartbeat outside a transaction only", () => {
    const target = assembler();
    push(target, [file(), { kind: "heartbeat", nextPosition: 300 }]);
    expect(target.flush()[0]?.mark).toMatchObject({ boundary: { position: 300 }, gtids: [] });
    push(target, transaction(300, gtid(10), numbered(1, 1)).slice(0, 3));
    push(target, [{ kind: "heartbeat", nextPosition: 900 }]);
    expect(target.flush()).toEqual([]);
  });

  test("begins a new file at its first byte", () => {
    const target = assembler();
    push(target, [file(), file("binlog.000008", CREATED + 60)]);
    expect(target.flush()[0]?.mark.boundary).toEqual({
      file: "binlog.000008",
      fileCreated: CREATED + 60,
      position: 4,
    });
  });

  test("names a transaction without GTID by its server, file and first byte", () => {
    const [only] = push(assembler(), [file(), ...transaction(200, undefined, numbered(1, 1))]);
    expect(only?.changes[0]?.transaction.id).toBe(`${SERVER}/${FILE}@${CREATED}/200`);
    expect(only?.mark).toMatchObject({ anonymous: true, gtids: [] });
  });

  test("does not hand out rows of a transaction that is in the set already", () => {
    const target = assembler();
    expect(push(target, [file(), ...transaction(200, gtid(9), numbered(1, 3))])).toEqual([]);
    expect(target.flush()[0]?.mark).toMatchObject({ gtids: [], boundary: { position: 240 } });
  });
});

describe("Assembler inside a transaction", () => {
  const events = transaction(200, gtid(10), numbered(1, 4), numbered(5, 4), numbered(9, 3));

  function handedOut(count: number): Entry {
    const found = push(assembler({ entryRowsMax: 3 }), [file(), ...events])[count - 1];
    if (!found) throw new Error(`no entry ${count}`);
    return found;
  }

  test.each([1, 2, 3])("goes on after entry %i without a row twice or missing", count => {
    const { mark } = handedOut(count);
    const target = assembler({
      entryRowsMax: 3,
      start: start({ boundary: mark.boundary, transaction: mark.transaction }),
    });
    const rest = push(target, [file(), ...events]);
    expect(rest.flatMap(each => each.changes.map(change => change.firstNumber))[0]).toBe(3 * count);
    expect(rest.reduce((sum, each) => sum + each.changes.reduce((n, c) => n + c.count, 0), 0)).toBe(
      11 - 3 * count,
    );
    expect(rest.at(-1)?.mark).toMatchObject({ gtids: [gtid(10)], transaction: undefined });
  });

  test("goes on after a lost connection from what was handed out", () => {
    const target = assembler({ entryRowsMax: 3 });
    const before = push(target, [file(), ...events.slice(0, 4)]);
    expect(target.restart()).toEqual({ kind: "position", file: FILE, position: 200 });
    const after = push(target, [file(), ...events]);
    const numbers = [...before, ...after].flatMap(each =>
      each.changes.flatMap(change =>
        Array.from({ length: change.count }, (_, index) => change.firstNumber + index),
      ),
    );
    expect(numbers).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect([...before, ...after].map(each => each.seq)).toEqual([0, 1, 2, 3]);
  });

  test("marks the last row of each transaction, also where it fills its entry", () => {
    const target = assembler({ entryRowsMax: 2 });
    const entries = push(target, [
      file(),
      ...transaction(200, gtid(10), numbered(1, 3), numbered(4, 1)),
      ...transaction(240, gtid(11), numbered(5, 1)),
    ]);
    const ends = entries.map(({ changes }) => changes.map(change => change.endsTransaction));
    expect(ends).toEqual([[false], [false, true], [true]]);
    expect(entries.map(each => each.mark.gtids)).toEqual([[], [gtid(10)], [gtid(11)]]);
  });

  test("goes on after a checkpoint at the last row of a transaction", () => {
    const { mark } = handedOut(2);
    const target = assembler({ start: start({ transaction: mark.transaction }) });
    const all = [...events.slice(0, 2), rowsAt(220, numbered(1, 6)), ...events.slice(-1)];
    const next = transaction(260, gtid(11), numbered(7, 1));
    const entries = push(target, [file(), ...all, ...next]);
    expect(entries.map(each => each.changes.length)).toEqual([1]);
    expect(entries[0]?.mark.gtids).toEqual([gtid(10), gtid(11)]);
  });

  test("keeps the released part while marks move on to the next file", () => {
    const { mark } = handedOut(2);
    const target = assembler({
      start: start({ boundary: mark.boundary, transaction: mark.transaction }),
    });
    push(target, [file(), file("binlog.000008")]);
    expect(target.flush()[0]?.mark.transaction).toEqual(mark.transaction);
  });

  test("stops when the rows already delivered are others now", () => {
    const { mark } = handedOut(1);
    const target = assembler({
      start: start({ boundary: mark.boundary, transaction: mark.transaction }),
    });
    const others = transaction(200, gtid(10), numbered(1000, 11));
    expect(() => push(target, [file(), ...others])).toThrow(/holds other rows of shop\.orders/);
  });

  test("stops when another transaction stands at the boundary", () => {
    const { mark } = handedOut(1);
    const target = assembler({ start: start({ transaction: mark.transaction }) });
    expect(() => push(target, [file(), ...transaction(200, gtid(11))])).toThrow(/lies inside/);
  });
});

describe("Assembler, when something is wrong", () => {
  test("refuses a file of the same name that was created at another time", () => {
    expect(() => push(assembler(), [file(FILE, CREATED + 1)])).toThrow(/reset or replaced/);
  });

  test("stops at a rollback after rows, and passes one without", () => {
    const target = assembler();
    const [open, begin, data] = transaction(200, gtid(10), numbered(1, 1));
    if (!open || !begin || !data) throw new Error("three events");
    const rollback: BinlogEvent = { kind: "rollback", ...header(230) };
    expect(() => push(target, [file(), open, begin, data, rollback])).toThrow(/rolled back/);
    expect(() => push(assembler(), [file(), open, begin, rollback])).not.toThrow();
  });

  test("stops when a file ends inside a transaction with rows", () => {
    const target = assembler();
    const open = transaction(200, gtid(10), numbered(1, 1)).slice(0, 3);
    push(target, [file(), ...open]);
    expect(() => push(target, [file("binlog.000008")])).toThrow(/ended before its commit/);
  });

  test("refuses a row above the limit, naming table and position", () => {
    const target = assembler({ rowBytesMax: 100 });
    const large = rows(table(), [["1", "z".repeat(200)]]);
    expect(() => push(target, [file(), ...transaction(200, gtid(10), large)])).toThrow(
      /shop\.orders at binlog\.000007:220 has \d+ bytes/,
    );
  });

  test("keeps the entries that were full before a row above the limit", () => {
    const target = assembler({ rowBytesMax: 100, entryRowsMax: 2 });
    const images = [1, 2, 3, 4, 5].map(id => [String(id), "x"]);
    const wide = rows(table(), [...images, ["6", "z".repeat(200)]]);
    expect(() => push(target, [file(), ...transaction(200, gtid(10), wide)])).toThrow("has"); // prettier-ignore
    const fault = new TidemarkError("ROW_TOO_LARGE", "x");
    const counts = target.flushAt(fault).map(({ changes }) => changes.map(({ count }) => count));
    expect(counts).toEqual([[2], [2], [1]]);
    expect(target.flushAt(new TidemarkError("SOURCE_UNAVAILABLE", "x"))).toEqual([]);
  });

  test("keeps the rows in front of one above the limit: they can be flushed", () => {
    const target = assembler({ rowBytesMax: 100 });
    const wide = rows(table(), [
      ["1", "x"],
      ["2", "x"],
      ["3", "z".repeat(200)],
      ["4", "x"],
    ]);
    const events = [file(), ...transaction(200, gtid(10), numbered(7, 1), wide)];
    const fault = thrownBy(() => push(target, events));
    const [held, ...more] = target.flushAt(fault);
    expect(more).toEqual([]);
    expect(held?.changes.map(({ first, count }) => [first, count])).toEqual([
      [0, 1],
      [0, 2],
    ]);
    expect(held?.bytes).toBeGreaterThan(2 * 768);
    expect(held?.mark).toMatchObject({
      boundary: { position: 200 },
      gtids: [],
      transaction: { id: gtid(10), tables: { "shop.orders": { rows: 3 } } },
    });
  });

  test("does not hand out rows in doubt, nor any at a fault that has no place", () => {
    for (const code of ["TRANSACTION_IN_DOUBT", "POSITION_UNUSABLE", "BUG"] as const) {
      const target = assembler();
      push(target, [file(), ...transaction(200, gtid(10), numbered(1, 1)).slice(0, 3)]);
      expect(target.flushAt(new TidemarkError(code, "x"))).toEqual([]);
    }
    const target = assembler();
    const open = transaction(200, gtid(10), numbered(1, 1)).slice(0, 3);
    const rollback: BinlogEvent = { kind: "rollback", ...header(230) };
    const fault = thrownBy(() => push(target, [file(), ...open, rollback]));
    expect(fault.code).toBe("TRANSACTION_IN_DOUBT");
    expect(target.flushAt(fault)).toEqual([]);
  });

  test("refuses rows outside a transaction", () => {
    expect(() => push(assembler(), [file(), rowsAt(200, numbered(1, 1))])).toThrow(/outside/);
  });

  test("reads another server by GTID set until something of it is handed out", () => {
    const other = "9f3a0000-e588-11f1-8730-02fc00000002";
    const target = assembler({ serverUuid: other });
    expect(target.restart()).toEqual({ kind: "gtid-set", gtidSet: `${SERVER}:1-9` });
    const [only] = push(target, [
      file("bin.000002"),
      ...transaction(700, gtid(10), numbered(1, 1)),
    ]);
    expect(only?.mark).toMatchObject({ serverUuid: other, boundary: { file: "bin.000002" } });
    expect(target.restart()).toMatchObject({ kind: "position", file: "bin.000002" });
  });
});

describe("XA transactions that are delivered at their commit", () => {
  const xid = "X'61',X'',1";
  const end = (
    step: "prepare" | "one-phase" | "commit" | "rollback",
    position: number,
    group = position - 30,
  ) => ({ kind: "xa", ...header(position), step, xid, group }) as const;
  const group = (position: number, id: number, ...data: Rows[]): BinlogEvent[] => {
    const [opening, , ...rest] = transaction(position, gtid(id), ...data);
    const begin: BinlogEvent = { kind: "begin", ...header(position + 10), thread: 8, xa: true };
    return [opening as BinlogEvent, begin, ...rest.slice(0, -1)];
  };
  const opening = (position: number, id: number): BinlogEvent => ({
    ...{ kind: "gtid", ...header(position) },
    gtid: gtid(id),
  });
  const known = { xid, server_uuid: SERVER, file: FILE, position: 200 };
  const idsOf = (entries: readonly Entry[]): (string | number)[][] =>
    entries.flatMap(({ changes }) =>
      changes.map(({ transaction: { id }, firstNumber, count }) => [id, firstNumber, count]),
    );

  test("are remembered when prepared, and handed out where they are committed", () => {
    const one = assembler();
    push(one, [file(), ...group(200, 10, numbered(1, 2)), end("prepare", 230, 200)]);
    const [marked] = one.flush();
    expect(marked).toMatchObject({
      changes: [],
      mark: { gtids: [gtid(10)], prepared: [known], boundary: { position: 240 } },
    });
    push(one, [...transaction(300, gtid(11), numbered(9, 1)), opening(400, 12)]);
    expect(one.lacking(end("commit", 410))).toBeUndefined();
    const [entry] = one.push(end("commit", 410));
    expect(idsOf([entry as Entry])).toEqual([[gtid(12), 0, 2]]);
    expect(entry?.changes[0]).toMatchObject({ endsTransaction: true, origin: { position: 410 } });
    expect(entry?.mark).toMatchObject({ prepared: [], gtids: [gtid(12)] });
  });

  test("never are when they are rolled back", () => {
    const one = assembler();
    push(one, [file(), ...group(200, 10, numbered(1, 2)), end("prepare", 230, 200)]);
    expect(push(one, [opening(300, 11), end("rollback", 310)])).toEqual([]);
    expect(one.flush()).toMatchObject([{ changes: [], mark: { prepared: [] } }]);
  });

  test("are handed out where they end if that is their commit", () => {
    const one = assembler();
    const made = push(one, [file(), ...group(200, 10, numbered(1, 2)), end("one-phase", 230)]);
    expect(idsOf(made)).toEqual([[gtid(10), 0, 2]]);
    expect(made[0]?.mark.prepared).toEqual([]);
  });

  test("are read anew where a checkpoint remembers them, also from the middle on", () => {
    const begin = start({ prepared: [known], gtidSet: `${SERVER}:1-10` });
    const one = assembler({ start: begin, entryRowsMax: 2 });
    push(one, [file(), opening(300, 11)]);
    const commit = end("commit", 310);
    expect(one.lacking(commit)).toEqual(known);
    const [first] = one.pushRead(numbered(1, 3), commit);
    expect(idsOf([first as Entry])).toEqual([[gtid(11), 0, 2]]);
    expect(first?.mark).toMatchObject({ prepared: [known], transaction: { id: gtid(11) } });
    // The connection is lost: what was handed out is dropped from the second reading.
    one.restart();
    push(one, [file(), opening(300, 11)]);
    expect(one.lacking(commit)).toEqual(known);
    const rest = [...one.pushRead(numbered(1, 3), commit), ...one.push(commit)];
    expect(idsOf(rest)).toEqual([[gtid(11), 2, 1]]);
    expect(rest.at(-1)?.mark).toMatchObject({ prepared: [], transaction: undefined });
  });

  test("are looked for if they were prepared before the stream began, or on another server", () => {
    for (const prepared of [[], [{ ...known, server_uuid: "another" }]]) {
      const one = assembler({ start: start({ prepared }) });
      push(one, [file(), opening(300, 11)]);
      expect(one.lacking(end("commit", 310))).toEqual({ before: { file: FILE, position: 310 } });
    }
  });

  test("are read anew if their rows are too many to be kept", () => {
    const one = assembler({ rowBytesMax: 2 ** 24 });
    const large = rows(table(), [["1", "x".repeat(5 * 2 ** 20)]]);
    push(one, [file(), ...group(200, 10, numbered(1, 1), large, numbered(2, 1))]);
    const commit = end("one-phase", 250, 200);
    expect(one.lacking(commit)).toEqual(known);
    const made = [...one.pushRead(numbered(1, 2), commit), ...one.push(commit)];
    expect(idsOf(made)).toEqual([[gtid(10), 0, 2]]);
  });

  test("may be a thousand at a time", () => {
    const one = assembler();
    const named = (n: number): BinlogEvent => ({
      ...end("prepare", 230, 200),
      xid: `X'${n}',X'',1`,
    });
    push(one, [file()]);
    for (let n = 10; n < 1_010; n += 1) push(one, [...group(200, n), named(n)]);
    push(one, group(200, 1_010));
    expect(() => one.push(named(1_010))).toThrow(/More than 1000 XA transactions .* XA RECOVER/);
  });
});
