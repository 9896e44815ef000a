/**
 * Recorded events, damaged at random, given to the decoder: what comes of it must be the rows as they
 * were, or a typed error. Run by a unit test and, a million times, by `npm run verify -- types`.
 */
import { readFileSync } from "node:fs";
import { crc32 } from "node:zlib";
import { Checksums } from "../../src/binlog/checksums.ts";
import { sourceOf } from "../../src/compression/byte-source.ts";
import { EventTranslator } from "../../src/binlog/event-translator.ts";
import type { BinlogEvent } from "../../src/binlog/reader.ts";
import { parseSmallEvent } from "../../src/binlog/small-events.ts";
import { TidemarkError } from "../../src/core/errors.ts";
import { between, seededRandom } from "./random.ts";

const MAGIC_SIZE = 4;
const HEADER_SIZE = 19;
const SIZE_OFFSET = 9;
const TYPE_OFFSET = 4;
const CHECKSUM_SIZE = 4;
const ROWS_TYPES = new Set([30, 31, 32]);
/** The first of a transaction, MariaDB's included. */
const GTID_TYPES = new Set([33, 34, 42, 162]);
const ALLOWED = new Set([
  "EVENT_UNREADABLE",
  "SOURCE_SETTING",
  "ROW_TOO_LARGE",
  "TRANSACTION_IN_DOUBT",
]);

const RECORDINGS = ["mysql-9", "mysql-8", "mariadb"];

/** The events of a file, each with its checksum; the first two say what the others look like. */
export function recordedEvents(name = "mysql-9"): Buffer[] {
  const path = new URL(`../binlog/recordings/${name}.binlog`, import.meta.url);
  const file = readFileSync(path);
  const events: Buffer[] = [];
  for (let at = MAGIC_SIZE; at < file.length;) {
    const size = file.readUInt32LE(at + SIZE_OFFSET);
    events.push(file.subarray(at, at + size));
    at += size;
  }
  return events;
}

export interface Finding {
  readonly seed: number;
  readonly reason: string;
}

export interface MutationResult {
  readonly cases: number;
  /** Damage that the checksum or the decoder refused. */
  readonly refused: number;
  /** Damage that changed nothing that is read, or whose checksum was made to fit. */
  readonly taken: number;
  readonly slowestMs: number;
  readonly findings: readonly Finding[];
}

/** Rotate, format description and heartbeats, which are never larger than memory. */
const SMALL_TYPES = new Set([4, 15, 27, 41]);
const FINDINGS_MAX = 10;

interface Recording {
  readonly events: readonly Buffer[];
  /** Index of the event with which the group of each event begins. */
  readonly groupStart: readonly number[];
}

function recording(name: string): Recording {
  const events = recordedEvents(name);
  // No file holds a heartbeat: the server makes them up for whoever reads.
  if (name === "mysql-9") events.push(heartbeat());
  let start = 1;
  const groupStart = events.map((event, i) => {
    if (GTID_TYPES.has(event.readUInt8(TYPE_OFFSET))) start = i;
    return start;
  });
  return { events, groupStart };
}

/** Version 2: fields with type and length, of which the second is the position. */
function heartbeat(): Buffer {
  const file = Buffer.from("binlog.000001");
  const fields = [1, file.length, ...file, 2, 9, 0xfe, 0, 0, 0, 0x40, 1, 0, 0, 0, 0];
  const bytes = Buffer.concat([Buffer.alloc(HEADER_SIZE), Buffer.from(fields), Buffer.alloc(4)]);
  bytes.writeUInt8(41, TYPE_OFFSET);
  makeFit(bytes);
  return bytes;
}

export class EventMutations {
  readonly #recordings = RECORDINGS.map(recording);

  /** The recordings, undamaged; as events that are too large for memory if they are to come in parts. */
  whole(inParts: boolean): BinlogEvent[] {
    return this.#recordings.flatMap(({ events }) => {
      const seen: BinlogEvent[] = [];
      const feed = decoder(seen, inParts);
      for (const event of events) feed(event);
      return seen;
    });
  }

  /**
   * Rows events of which the last one to four bytes are missing, while in the chunk stand those very bytes:
   * whoever reads past the end of the event finds what looks like a whole row.
   */
  shortened(): { taken: number; refused: number } {
    const { events, groupStart } = this.#recordings[0] as Recording;
    const counts = { taken: 0, refused: 0 };
    for (const [i, event] of events.entries()) {
      const end = event.length - CHECKSUM_SIZE;
      for (let cut = 4; cut >= 1 && ROWS_TYPES.has(event.readUInt8(TYPE_OFFSET)); cut -= 1) {
        const feed = decoder([], false);
        const prefix = events.slice(groupStart[i], i);
        for (const before of [events[0] ?? Buffer.alloc(0), ...prefix]) feed(before);
        try {
          feed(event, end - cut);
          counts.taken += 1;
        } catch {
          counts.refused += 1;
        }
      }
    }
    return counts;
  }

  run(
    firstSeed: number,
    count: number,
    onTurn: (done: number) => void = () => undefined,
  ): MutationResult {
    const findings: Finding[] = [];
    const counts = { refused: 0, taken: 0 };
    let slowestMs = 0;
    for (let i = 0; i < count && findings.length < FINDINGS_MAX; i += 1) {
      const seed = firstSeed + i;
      const startedAt = performance.now();
      const reason = this.#once(seed, counts);
      slowestMs = Math.max(slowestMs, performance.now() - startedAt);
      if (reason !== undefined) findings.push({ seed, reason });
      if (i % 1_000 === 0) onTurn(i);
    }
    return { cases: count, ...counts, slowestMs: Math.round(slowestMs), findings };
  }

  /** What was wrong with the outcome; undefined if nothing. */
  #once(seed: number, counts: { refused: number; taken: number }): string | undefined {
    const random = seededRandom(seed);
    const { events, groupStart } = this.#recordings[
      between(random, 0, this.#recordings.length - 1)
    ] as Recording;
    const index = between(random, 1, events.length - 1);
    const original = events[index] ?? Buffer.alloc(0);
    const fits = random() < 0.7;
    const damaged = damage(original, random, events);
    if (damaged.length < HEADER_SIZE) return undefined; // The dump takes it for no event at all.
    if (fits) makeFit(damaged);
    const feed = decoder([], random() < 0.3);
    const prefix = events.slice(groupStart[index], index);
    for (const event of [events[0] ?? Buffer.alloc(0), ...prefix]) feed(event);
    try {
      feed(damaged);
    } catch (thrown) {
      counts.refused += 1;
      if (thrown instanceof TidemarkError && ALLOWED.has(thrown.code)) return undefined;
      return `it threw ${String(thrown)}`;
    }
    counts.taken += 1;
    return holds(damaged) ? undefined : "the checksum does not hold, and it was taken";
  }
}

