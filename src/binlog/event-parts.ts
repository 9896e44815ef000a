/** A larger event is not held in memory. */
export const HELD_BYTES_MAX = 16 * 2 ** 20;

/** An event that is too large to be held in memory: its bytes can be read piece by piece. */
export interface EventParts {
  /** Bytes from the header on, without checksum. */
  readonly size: number;
  /** These bytes; shorter at the end of the event. */
  read(offset: number, length: number): Buffer;
  /** These bytes, to the start of `target`. Returns how many there were. */
  copyTo(target: Buffer, offset: number, length: number): number;
}

/** An event in memory, seen the same way. */
export function partsOf(event: Buffer): EventParts {
  return {
    size: event.length,
    read: (offset, length) => event.subarray(offset, Math.max(offset, offset + length)),
    copyTo: (target, offset, length) => event.copy(target, 0, offset, offset + length),
  };
}
