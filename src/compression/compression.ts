/** The codecs of Kafka's record batches, each at the place of its number in their attributes. */
export const COMPRESSIONS = ["none", "gzip", "snappy", "lz4", "zstd"] as const;

export type Compression = (typeof COMPRESSIONS)[number];