/** @returns what takes an event; with `end`, only up to there, though the rest of it stands behind. */
function decoder(seen: BinlogEvent[], inParts: boolean): (event: Buffer, end?: number) => void {
  const checksums = new Checksums();
  const translator = new EventTranslator({
    wants: () => true,
    xa: "stop",
    rowBytesMax: 2 ** 20,
    parse: parseSmallEvent,
    emit: event => {
      if (event.kind === "rows") readCells(event);
      seen.push(event);
    },
  });
  // Collations as the server lists them; these are the ones of the recordings.
  translator.collations = new Map([
    [8, "latin1"],
    [46, "utf8mb4"],
    [63, "binary"],
    [255, "utf8mb4"],
  ]);
  return (event, end) => {
    const content = checksums.strip(Buffer.from(event));
    const isLarge = inParts && !SMALL_TYPES.has(event.readUInt8(TYPE_OFFSET));
    // As in a chunk of the connection: behind it stands another event, which is not read as part of it.
    const chunk = Buffer.concat([event, content, event]);
    const rest = isLarge
      ? translator.translate(sourceOf(content))
      : translator.translateIn(chunk, event.length, event.length + (end ?? content.length));
    while (rest?.next().done === false);
  };
}

/** A format looks at every cell. */
function readCells({ rows }: Extract<BinlogEvent, { kind: "rows" }>): void {
  const image = rows.operation === "delete" ? "before" : "after";
  for (let row = 0; row < rows.count; row += 1) {
    rows.rowBytes(row);
    for (let i = 0; i < rows.table.columns.length; i += 1) {
      if (rows.state(row, image, i) === 2) rows.cell(row, image, i);
    }
  }
}

const EDGES = [0x00, 0x01, 0x7f, 0x80, 0xfb, 0xfc, 0xfd, 0xfe, 0xff];

function damage(original: Buffer, random: () => number, others: readonly Buffer[]): Buffer {
  let bytes = Buffer.from(original);
  const changes = between(random, 1, random() < 0.8 ? 2 : 12);
  for (let i = 0; i < changes; i += 1) bytes = change(bytes, random, others);
  return bytes;
}

function change(
  bytes: Buffer,
  random: () => number,
  others: readonly Buffer[],
): Buffer<ArrayBuffer> {
  const at = between(random, 0, Math.max(0, bytes.length - 1));
  const copy = Buffer.from(bytes);
  switch (between(random, 0, 6)) {
    case 0:
      if (at < copy.length) copy[at] = (copy[at] ?? 0) ^ (1 << between(random, 0, 7));
      return copy;
    case 1:
      if (at < copy.length) copy[at] = EDGES[between(random, 0, EDGES.length - 1)] ?? 0;
      return copy;
    case 2:
      return Buffer.from(bytes.subarray(0, at));
    case 3:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + between(random, 1, 8))]);
    case 4: {
      const more = Buffer.alloc(between(random, 1, 8), between(random, 0, 255));
      return Buffer.concat([bytes.subarray(0, at), more, bytes.subarray(at)]);
    }
    case 5: {
      const other = others[between(random, 1, others.length - 1)] ?? bytes;
      return Buffer.concat([bytes.subarray(0, at), other.subarray(Math.min(at, other.length))]);
    }
    default:
      copy.fill(
        EDGES[between(random, 0, EDGES.length - 1)] ?? 0,
        at,
        Math.min(at + 8, copy.length),
      );
      return copy;
  }
}

function holds(bytes: Buffer): boolean {
  const end = bytes.length - 4;
  return end >= HEADER_SIZE && crc32(bytes.subarray(0, end)) === bytes.readUInt32LE(end);
}

/** Its size and its checksum say that nothing is wrong. */
function makeFit(bytes: Buffer): void {
  if (bytes.length < 23) return;
  bytes.writeUInt32LE(bytes.length, SIZE_OFFSET);
  const end = bytes.length - 4;
  bytes.writeUInt32LE(crc32(bytes.subarray(0, end)), end);
}
