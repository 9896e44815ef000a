/** zstd as a whole. We unpack it by ourselves; it is packed where Node can: since 22.15 and 23.8. */
import * as zlib from "node:zlib";
import { sourceOf } from "./byte-source.ts";
import { Unpacked } from "./unpacked.ts";
import { ZstdUnpacker } from "./zstd-blocks.ts";

const { zstdCompressSync } = zlib as { readonly zstdCompressSync?: (bytes: Buffer) => Buffer };

/** Missing in an older Node. */
export const packZstd = zstdCompressSync;

let unpacker: ZstdUnpacker | undefined;

/** @throws DamagedDataError, or RangeError where it refers to what is not there. */
export function unpackZstd(packed: Buffer, bytesMax: number): Buffer {
  const unpacked = new Unpacked(bytesMax, 4 * packed.length);
  unpacker ??= new ZstdUnpacker();
  for (const block of unpacker.blocks(sourceOf(packed), 0)) unpacked.append(block, 0, block.length);
  return unpacked.bytes;
}
