/**
 * Which partition a key belongs to, as Kafka's Java clients decide it: other producers and Kafka Streams
 * find the same row in the same partition.
 */
const SEED = 0x9747b28c;
const MIX = 0x5bd1e995;

/** Java's `Utils.murmur2`, as a signed 32-bit number. */
export function murmur2(bytes: Buffer): number {
  const { length } = bytes;
  const whole = length & ~3;
  let hash = SEED ^ length;
  for (let i = 0; i < whole; i += 4) {
    let word = Math.imul(bytes.readInt32LE(i), MIX);
    word ^= word >>> 24;
    hash = Math.imul(hash, MIX) ^ Math.imul(word, MIX);
  }
  const rest = length & 3;
  if (rest === 3) hash ^= bytes.readUInt8(whole + 2) << 16;
  if (rest >= 2) hash ^= bytes.readUInt8(whole + 1) << 8;
  if (rest >= 1) hash = Math.imul(hash ^ bytes.readUInt8(whole), MIX);
  hash = Math.imul(hash ^ (hash >>> 13), MIX);
  return hash ^ (hash >>> 15);
}

export function partitionOf(key: Buffer, partitions: number): number {
  return (murmur2(key) & 0x7fff_ffff) % partitions;
}
