import { describe, expect, test } from "vitest";
import type { NextOffsets } from "../../src/core/checkpoint.ts";
import type { Change, Entry } from "../../src/core/entry.ts";
import type { Operation } from "../../src/core/rows.ts";
import { ActivityEncoder } from "../../src/queue/activity-encoder.ts";
import type { Message, Place } from "../../src/sinks/sink.ts";
import { entry, rows, table } from "../support/builders.ts";
import { between, seededRandom } from "../support/random.ts";

const BASE_S = 1_792_574_400;

interface Written {
  readonly schema?: string;
  readonly name?: string;
  readonly second: number;
  readonly operation?: Operation;
  /** Second of the commit, where it is logged. */
  readonly committed?: number;
  readonly transaction?: string;
}

function change(written: Written): Change {
  const { schema = "shop", name = "orders", second, operation = "insert", committed } = written;
  const { transaction: id = `server:${second}` } = written;
  const committedAtUs = committed === undefined ? {} : { committedAtUs: microseconds(committed) };
  return {
    transaction: { id, gtid: id, thread: 1, ...committedAtUs },
    origin: {
      ...{ file: "binlog.000001", position: 150, serverId: 1 },
      timestampS: BASE_S + second,
    },
    rows: rows(table({ database: schema, name }), [["1", "a"], ["2", "b"]], operation), // prettier-ignore
    ...{ first: 0, count: 2, firstNumber: 0, endsTransaction: true },
  };
}

const microseconds = (second: number): number => (BASE_S + second) * 1_000_000 + 7;

interface Options {
  readonly intervalS?: number;
  readonly router?: (database: string, name: string) => string;
  readonly resume?: NextOffsets;
}

function encoderOf({ intervalS = 10, router = () => "queue", resume = {} }: Options = {}) {
  const encoder = new ActivityEncoder({ router, events: new Set(["insert"]), intervalS });
  encoder.resume(resume);
  let seq = 0;
  return (...written: readonly Written[]): { messages: Message[]; places: readonly Place[] } => {
    const given: Entry = entry(seq, { changes: written.map(change) });
    const messages: Message[] = [];
    encoder.encode(given, messages);
    const places = encoder.placesOf(seq, []);
    seq += 1;
    return { messages, places };
  };
}

const textOf = ({ value }: Message): string => value?.toString() ?? "";
const offsetsOf = (places: readonly Place[]): NextOffsets =>
  Object.fromEntries(
    places.map(({ destination, partition, nextOffset }) => [
      destination,
      { [String(partition)]: nextOffset },
    ]),
  );

describe("the activity of a schema", () => {
  test("gives one message for all rows and tables of an interval", () => {
    const encode = encoderOf();
    const { messages, places } = encode({ second: 1 }, { second: 2, name: "items" });
    expect(messages.map(textOf)).toEqual(['{"schema":"shop","timestamp":"2026-10-21T09:20:01Z"}']);
    expect(messages).toMatchObject([
      { id: "server:1:shop.orders:0", table: "shop.orders", destination: "queue", index: 0 },
    ]);
    expect(messages[0]?.key?.toString()).toBe('{"schema":"shop"}');
    expect(places).toEqual([
      { destination: "activity:queue/shop", partition: 0, nextOffset: BASE_S },
    ]);
    expect(encode({ second: 9, name: "other" })).toEqual({ messages: [], places: [] });
  });

  test("gives another message for the next interval, with another id", () => {
    const encode = encoderOf();
    const [first] = encode({ second: 9 }).messages;
    const [second] = encode({ second: 10 }).messages;
    expect(second).toBeDefined();
    expect(second?.id).not.toBe(first?.id);
  });

  test("is told for each schema, and for each destination that tables lead to", () => {
    const encode = encoderOf({ router: (_, name) => name });
    const { messages } = encode(
      { second: 1, schema: "a" },
      { second: 1, schema: "b" },
      { second: 1, schema: "a", name: "items" },
      { second: 2, schema: "a", name: "items" },
    );
    expect(messages.map(({ destination, index }) => [destination, index])).toEqual([
      ["orders", 0],
      ["orders", 1],
      ["items", 2],
    ]);
  });

  test("is that of the events that are wanted", () => {
    expect(encoderOf()({ second: 1, operation: "delete" }).messages).toEqual([]);
  });

  test("has the time of the commit, where that is logged", () => {
    const encode = encoderOf();
    expect(encode({ second: 1, committed: 31 }).messages.map(textOf)).toEqual([
      '{"schema":"shop","timestamp":"2026-10-21T09:20:31Z"}',
    ]);
    // Of a long transaction: rows logged with earlier times make no interval of their own.
    expect(encode({ second: 12, committed: 32 }).messages).toEqual([]);
  });

  test("is told after a clock was set back", () => {
    const encode = encoderOf();
    encode({ second: 3_600 });
    expect(encode({ second: 1 }).messages).toHaveLength(1);
  });

  test("that was told is not told again after a restart, and what was not is", () => {
    const { places } = encoderOf()({ second: 1 });
    const encode = encoderOf({ resume: { ...offsetsOf(places), queue: { "0": 7 } } });
    expect(encode({ second: 2 }).messages).toEqual([]);
    expect(encode({ second: 2, schema: "other" }).messages).toHaveLength(1);
    expect(encode({ second: 11 }).messages).toHaveLength(1);
  });

  // Goal: wherever a restart begins, it makes the messages that the run before made from there on.
  test.each([1, 2, 3, 4, 5])("is repeated exactly by a restart (seed %i)", seed => {
    const random = seededRandom(seed);
    let second = 0;
    const all = Array.from({ length: 200 }, (_, n): Written => {
      second += between(random, 0, 3);
      const schema = `s${between(random, 0, 4)}`;
      return { schema, second, committed: second, transaction: `server:${n}` };
    });
    const run = encoderOf();
    const told = all.map(written => run(written));
    const cut = between(random, 1, all.length - 1);
    const resume: Record<string, NextOffsets[string]> = {};
    for (const { places } of told.slice(0, cut)) Object.assign(resume, offsetsOf(places));
    const again = encoderOf({ resume });
    const idsOf = ({ messages }: { messages: Message[] }): string[] => messages.map(({ id }) => id);
    expect(all.slice(cut).map(written => idsOf(again(written)))).toEqual(
      told.slice(cut).map(idsOf),
    );
    const pairs = told.flatMap(({ messages, places }) =>
      messages.map((_, n) => `${places[n]?.destination} ${places[n]?.nextOffset}`),
    );
    expect(new Set(pairs).size).toBe(pairs.length);
    expect(new Set(pairs)).toEqual(
      new Set(
        all.map(
          ({ schema = "", second }) =>
            `activity:queue/${schema} ${BASE_S + second - ((BASE_S + second) % 10)}`,
        ),
      ),
    );
  });
});
