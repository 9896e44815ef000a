import { describe, expect, test } from "vitest";
import { Checksums } from "../../src/binlog/checksums.ts";
import { EventMutations, recordedEvents } from "../support/event-mutations.ts";

describe("recorded events", () => {
  const mutations = new EventMutations();

  test.each([false, true])("hold what they are meant to (in parts: %s)", inParts => {
    const events = mutations.whole(inParts);
    const kinds = new Set(events.map(({ kind }) => kind));
    expect(kinds).toEqual(
      new Set(["file", "gtid", "begin", "rows", "commit", "statement", "heartbeat"]),
    );
    expect(events.filter(({ kind }) => kind === "file")).toHaveLength(3);
    expect(events.filter(({ kind }) => kind === "rows").length).toBeGreaterThan(12);
    expect(events.find(({ kind }) => kind === "heartbeat")).toMatchObject({
      nextPosition: 5 * 2 ** 30,
    });
  });

  test("do not turn checksums off by becoming another first event of the file", () => {
    const [first = Buffer.alloc(0), , third = Buffer.alloc(0)] = recordedEvents();
    const checksums = new Checksums();
    checksums.strip(first);
    const another = Buffer.from(third);
    another.writeUInt8(first.readUInt8(4), 4);
    another.writeUInt8(0, another.length - 5); // Where the first event says that there are none.
    expect(() => checksums.strip(another)).toThrow(/does not match its checksum/);
    expect(checksums.areThere).toBe(true);
  });

  test("are not read on into the event behind them", () => {
    expect(mutations.shortened()).toEqual({ taken: 0, refused: 24 });
  });

  test("that are damaged at random give a typed error, or rows; never anything else", () => {
    const { findings, refused, taken, slowestMs } = mutations.run(1, 8_000);
    expect(findings).toEqual([]);
    expect(refused).toBeGreaterThan(2_000);
    expect(taken).toBeGreaterThan(200);
    expect(slowestMs).toBeLessThan(2_000);
  });
});
