/** Bytes that can be read piece by piece, such as those of an event that is too large for memory. */
export interface ByteSource {
  readonly size: number;
  /** These bytes; shorter at the end of all. */
  read(offset: number, length: number): Buffer;
  /** These bytes, to the start of `target`. Returns how many there were. */
  copyTo(target: Buffer, offset: number, length: number): number;
}

/** Bytes in memory, seen the same way. */
export function sourceOf(bytes: Buffer): ByteSource {
  return {
    size: bytes.length,
    read: (offset, length) => bytes.subarray(offset, Math.max(offset, offset + length)),
    copyTo: (target, offset, length) => bytes.copy(target, 0, offset, offset + length),
  };
}
