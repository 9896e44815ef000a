/** Turns changes into messages. A format reads rows through their cursor, never as objects. */
import type { Change } from "../core/entry.ts";

/** One message of a row, before it is routed. */
export interface FormattedMessage {
  /** Added to the row's id: "" for the row itself, ":t" tombstone, ":d" and ":c" the halves of a key change. */
  readonly idSuffix: "" | ":t" | ":d" | ":c";
  readonly key: Buffer | null;
  readonly value: Buffer | null;
}

export interface Format {
  readonly name: string;
  /** The messages of row `row` (an index into `change.rows`), in the order in which they are to arrive. */
  messages(change: Change, row: number): readonly FormattedMessage[];
}
