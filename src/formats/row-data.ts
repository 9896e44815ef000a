/** `{primary_id, event, table, data, timestamp}`, with `old_data` and `new_data` in an update. */
import { RowFormat, type ChangedRow } from "./row-format.ts";
import type { JsonWriter } from "./json-writer.ts";
import { isoSeconds } from "./moment.ts";

export class RowDataFormat extends RowFormat {
  readonly name = "row-data";

  protected value(json: JsonWriter, changed: ChangedRow): void {
    const { change, rows, row, operation, image, table } = changed;
    json.ascii('{"primary_id":');
    writeId(json, changed);
    json.ascii(`,"event":"${operation}","table":`);
    json.text(table.shape.name);
    if (operation === "update") {
      json.ascii(',"old_data":');
      table.row.object(json, table.row.present(rows, row, "before"));
      json.ascii(',"new_data":');
      table.row.object(json, table.row.present(rows, row, "after"));
    } else {
      json.ascii(',"data":');
      table.row.object(json, table.row.present(rows, row, image));
    }
    json.ascii(`,"timestamp":"${isoSeconds(change.origin.timestampS)}"}`);
  }
}

/** The key's value, or an object of its columns; without a key the column `id`, or null. */
function writeId(json: JsonWriter, { rows, row, image, table }: ChangedRow): void {
  const { columns, primaryKey } = table.shape;
  const column = primaryKey[0] ?? columns.findIndex(({ name }) => name === "id");
  if (primaryKey.length > 1) table.key.object(json, rows, row, image);
  else if (column < 0) json.ascii("null");
  else table.row.value(json, { rows, row, image }, column);
}
