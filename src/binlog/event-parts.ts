import type { ByteSource } from "../compression/byte-source.ts";

/** A larger event is not held in memory. */
export const HELD_BYTES_MAX = 16 * 2 ** 20;

/** An event that is too large to be held in memory, from its header on, without checksum. */
export type EventParts = ByteSource;
