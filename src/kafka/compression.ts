/**
 * How the records of a batch are compressed. Written is what the configuration names; read is every codec,
 * for a topic's `compression.type` lets the broker compress anew what we have sent.
 */
import { COMPRESSIONS, type Compression } from "../compression/compression.ts";
import { DamagedDataError } from "../compression/damaged-data.ts";
import { packGzip, unpackGzip } from "../compression/gzip.ts";
import { lz4BytesMax, packLz4, unpackLz4 } from "../compression/lz4.ts";
import { Repeats } from "../compression/repeats.ts";
import { packSnappy, snappyBytesMax, unpackSnappy } from "../compression/snappy.ts";
import { packZstd, unpackZstd } from "../compression/zstd.ts";
import { assert } from "../core/errors.ts";

export const CODEC_MASK = 7;
/** Far above a batch that a broker takes, and below what a few damaged bytes could stand for. */
const UNPACKED_MAX = 256 * 2 ** 20;
/** A larger buffer is not kept for the next batch. */
const KEPT_MAX = 2 * 2 ** 20;

export function codecOf(compression: Compression): number {
  return COMPRESSIONS.indexOf(compression);
}

let repeats: Repeats | undefined;
let kept: Buffer = Buffer.alloc(0);

/** Returns a view, good until the next call. */
export function pack(records: Buffer, compression: Compression): Buffer {
  switch (compression) {
    case "none":
      return records;
    case "gzip":
      return packGzip(records);
    case "snappy":
      return packInto(room(snappyBytesMax(records.length)), records, packSnappy);
    case "lz4":
      return packInto(room(lz4BytesMax(records.length)), records, packLz4);
    case "zstd":
      // The configuration refuses it where it is missing.
      assert(packZstd !== undefined, "zstd was asked for, which this Node.js does not have");
      return packZstd(records);
  }
}

function packInto(target: Buffer, records: Buffer, packer: typeof packLz4): Buffer {
  repeats ??= new Repeats();
  return target.subarray(0, packer(records, target, repeats));
}

function room(bytes: number): Buffer {
  if (bytes <= kept.length) return kept;
  const made = Buffer.allocUnsafeSlow(bytes);
  if (bytes <= KEPT_MAX) kept = made;
  return made;
}

/** @throws DamagedDataError */
export function unpack(packed: Buffer, codec: number): Buffer {
  const compression = COMPRESSIONS[codec];
  switch (compression) {
    case "none":
      return packed;
    case "gzip":
      return unpackGzip(packed, UNPACKED_MAX);
    case "snappy":
      return bounded(packed, unpackSnappy);
    case "lz4":
      return bounded(packed, unpackLz4);
    case "zstd":
      return bounded(packed, unpackZstd);
    default:
      throw new DamagedDataError(`it is compressed with the unknown codec ${codec}`);
  }
}

/** What reads behind its last byte was cut off. */
function bounded(packed: Buffer, unpacker: typeof unpackLz4): Buffer {
  try {
    return unpacker(packed, UNPACKED_MAX);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new DamagedDataError("its compressed data is cut short", { cause: error });
  }
}
