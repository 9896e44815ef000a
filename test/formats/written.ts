/** What a format writes for one row, as messages with bytes of their own. */
import type { Change } from "../../src/core/entry.ts";
import type { Format } from "../../src/formats/format.ts";
import { MessageWriter, type IdSuffix, type Slice } from "../../src/formats/message-writer.ts";

export interface WrittenMessage {
  readonly idSuffix: IdSuffix;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
}

export function written(format: Format, change: Change, row: number): WrittenMessage[] {
  const messages: WrittenMessage[] = [];
  const out = new MessageWriter((idSuffix, key, value) => {
    messages.push({ idSuffix, key: key && copy(key), value: value && copy(value) });
  });
  out.beginRow();
  format.write(change, row, out);
  return messages;
}

function copy({ data, start, end }: Slice): Buffer {
  return Buffer.from(data.subarray(start, end));
}
