/** gzip by Node's own zlib. */
import { constants, gunzipSync, gzipSync } from "node:zlib";
import { DamagedDataError } from "./damaged-data.ts";
import { tooLarge } from "./unpacked.ts";

/** For a batch of 900 KB, which becomes a tenth of that. */
const CHUNK_BYTES = 128 * 1024;

export function packGzip(bytes: Buffer): Buffer {
  return gzipSync(bytes, { level: constants.Z_BEST_SPEED, chunkSize: CHUNK_BYTES });
}

/** @throws DamagedDataError */
export function unpackGzip(packed: Buffer, bytesMax: number): Buffer {
  try {
    return gunzipSync(packed, { maxOutputLength: bytesMax });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE") throw tooLarge(bytesMax);
    const { message } = error as Error;
    throw new DamagedDataError(`its compressed data is damaged (gzip: ${message})`, {
      cause: error,
    });
  }
}
