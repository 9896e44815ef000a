/** An event that is too large to be held in memory: its bytes can be read piece by piece. */
export interface EventParts {
  /** Bytes from the header on, without checksum. */
  readonly size: number;
  /** These bytes; shorter at the end of the event. */
  read(offset: number, length: number): Buffer;
}

/** An event in memory, seen the same way. */
export function partsOf(event: Buffer): EventParts {
  return {
    size: event.length,
    read: (offset, length) => event.subarray(offset, Math.max(offset, offset + length)),
  };
}
