/**
 * The four bytes of CRC32 behind each event, if its file has them: the format description event at the
 * start of each file tells, not the present setting of the server.
 */
import { crc32 } from "node:zlib";
import { TidemarkError } from "../core/errors.ts";
import { EventCrc } from "./event-crc.ts";
import { setGlobal } from "./event-fault.ts";
import {
  CHECKSUM_SIZE,
  EventType,
  FLAGS_OFFSET,
  HEADER_SIZE,
  IN_USE,
  isInUse,
  nextPositionOf,
  TYPE_OFFSET,
} from "./event-header.ts";

const NONE = 0;
const CRC32 = 1;

export class Checksums {
  readonly #crc = new EventCrc();
  /** Undefined until the first format description event tells. */
  #checksummed: boolean | undefined;

  get areThere(): boolean {
    return this.#checksummed === true;
  }

  /**
   * Where the event ends that stands in `bytes` from `start` to `end`, without its checksum.
   *
   * @throws TidemarkError EVENT_UNREADABLE if that does not match.
   */
  endOf(bytes: Buffer, start: number, end: number): number {
    const type = bytes[start + TYPE_OFFSET];
    if (type === EventType.formatDescription) {
      this.#learn(bytes.subarray(start, end));
      return end;
    }
    if (this.#checksummed === false) return end;
    const contentEnd = end - CHECKSUM_SIZE;
    const hasHeader = contentEnd - start >= HEADER_SIZE;
    if (hasHeader && this.#crc.of(bytes, start, contentEnd) === bytes.readUInt32LE(contentEnd)) {
      return contentEnd;
    }
    // Only the rotation that names the first file comes before anything tells.
    if (this.#checksummed === undefined && type === EventType.rotate) return end;
    throw this.mismatch(bytes.subarray(start, end));
  }

  /** The event in these bytes without its checksum: a view. */
  strip(bytes: Buffer): Buffer {
    return bytes.subarray(0, this.endOf(bytes, 0, bytes.length));
  }

  mismatch(header: Buffer): TidemarkError {
    return new TidemarkError(
      "EVENT_UNREADABLE",
      `An event in front of position ${nextPositionOf(header)} does not match its checksum: ` +
        "the binlog file is damaged, or was on its way here.",
    );
  }

  #learn(whole: Buffer): void {
    // The algorithm and four bytes of checksum always end this event, whatever the setting.
    const end = whole.length - CHECKSUM_SIZE;
    if (!isFormat(whole)) throw this.mismatch(whole);
    const algorithm = whole.readUInt8(end - 1);
    if (algorithm !== CRC32 && algorithm !== NONE) {
      throw new TidemarkError(
        "EVENT_UNREADABLE",
        `The file uses the unknown checksum algorithm ${algorithm}; ` +
          `${setGlobal("binlog_checksum", "CRC32")}, and begin in a later file.`,
      );
    }
    if (algorithm === CRC32 && checksumOfFormat(whole, end) !== whole.readUInt32LE(end)) {
      throw this.mismatch(whole);
    }
    this.#checksummed = algorithm === CRC32;
  }
}

/** Format version, fifty bytes of the server's version, four of a time stamp, the size of a header. */
const HEADER_SIZE_OFFSET = HEADER_SIZE + 2 + 50 + 4;
const FORMAT_VERSION = 4;

/** Without a checksum it has to show otherwise that it is what it claims: all others depend on it. */
function isFormat(whole: Buffer): boolean {
  return (
    whole.length > HEADER_SIZE_OFFSET + CHECKSUM_SIZE + 1 &&
    whole.readUInt16LE(HEADER_SIZE) === FORMAT_VERSION &&
    whole.readUInt8(HEADER_SIZE_OFFSET) === HEADER_SIZE
  );
}

function checksumOfFormat(whole: Buffer, end: number): number {
  if (!isInUse(whole)) return crc32(whole.subarray(0, end));
  const closed = Buffer.from(whole.subarray(0, end));
  closed.writeUInt16LE(whole.readUInt16LE(FLAGS_OFFSET) & ~IN_USE, FLAGS_OFFSET);
  return crc32(closed);
}
