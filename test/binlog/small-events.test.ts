/** Events as real servers wrote them, and as they look when cut short. */
import { describe, expect, test } from "vitest";
import { EventType } from "../../src/binlog/event-header.ts";
import { parseSmallEvent } from "../../src/binlog/small-events.ts";

function eventOf(type: number, body: string): Buffer {
  const header = Buffer.alloc(19);
  header.writeUInt8(type, 4);
  header.writeUInt32LE(3, 5);
  return Buffer.concat([header, Buffer.from(body.replaceAll(" ", ""), "hex")]);
}

describe("parseSmallEvent", () => {
  test("refuses what is cut short, at every byte", () => {
    const whole = eventOf(
      EventType.gtid,
      "01 00112233445566778899aabbccddeeff 0500000000000000 02 0000000000000000 0100000000000000",
    );
    expect(parseSmallEvent(whole)).toEqual({
      gtid: "00112233-4455-6677-8899-aabbccddeeff:5",
    });
    for (let length = 19; length < 44; length += 1) {
      expect(() => parseSmallEvent(whole.subarray(0, length))).toThrow();
    }
  });

  test("takes the time of the original commit, in microseconds", () => {
    const gtid = `01 ${"00".repeat(16)} 0500000000000000 02 ${"00".repeat(16)}`;
    const own = eventOf(EventType.gtid, `${gtid} bb7a6a3a9a6006 fc0001`);
    expect(parseSmallEvent(own)).toMatchObject({
      committedAtUs: 0x06609a3a6a7abb,
      transactionLength: 256,
    });
    const replicated = eventOf(EventType.gtid, `${gtid} bb7a6a3a9a6086 2a000000000001 fc0001`);
    expect(parseSmallEvent(replicated)).toMatchObject({
      committedAtUs: 2 ** 48 + 42,
      transactionLength: 256,
    });
    const unknown = eventOf(EventType.gtid, `${gtid} bb7a6a3a9a6086 00000000000000 fc0001`);
    expect(parseSmallEvent(unknown).committedAtUs).toBeUndefined();
  });

  test("reads numbers above 2^53 exactly", () => {
    const event = eventOf(EventType.gtid, `01 ${"00".repeat(16)} feffffffffffff7f`);
    expect(parseSmallEvent(event).gtid).toBe(
      "00000000-0000-0000-0000-000000000000:9223372036854775806",
    );
  });

  test("tells a statement from its database", () => {
    const event = eventOf(
      EventType.query,
      "07000000 00000000 02 0000 0300 aabbcc 6462 00 44524f50205441424c452074",
    );
    expect(parseSmallEvent(event)).toEqual({
      query: "DROP TABLE t",
      schema: "db",
      slaveProxyId: 7,
    });
    const begin = eventOf(EventType.query, "07000000 00000000 00 0000 0000 00 424547494e");
    expect(parseSmallEvent(begin).query).toBe("BEGIN");
  });

  test("reads MariaDB's GTID", () => {
    const event = eventOf(EventType.mariadbGtid, "2a00000000000000 01000000 01");
    expect(parseSmallEvent(event)).toEqual({ gtid: "1-3-42", standalone: true });
  });
});
