/** `row_insert`, `row_update` with the columns that changed, `row_delete` with the key, and heartbeats. */
import type { Clock } from "../core/clock.ts";
import { RowFormat, type ChangedRow } from "./row-format.ts";
import type { JsonWriter } from "./json-writer.ts";
import { changesOf } from "./row-writer.ts";

export class RowEventsFormat extends RowFormat {
  readonly name = "row-events";
  readonly #clock: Pick<Clock, "wallMs">;

  constructor(clock: Pick<Clock, "wallMs">) {
    super();
    this.#clock = clock;
  }

  protected value(json: JsonWriter, changed: ChangedRow): void {
    const { change, rows, row, operation, table } = changed;
    json.ascii(`{"timestamp":${this.#nowS()},"binlog_timestamp":${change.origin.timestampS}`);
    json.ascii(`,"type":"row_${operation}","table_name":`);
    json.text(table.shape.name);
    json.ascii(',"keys":');
    writeKeys(json, changed);
    if (operation === "insert") {
      json.ascii(',"values":');
      table.row.object(json, table.row.present(rows, row, "after"));
    } else if (operation === "update") {
      const { before, after } = changesOf(rows, row);
      json.ascii(',"before_values":');
      table.row.object(json, before);
      json.ascii(',"after_values":');
      table.row.object(json, after);
    }
    json.ascii("}");
  }

  #nowS(): number {
    return Math.floor(this.#clock.wallMs() / 1000);
  }
}

/** Of a table without key the whole row as it was: nothing less says which row is meant. */
function writeKeys(json: JsonWriter, { rows, row, operation, image, table }: ChangedRow): void {
  if (table.key.exists) table.key.object(json, rows, row, image);
  else if (operation === "insert") json.ascii("{}");
  else table.row.object(json, table.row.present(rows, row, "before"));
}

/** Says that the sender lives, at this moment. */
export function heartbeatValue(wallMs: number): Buffer {
  return Buffer.from(`{"timestamp":${Math.floor(wallMs / 1000)},"type":"heartbeat"}`);
}
