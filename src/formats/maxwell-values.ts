/** How Maxwell shows a value: as itself, but decimals as numbers, a SET as a list and geometries as text. */
import type { Column, StoredForm } from "../core/rows.ts";
import type { ColumnWriters, StoredWriter, ValueWriter } from "./object-writer.ts";
import { plainStoredWriter, plainWriter } from "./plain-values.ts";
import { wellKnownText } from "./wkt.ts";

export const MAXWELL: ColumnWriters = { canonical, stored };

const writeNumber: ValueWriter = (json, cell) => json.raw(cell);
const writeWellKnownText: ValueWriter = (json, cell) => json.ascii(`"${wellKnownText(cell)}"`);

/** No member of a SET has a comma in its name. */
const writeMembers: ValueWriter = (json, cell) => {
  json.ascii("[");
  for (let from = 0; from < cell.length;) {
    const comma = cell.indexOf(",", from);
    const to = comma < 0 ? cell.length : comma;
    if (from > 0) json.ascii(",");
    json.string(cell, from, to);
    from = to + 1;
  }
  json.ascii("]");
};

function canonical(column: Column): ValueWriter {
  switch (column.type) {
    case "decimal":
      return writeNumber;
    case "set":
      return writeMembers;
    case "geometry":
      return writeWellKnownText;
    default:
      return plainWriter(column);
  }
}

function stored(column: Column, form: StoredForm): StoredWriter | undefined {
  if (column.type === "decimal" || column.type === "set") return undefined;
  return plainStoredWriter(column, form);
}
