/** An event that is too large to be held in memory: its bytes can be read piece by piece. */
export interface EventParts {
  /** Bytes from the header on, without checksum. */
  readonly size: number;
  /** A copy of these bytes; shorter at the end of the event. */
  read(offset: number, length: number): Buffer;
}
