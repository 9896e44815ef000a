/**
 * What every sink has to pass. It knows nothing of any destination: a fixture makes sinks for one and
 * reads back what has arrived there.
 *
 *   sinkContract("file sink", async () => ({ makeSink, destination, read, release, faults }))
 */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { NextOffsets } from "../../src/core/checkpoint.ts";
import type { TidemarkError } from "../../src/core/errors.ts";
import type { Message, Place, Sink, SinkEvents, SinkResume } from "../../src/sinks/sink.ts";
import { faultTests, type FaultKind, type SinkFaults } from "./sink-faults.ts";

export interface SinkFixture {
  /** A sink that is not open yet; all of one fixture lead to the same place, for one pipeline. */
  makeSink(options?: { readonly backlogBytesMax?: number | undefined }): Sink;
  /** `Message.destination` to write to. It holds nothing at first. */
  readonly destination: string;
  /** The values that have arrived, one list a lane, in their order there. */
  read(): Promise<readonly (readonly string[])[]>;
  release(): Promise<void>;
  /** Needed for the kinds that the options name. */
  readonly faults?: SinkFaults;
}

export interface SinkContractOptions {
  /** Places have offsets, and a restart finds what arrived after the checkpoint. */
  readonly offsets: boolean;
  /** A message whose fate is unknown, as when an answer is lost, may arrive twice. */
  readonly repeats?: boolean;
  /** What the fixture can make its destination do. */
  readonly faults?: readonly FaultKind[];
}

/** A message whose value names it, so that it can be told at a destination that keeps no ids. */
export function makeMessage(number: number, destination: string, lane = "a"): Message {
  const transaction = "6db3edf2-e588-11f1-8730-02fc00000001:7";
  const key = Buffer.from(JSON.stringify({ id: lane }));
  const value = Buffer.from(`value ${number} of ${lane}`);
  return {
    seq: number,
    index: 0,
    id: `${transaction}:shop.orders:${number}`,
    destination,
    partitionKey: Buffer.from(lane),
    ...{ key, value, bytes: key.length + value.length },
    transaction,
    position: `binlog.000003:${number}`,
    table: "shop.orders",
    operation: "insert",
    keyed: true,
  };
}

export function makeMessages(from: number, to: number, destination: string): Message[] {
  const numbers = Array.from({ length: to - from }, (_, i) => from + i);
  return numbers.map(number => makeMessage(number, destination, "abc"[number % 3]));
}

export const textOf = ({ value }: Message): string => value?.toString() ?? "";

interface Delivered {
  readonly message: Message;
  readonly place: Place | undefined;
  readonly others: readonly Place[];
}

/** Keeps what a sink reports, and lets a test wait for it. */
export class RecordedEvents implements SinkEvents {
  readonly delivered_: Delivered[] = [];
  readonly claims: NextOffsets[] = [];
  readonly refusals: {
    readonly message: Message;
    readonly error: TidemarkError;
    readonly attempts: number;
  }[] = [];
  /** Held back by a test that looks at what happens before a refused message is safe. */
  buried: Promise<void> = Promise.resolve();
  failure: TidemarkError | undefined;
  /** Held back by a test that looks at what happens before a claim is durable. */
  claimed: Promise<void> = Promise.resolve();
  #changed: () => void = () => undefined;

  delivered(message: Message, place?: Place, others: readonly Place[] = []): void {
    this.delivered_.push({ message, place, others });
    this.#changed();
  }

  refused(message: Message, error: TidemarkError, attempts: number): Promise<void> {
    this.refusals.push({ message, error, attempts });
    this.#changed();
    return this.buried;
  }

  failed(error: TidemarkError): void {
    if (this.failure !== undefined) throw new Error("failed was called twice");
    this.failure = error;
    this.#changed();
  }

  claim(offsets: NextOffsets): Promise<void> {
    this.claims.push(offsets);
    this.#changed();
    return this.claimed;
  }

