/** What a format writes for one row, as messages with bytes of their own. */
import type { Change } from "../../src/core/entry.ts";
import type { Format } from "../../src/formats/format.ts";
import { MessageWriter, type IdSuffix } from "../../src/formats/message-writer.ts";

export interface WrittenMessage {
  readonly idSuffix: IdSuffix;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
}

export function written(format: Format, change: Change, row: number): WrittenMessage[] {
  const messages: WrittenMessage[] = [];
  const out = new MessageWriter(({ hasKey, hasValue, ...at }, idSuffix) => {
    const key = hasKey ? copy(at.keyData, at.keyStart, at.keyEnd) : null;
    const value = hasValue ? copy(at.valueData, at.valueStart, at.valueEnd) : null;
    messages.push({ idSuffix, key, value });
  });
  out.beginRow();
  format.write(change, row, out);
  return messages;
}

function copy(data: Buffer, start: number, end: number): Buffer {
  return Buffer.from(data.subarray(start, end));
}
