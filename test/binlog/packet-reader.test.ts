import { describe, expect, test } from "vitest";
import { PacketReader } from "../../src/binlog/packet-reader.ts";
import { between, seededRandom } from "../support/random.ts";

/** The packets in which the protocol carries these contents; the first has number 1. */
function framed(contents: readonly Buffer[], lengthMax = 0xff_ffff): Buffer {
  const parts: Buffer[] = [];
  let sequence = 1;
  for (const content of contents) {
    for (let at = 0; ; at += lengthMax) {
      const piece = content.subarray(at, at + lengthMax);
      const header = Buffer.alloc(4);
      header.writeUIntLE(piece.length, 0, 3);
      header.writeUInt8(sequence, 3);
      sequence = (sequence + 1) & 0xff;
      parts.push(header, piece);
      if (piece.length < lengthMax) break;
    }
  }
  return Buffer.concat(parts);
}

/** What a reader makes of the bytes if they come cut at these places. */
function readAll(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const reader = new PacketReader(1);
  const packets: Buffer[] = [];
  let parts: Buffer[] = [];
  const ends = [...cuts, bytes.length];
  let from = 0;
  for (const to of ends) {
    reader.feed(Buffer.from(bytes.subarray(from, to)));
    from = to;
    while (reader.next()) {
      parts.push(Buffer.from(reader.bytes.subarray(reader.start, reader.end)));
      if (reader.isPart && !reader.isLastPart) continue;
      packets.push(Buffer.concat(parts));
      parts = [];
    }
  }
  return packets;
}

describe("PacketReader", () => {
  test("gives the same packets however they are cut", () => {
    const random = seededRandom(17);
    for (let round = 0; round < 300; round += 1) {
      const contents = Array.from({ length: between(random, 1, 8) }, () =>
        Buffer.alloc(between(random, 0, 39), between(random, 0, 255)),
      );
      const bytes = framed(contents);
      const cuts = Array.from({ length: between(random, 0, 19) }, () =>
        between(random, 0, bytes.length),
      );
      cuts.sort((a, b) => a - b);
      expect(readAll(bytes, cuts)).toEqual(contents);
    }
  });

  test("hands out in parts what takes more than one packet, also where the last one is empty", () => {
    const large = Buffer.alloc(0xff_ffff + 70_000, 7);
    const exact = Buffer.alloc(2 * 0xff_ffff, 8);
    const bytes = framed([Buffer.from("a"), large, exact, Buffer.from("b")]);
    const cuts = Array.from({ length: bytes.length >> 16 }, (_, i) => (i + 1) << 16);
    const found = readAll(bytes, cuts);
    expect(found.map(({ length }) => length)).toEqual([1, large.length, exact.length, 1]);
    expect(found[1]?.equals(large) && found[2]?.equals(exact)).toBe(true);
  });

  test("notices a packet that is missing", () => {
    const bytes = framed([Buffer.from("a"), Buffer.from("b"), Buffer.from("c")]);
    const without = Buffer.concat([bytes.subarray(0, 5), bytes.subarray(10)]);
    expect(() => readAll(without, [])).toThrow(/packet 3 where 2 was due/);
  });
});
