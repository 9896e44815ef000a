/**
 * What every sink has to pass when its destination goes away, refuses, or takes only a part. Run by
 * `sinkContract` for fixtures that can bring that about.
 */
import { afterEach, describe, expect, test } from "vitest";
import type { Message, Sink, SinkEvents } from "../../src/sinks/sink.ts";
import { makeMessages, RecordedEvents, textOf, type SinkFixture } from "./sink.ts";

/** What a fixture's destination can be made to do: the tests of the others are left out. */
export type FaultKind = "away" | "partly" | "refused";

export interface SinkFaults {
  /** Until `back`, nothing that is sent is taken or answered, or nobody is there. */
  away(): Promise<void> | void;
  back(): Promise<void> | void;
  /** From now on it takes only some of what it is given, says so, and takes the rest later. */
  readonly acceptPartly?: () => void;
  /** Makes of a message one that is refused for good. */
  readonly refusable?: (message: Message) => Message;
}

const missing = (): never => {
  throw new Error("the fixture names a fault that it cannot bring about");
};

export interface FaultContext {
  readonly fixture: () => SinkFixture;
  readonly open: (events: SinkEvents, options?: FaultySinkOptions) => Promise<Sink>;
  /** Whether a message whose fate is unknown may arrive twice. */
  readonly repeats: boolean;
  readonly kinds: readonly FaultKind[];
}

export interface FaultySinkOptions {
  readonly backlogBytesMax?: number;
}

const CLOSE_MAX_MS = 5_000;
/** That nothing happens takes a while to show; there is nothing to await. */
const QUIET_MS = 300;
const LANES = ["a", "b", "c"];

const quiet = (): Promise<void> => new Promise(resolve => setTimeout(resolve, QUIET_MS));

export function faultTests({ fixture, open, repeats, kinds }: FaultContext): void {
  const never = new AbortController().signal;
  const faults = (): SinkFaults => fixture().faults as SinkFaults;
  const messages = (from: number, to: number): Message[] =>
    makeMessages(from, to, fixture().destination);

  // A fixture cannot be released while its destination stands still.
  afterEach(() => faults().back());

  const expectWhole = async (
    expected: readonly Message[],
    events: RecordedEvents,
  ): Promise<void> => {
    const lanes = await fixture().read();
    const isRepeated = (text: string, at: number, all: readonly string[]): boolean =>
      repeats && all.indexOf(text) < at;
    for (const lane of LANES) {
      const ofLane = (text: string): boolean => text.endsWith(lane);
      const arrived = lanes
        .map(texts => texts.filter(ofLane).filter((text, at, all) => !isRepeated(text, at, all)))
        .filter(texts => texts.length > 0);
      expect(arrived).toEqual([expected.map(textOf).filter(ofLane)]);
    }
    expect(events.ids.sort()).toEqual(expected.map(({ id }) => id).sort());
    expect(events.failure).toBeUndefined();
  };

  const away = (): void => {
    test("waits for a destination that goes away, and then delivers everything in order", async () => {
      const events = new RecordedEvents();
      const sink = await open(events);
      sink.write(messages(0, 30));
      await events.untilDelivered(30);
      await faults().away();
      sink.write(messages(30, 120));
      await quiet();
      expect(events.ids).toHaveLength(30);
      await faults().back();
      await events.untilDelivered(120);
      await expectWhole(messages(0, 120), events);
    });

    test("opens as soon as the destination is there", async () => {
      await faults().away();
      const events = new RecordedEvents();
      const opening = open(events);
      await quiet();
      await faults().back();
      const sink = await opening;
      sink.write(messages(0, 30));
      await events.untilDelivered(30);
      await expectWhole(messages(0, 30), events);
    });

    test("has no room while its backlog is full", async () => {
      const events = new RecordedEvents();
      const sink = await open(events, { backlogBytesMax: 5_000 });
      await faults().away();
      sink.write(messages(0, 100));
      const room = sink.room(never).then(() => "room");
      expect(await Promise.race([room, quiet().then(() => "none")])).toBe("none");
      await faults().back();
      expect(await room).toBe("room");
      await events.untilDelivered(100);
      await expectWhole(messages(0, 100), events);
    });

    test("closes within seconds while messages are in flight, and delivers none of them", async () => {
      const events = new RecordedEvents();
      const sink = await open(events);
      await faults().away();
      sink.write(messages(0, 100));
      await quiet();
      const closingMs = performance.now();
      await sink.close();
      expect(performance.now() - closingMs).toBeLessThan(CLOSE_MAX_MS);
      const delivered = events.ids.length;
      await faults().back();
      await quiet();
      await fixture().read();
      expect(events.ids).toHaveLength(delivered);
      expect(events.failure).toBeUndefined();
    });
  };
  if (kinds.includes("away")) describe("while its destination is away", away);

  const partly = (): void => {
    test("takes what a destination accepts only in part for what it is", async () => {
      const events = new RecordedEvents();
      const sink = await open(events);
      (faults().acceptPartly ?? missing)();
      sink.write(messages(0, 300));
      await events.untilDelivered(300);
      await expectWhole(messages(0, 300), events);
    });
  };
  if (kinds.includes("partly")) describe("in part", partly);

  const refused = (): void => {
    const REFUSED = 10;
    const write = async (
      events: RecordedEvents,
      buried: Promise<void>,
    ): Promise<{ sink: Sink; all: Message[] }> => {
      const { refusable = missing } = faults();
      events.buried = buried;
      const sink = await open(events);
      const all = messages(0, 30).map((message, number) =>
        number === REFUSED ? refusable(message) : message,
      );
      sink.write(all);
      await events.until(() => events.refusals.length > 0);
      await quiet();
      return { sink, all };
    };

    test("holds back what follows it in its lane until it is safe, and nothing is said twice", async () => {
      const events = new RecordedEvents();
      let release = (): void => undefined;
      const written = await write(events, new Promise(resolve => (release = resolve)));
      const refused = written.all[REFUSED] as Message;
      expect(events.refusals).toHaveLength(1);
      expect(events.refusals[0]?.message.id).toBe(refused.id);
      expect(events.refusals[0]?.error.code).toBe("MESSAGE_REFUSED");
      expect(events.refusals[0]?.attempts).toBeGreaterThan(0);
      const lane = String(refused.partitionKey);
      const behind = written.all.filter(
        ({ partitionKey }, number) => number >= REFUSED && String(partitionKey) === lane,
      );
      expect(events.ids).not.toContainEqual(expect.toSatisfy(isOneOf(behind)));
      release();
      await events.untilDelivered(29);
      await quiet();
      await expectWhole(
        written.all.filter(message => message !== refused),
        events,
      );
      expect(events.refusals).toHaveLength(1);
    });

    test("does not keep a sink from closing", async () => {
      const events = new RecordedEvents();
      const written = await write(events, new Promise(() => undefined));
      await written.sink.close();
      const delivered = events.ids.length;
      await quiet();
      expect(events.ids).toHaveLength(delivered);
    });
  };
  if (kinds.includes("refused")) describe("of a message that is refused for good", refused);
}

function isOneOf(messages: readonly Message[]): (id: string) => boolean {
  const ids = new Set(messages.map(({ id }) => id));
  return id => ids.has(id);
}