  get ids(): string[] {
    return this.delivered_.map(({ message }) => message.id);
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>(resolve => (this.#changed = resolve));
  }

  /** Resolves when so many messages are delivered; throws if the sink fails before. */
  async untilDelivered(count: number): Promise<void> {
    await this.until(() => this.delivered_.length >= count || this.failure !== undefined);
    if (this.failure !== undefined) throw this.failure;
  }

  /** The next offsets that a checkpoint would hold after the first `count` deliveries. */
  offsetsAfter(count: number, base: NextOffsets = {}): NextOffsets {
    const offsets: Record<string, Record<string, number>> = {};
    const places = this.delivered_.slice(0, count).flatMap(({ place }) => place ?? []);
    for (const known of [base, ...this.claims]) {
      for (const [name, partitions] of Object.entries(known)) {
        offsets[name] = { ...offsets[name], ...partitions };
      }
    }
    for (const { destination, partition, nextOffset } of places) {
      (offsets[destination] ??= {})[partition] = nextOffset;
    }
    return offsets;
  }
}

export function resumeAt(
  nextOffsets: NextOffsets | undefined,
  destination: string,
  changes: Partial<SinkResume> = {},
): SinkResume {
  const same = { sameServer: true, sameOutput: true };
  return { nextOffsets, destinations: [destination], ...same, ...changes };
}

export function sinkContract(
  name: string,
  makeFixture: () => Promise<SinkFixture>,
  options: SinkContractOptions,
): void {
  describe(`${name} as a sink`, () => {
    let fixture: SinkFixture;
    const opened: Sink[] = [];
    const signal = new AbortController().signal;

    beforeEach(async () => {
      fixture = await makeFixture();
    });

    afterEach(async () => {
      await Promise.all(opened.splice(0).map(sink => sink.close()));
      await fixture.release();
    });

    const open = async (
      events: SinkEvents,
      offsets?: NextOffsets,
      backlogBytesMax?: number,
    ): Promise<{ sink: Sink; fresh: NextOffsets }> => {
      const sink = fixture.makeSink({ backlogBytesMax });
      opened.push(sink);
      const fresh = await sink.open(resumeAt(offsets, fixture.destination), events, signal);
      return { sink, fresh };
    };

    test("delivers each message once, after it has arrived", async () => {
      const events = new RecordedEvents();
      const { sink } = await open(events);
      const messages = makeMessages(0, 300, fixture.destination);
      sink.write(messages.slice(0, 100));
      sink.write(messages.slice(100));
      await events.untilDelivered(messages.length);
      const arrived = (await fixture.read()).flat();
      expect(arrived.sort()).toEqual(messages.map(textOf).sort());
      expect(events.ids.sort()).toEqual(messages.map(message => message.id).sort());
    });

    test("keeps the order of each lane", async () => {
      const events = new RecordedEvents();
      const { sink } = await open(events);
      const messages = makeMessages(0, 300, fixture.destination);
      for (let i = 0; i < messages.length; i += 7) sink.write(messages.slice(i, i + 7));
      await events.untilDelivered(messages.length);
      const lanes = await fixture.read();
      for (const lane of ["a", "b", "c"]) {
        const ofLane = (text: string): boolean => text.endsWith(lane);
        const expected = messages.map(textOf).filter(ofLane);
        expect(lanes.map(values => values.filter(ofLane)).filter(list => list.length)).toEqual([
          expected,
        ]);
        const delivered = events.delivered_.map(({ message }) => textOf(message));
        expect(delivered.filter(ofLane)).toEqual(expected);
      }
    });

    test("lets room resolve once the backlog is delivered", async () => {
      const events = new RecordedEvents();
      const { sink } = await open(events);
      sink.write(makeMessages(0, 100, fixture.destination));
      await events.untilDelivered(100);
      await sink.room(signal);
    });

    test("delivers nothing after close", async () => {
      const events = new RecordedEvents();
      const { sink } = await open(events);
      sink.write(makeMessages(0, 200, fixture.destination));
      await sink.close();
      const delivered = events.delivered_.length;
      sink.write(makeMessages(200, 300, fixture.destination));
      await fixture.read(); // As good a while as any for a late callback.
      expect(events.delivered_.length).toBe(delivered);
      expect(events.failure).toBeUndefined();
    });

    test("delivers the last message although nothing follows it", async () => {
      const events = new RecordedEvents();
      const { sink } = await open(events);
      sink.write(makeMessages(0, 1, fixture.destination));
      await events.untilDelivered(1);
      expect((await fixture.read()).flat()).toEqual(["value 0 of a"]);
    });

    test("can be closed before it was opened, and twice", async () => {
      const sink = fixture.makeSink();
      await sink.close();
      await sink.close();
    });

    test("gives up opening when the signal aborts", async () => {
      const sink = fixture.makeSink();
      opened.push(sink);
      const reason = new Error("stopped");
      const resume = resumeAt(undefined, fixture.destination);
      const opening = sink.open(resume, new RecordedEvents(), AbortSignal.abort(reason));
      await expect(opening).rejects.toBe(reason);
    });

    const offsetTests = (): void => {
      test("tells the base offset of a partition before its first message", async () => {
        const events = new RecordedEvents();
        let release = (): void => undefined;
        events.claimed = new Promise(resolve => (release = resolve));
        const { sink, fresh } = await open(events);
        sink.write(makeMessages(0, 10, fixture.destination));
        if (fresh[fixture.destination] === undefined) {
          await events.until(() => events.claims.length > 0);
          // Nothing can be awaited here: that nothing arrives takes a while to show.
          const early = new Promise(resolve => setTimeout(resolve, 500));
          await Promise.race([events.untilDelivered(1), early]);
          expect((await fixture.read()).flat()).toEqual([]);
          expect(events.ids).toEqual([]);
        }
        release();
        await events.untilDelivered(10);
        const known = events.offsetsAfter(0, fresh);
        for (const { place } of events.delivered_) {
          const base = known[fixture.destination]?.[place?.partition ?? -1];
          expect(base).toBeTypeOf("number");
          expect(place?.nextOffset).toBeGreaterThan(base as number);
        }
      });

      test("gives places that grow within a partition", async () => {
        const events = new RecordedEvents();
        const { sink } = await open(events);
        sink.write(makeMessages(0, 100, fixture.destination));
        await events.untilDelivered(100);
        const last = new Map<number, number>();
        for (const { place } of events.delivered_) {
          const { partition = -1, nextOffset = -1, destination } = place ?? {};
          expect(destination).toBe(fixture.destination);
          expect(nextOffset).toBeGreaterThan(last.get(partition) ?? 0);
          last.set(partition, nextOffset);
        }
      });

      // Goal: neither a loss nor a repetition, wherever between two messages the checkpoint stands.
      test.each([0, 1, 40, 99, 100])("repeats nothing after a restart at %i of 100", async at => {
        const before = new RecordedEvents();
        const first = await open(before);
        const messages = makeMessages(0, 130, fixture.destination);
        first.sink.write(messages.slice(0, 100));
        await before.untilDelivered(100);
        await first.sink.close();
        const offsets = before.offsetsAfter(at, first.fresh);
        const released = new Set(before.ids.slice(0, at));

        const after = new RecordedEvents();
        const { sink } = await open(after, offsets);
        const replay = messages.filter(message => !released.has(message.id));
        sink.write(replay);
        await after.untilDelivered(replay.length);
        expect(after.ids.sort()).toEqual(replay.map(message => message.id).sort());
        expect((await fixture.read()).flat().sort()).toEqual(messages.map(textOf).sort());
      });

      test("refuses a destination that holds its output, if there is no checkpoint", async () => {
        const events = new RecordedEvents();
        const { sink } = await open(events);
        sink.write(makeMessages(0, 3, fixture.destination));
        await events.untilDelivered(3);
        await sink.close();
        await expect(open(new RecordedEvents())).rejects.toMatchObject({ code: "OUTPUT_UNKNOWN" });
      });
    };
    if (options.offsets) describe("with offsets", offsetTests);
    if (options.faults !== undefined) {
      faultTests({
        fixture: () => fixture,
        open: async (events, { backlogBytesMax } = {}) =>
          (await open(events, undefined, backlogBytesMax)).sink,
        repeats: options.repeats ?? false,
        kinds: options.faults,
      });
    }
  });
}
