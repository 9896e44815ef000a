import { describe, expect, test } from "vitest";
import { HEADER_SIZE } from "../../src/binlog/event-header.ts";
import { sourceOf } from "../../src/compression/byte-source.ts";
import { payloadEvents } from "../../src/binlog/payload.ts";
import { ZstdUnpacker } from "../../src/compression/zstd-blocks.ts";

const SIZE_OFFSET = 9;

function event(size: number, filler: number): Buffer {
  const bytes = Buffer.alloc(size, filler);
  bytes.writeUInt32LE(size, SIZE_OFFSET);
  return bytes;
}

/** A payload that says of itself that it is not compressed. */
function payload(...events: readonly Buffer[]): Buffer {
  const fields = Buffer.of(2, 3, 252, 255, 0, 0);
  return Buffer.concat([Buffer.alloc(HEADER_SIZE), fields, ...events]);
}

/** Each is looked at before the next one is asked for, and copied, as it is no longer good then. */
function read(bytes: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (const each of payloadEvents(sourceOf(bytes), new ZstdUnpacker())) {
    found.push(Buffer.from(each as Buffer));
  }
  return found;
}

describe("payloadEvents", () => {
  test("hands out events that lie in one piece, in two and in many", () => {
    const events = [40_000, HEADER_SIZE, 50_000, 70_000, 300_000, 20, 100].map(event);
    expect(read(payload(...events)).map(each => each.equals(events.shift() as Buffer))).toEqual(
      new Array(7).fill(true),
    );
  });

  test("hands out an event whose header lies in two pieces", () => {
    const events = [event(65_530, 1), event(60_000, 2), event(90, 3)];
    expect(read(payload(...events))).toEqual(events);
  });

  test("refuses one that ends within an event", () => {
    const bytes = payload(event(40_000, 1), event(70_000, 2));
    expect(() => read(bytes.subarray(0, -1))).toThrow("ends within an event");
  });
});
