/**
 * `{schema, timestamp}`: that something changed in a schema, and when. One message a rows event, however
 * many rows it has; their key is the schema.
 */
import type { Change } from "../core/entry.ts";
import type { Format } from "./format.ts";
import type { MessageWriter } from "./message-writer.ts";
import { isoSeconds } from "./moment.ts";

export class ActivityFormat implements Format {
  readonly name = "activity";

  write({ rows, origin }: Change, row: number, out: MessageWriter): void {
    if (row > 0) return;
    for (const json of [out.keys, out.values]) {
      json.ascii('{"schema":');
      json.text(rows.table.database);
    }
    out.keys.ascii("}");
    out.endKey();
    out.values.ascii(`,"timestamp":"${isoSeconds(origin.timestampS)}"}`);
    out.message("");
  }
}
