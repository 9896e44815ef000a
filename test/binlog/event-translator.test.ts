/** Events that no server here writes on demand, made by hand. */
import { describe, expect, test } from "vitest";
import { EventTranslator } from "../../src/binlog/event-translator.ts";
import type { BinlogEvent } from "../../src/binlog/reader.ts";
import type { SmallEvent } from "../../src/binlog/small-events.ts";

interface Made {
  readonly type: number;
  readonly body?: Buffer;
  readonly nextPosition?: number;
  readonly flags?: number;
}

function eventOf({ type, body = Buffer.alloc(0), nextPosition = 1_000, flags = 0 }: Made): Buffer {
  const header = Buffer.alloc(19);
  header.writeUInt32LE(1_700_000_000, 0);
  header.writeUInt8(type, 4);
  header.writeUInt32LE(9, 5);
  header.writeUInt32LE(19 + body.length, 9);
  header.writeUInt32LE(nextPosition, 13);
  header.writeUInt16LE(flags, 17);
  return Buffer.concat([header, body]);
}

function translator(): { events: BinlogEvent[]; feed: (made: Made, parsed?: SmallEvent) => void } {
  const events: BinlogEvent[] = [];
  let told: SmallEvent = { binlogName: "binlog.000007" };
  const translating = new EventTranslator({
    wants: () => true,
    xa: "stop",
    rowBytesMax: 1_000,
    parse: () => told,
    emit: event => events.push(event),
  });
  translating.translate(eventOf({ type: 4 }));
  return {
    events,
    feed: (made, parsed = {}) => {
      told = parsed;
      translating.translate(eventOf(made));
    },
  };
}

describe("EventTranslator", () => {
  test.each([
    [26, /binlog\.000007:981.*INCIDENT/],
    [17, /LOAD DATA.*binlog_format = ROW/],
    [18, /LOAD DATA/],
    [20, /type 20 is not known/],
    [200, /type 200 is not known/],
  ])("stops at an event of type %i", (type, message) => {
    const { feed } = translator();
    expect(() => feed({ type })).toThrow(message);
  });

  test("passes by what its writer marked as ignorable", () => {
    const { events, feed } = translator();
    feed({ type: 200, flags: 0x80 });
    expect(events).toEqual([]);
  });

  test("stops at rows whose table was never described, except the empty mark", () => {
    const { feed } = translator();
    const rows = (tableId: number): Buffer => {
      const body = Buffer.alloc(12);
      body.writeUIntLE(tableId, 0, 6);
      return body;
    };
    feed({ type: 30, body: rows(0xff_ffff) });
    expect(() => feed({ type: 30, body: rows(17), nextPosition: 1_100 })).toThrow(
      /without the description/,
    );
  });

  test("stops where the file passes 4 GiB", () => {
    const { events, feed } = translator();
    feed({ type: 16, nextPosition: 0xffff_fff0 });
    expect(events).toMatchObject([{ kind: "commit", position: 0xffff_fff0 - 19 }]);
    expect(() => feed({ type: 16, nextPosition: 40 })).toThrow(/binlog\.000007.*4 GiB/);
  });

  test("reads both versions of the heartbeat", () => {
    const { events, feed } = translator();
    feed({ type: 27, nextPosition: 4_711 });
    const body = Buffer.from([1, 3, 0x61, 0x62, 0x63, 2, 9, 254, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0]);
    feed({ type: 41, body, nextPosition: 0 });
    expect(events).toEqual([
      { kind: "heartbeat", nextPosition: 4_711 },
      { kind: "heartbeat", nextPosition: 2 * 2 ** 32 },
    ]);
  });

  describe("a transaction that is as long as its GTID event says", () => {
    const begin = (length: number): ReturnType<typeof translator> => {
      const made = translator();
      made.feed({ type: 33, nextPosition: 1_000 }, { gtid: "u:1", transactionLength: length });
      made.feed({ type: 2, nextPosition: 1_100 }, { query: "BEGIN" });
      return made;
    };

    test("is taken", () => {
      const { events, feed } = begin(219);
      feed({ type: 16, nextPosition: 1_200 });
      expect(events.map(({ kind }) => kind)).toEqual(["gtid", "begin", "commit"]);
    });

    test.each([218, 220, 4_711])("of %i bytes only", length => {
      const { events, feed } = begin(length);
      const damaged = /binlog\.000007:1181.*ends at 1200, but its GTID event says/;
      expect(() => feed({ type: 16, nextPosition: 1_200 })).toThrow(damaged);
      expect(events.map(({ kind }) => kind)).toEqual(["gtid", "begin"]);
    });

    test("may be a statement", () => {
      const { feed } = translator();
      feed({ type: 33, nextPosition: 1_000 }, { gtid: "u:1", transactionLength: 119 });
      expect(() => feed({ type: 2, nextPosition: 1_101 }, { query: "CREATE TABLE a" })).toThrow(
        /its GTID event says 1100/,
      );
    });
  });

  test("lets MariaDB's GTID open a transaction, unless it stands alone", () => {
    const { events, feed } = translator();
    feed({ type: 162 }, { gtid: "0-1-7", standalone: false });
    feed({ type: 162, nextPosition: 1_100 }, { gtid: "0-1-8", standalone: true });
    expect(events.map(({ kind }) => kind)).toEqual(["gtid", "begin", "gtid"]);
  });

  test("counts positions itself where the server writes none", () => {
    const { events, feed } = translator();
    feed({ type: 162, nextPosition: 500 }, { gtid: "0-1-7" });
    feed({ type: 16, nextPosition: 0 });
    expect(events.at(-1)).toMatchObject({ kind: "commit", position: 500, nextPosition: 519 });
  });

  test.each([
    ["ROLLBACK", "rollback"],
    ["COMMIT", "commit"],
    ["XA START X'61',X'',1", "begin"],
    ["XA ROLLBACK X'61',X'',1", "statement"],
  ])("takes the Query %s for %s", (query, kind) => {
    const { events, feed } = translator();
    feed({ type: 2 }, { query, schema: "d", slaveProxyId: 5 });
    expect(events.map(event => event.kind)).toEqual([kind]);
  });
});
