/** `{kind, schema, table, columnnames, columnvalues, oldkeys}`, with the whole row before in `oldkeys`. */
import type { Image } from "../core/rows.ts";
import { RowFormat, type ChangedRow } from "./row-format.ts";
import type { JsonWriter } from "./json-writer.ts";

export class ColumnListFormat extends RowFormat {
  readonly name = "column-list";

  protected value(json: JsonWriter, changed: ChangedRow): void {
    const { operation, isRead, table } = changed;
    json.ascii(`{"kind":"${isRead ? "snapshot_insert" : operation}","schema":`);
    json.text(table.shape.database);
    json.ascii(',"table":');
    json.text(table.shape.name);
    if (operation === "delete") json.ascii(',"columnnames":[],"columnvalues":[]');
    else
      writeLists(json, changed, { image: "after", names: "columnnames", values: "columnvalues" });
    json.ascii(',"oldkeys":');
    if (operation === "insert") {
      json.ascii("{}}");
    } else {
      // The comma in front of the first list becomes the opening brace.
      const start = json.length;
      writeLists(json, changed, { image: "before", names: "keynames", values: "keyvalues" });
      json.patch(start, 0x7b);
      json.ascii("}}");
    }
  }
}

interface Lists {
  readonly image: Image;
  readonly names: string;
  readonly values: string;
}

function writeLists(
  json: JsonWriter,
  { rows, row, table }: ChangedRow,
  { image, names, values }: Lists,
): void {
  const cells = table.row.present(rows, row, image);
  json.ascii(`,"${names}":`);
  table.row.names(json, cells);
  json.ascii(`,"${values}":`);
  table.row.values(json, cells);
}
