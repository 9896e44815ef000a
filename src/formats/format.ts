/** Turns changes into messages. A format reads rows through their cursor, never as objects. */
import type { Change, TableNotice } from "../core/entry.ts";
import type { MessageWriter } from "./message-writer.ts";

export interface Format {
  readonly name: string;
  /**
   * Writes the messages of row `row` (an index into `change.rows`), in the order in which they are to
   * arrive.
   *
   * @throws if a cell holds no value of its type; what it wrote of that row is then forgotten.
   */
  write(change: Change, row: number, out: MessageWriter): void;

  /** The message that tells of a whole table. A format without it has no word for that. */
  noticeValue?(notice: TableNotice): Buffer;
}
