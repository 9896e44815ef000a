/**
 * A destination other than Kafka and files, as a campaign sees it: how Tidemark is told of it, and a plain
 * reader of what has arrived.
 */

/** One message, as a plain consumer of the destination gets it. */
export interface Arrival {
  /** Messages of one lane arrive in the order of the binlog: a queue, a message group, a route and key. */
  readonly lane: string;
  readonly id: string;
  readonly transaction: string | undefined;
  /** `file:offset` of the event. */
  readonly position: string | undefined;
  readonly value: Buffer;
}

/** Each campaign has names of its own, since campaigns share servers. */
export interface DestinationNames {
  /** Also of everything that is made there. */
  readonly pipeline: string;
  readonly database: string;
}

export interface Destination {
  /** `sink` of the pipeline's configuration; the format is Debezium's. */
  sink(names: DestinationNames): Readonly<Record<string, unknown>>;
  /** Added to the environment of the program under test. */
  readonly environment?: Readonly<Record<string, string>>;
  /** False where the destination promises no order: then every message counts, and not which was last. */
  readonly ordered: boolean;
  /** Makes what Tidemark does not make by itself. */
  prepare(names: DestinationNames): Promise<void>;
  /** Gives what has arrived since the last time, each lane in its order. */
  read(visit: (arrival: Arrival) => void): Promise<void>;
  /** Nobody is there any more, until `up`; what has arrived stays. */
  down(): Promise<void>;
  up(): Promise<void>;
  /** It stands still, until SIGCONT. */
  freeze(signal: "SIGSTOP" | "SIGCONT"): void;
  close(): Promise<void>;
}
