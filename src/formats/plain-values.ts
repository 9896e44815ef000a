/**
 * How the formats other than Debezium's show a value: as itself. Numbers are JSON numbers with all their
 * digits, decimals and moments the text that MySQL shows, JSON is JSON, bytes are base64.
 */
import type { Column, StoredForm } from "../core/rows.ts";
import { storedWriter } from "./debezium-stored.ts";
import { valueWriter } from "./debezium-values.ts";
import type { JsonWriter } from "./json-writer.ts";
import type { ColumnWriters, StoredWriter, ValueWriter } from "./object-writer.ts";

export const PLAIN: ColumnWriters = { canonical: plainWriter, stored: plainStoredWriter };

const writeText: ValueWriter = (json, cell) => json.string(cell);
const writeJson: ValueWriter = (json, cell) => json.raw(cell);
const writeBase64: ValueWriter = (json, cell) => json.base64(cell);

/** A number of up to 64 bits, highest byte first. */
function writeBits(json: JsonWriter, cell: Buffer): void {
  json.ascii(BigInt(`0x0${cell.toString("hex")}`).toString());
}

export function plainWriter(column: Column): ValueWriter {
  switch (column.type) {
    case "bit":
      return writeBits;
    case "date":
    case "time":
    case "datetime":
    case "timestamp":
      return writeText;
    case "json":
      return writeJson;
    case "geometry":
      return writeBase64;
    default:
      return valueWriter(column);
  }
}

/** For the types that Debezium shows in the same way. */
export function plainStoredWriter(column: Column, form: StoredForm): StoredWriter | undefined {
  switch (column.type) {
    case "date":
    case "datetime":
    case "timestamp":
    case "json":
      return undefined;
    default:
      return storedWriter(column, form);
  }
}
