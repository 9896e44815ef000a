/** Topic names made from the template, such as `{database}.{table}`. */
import { TidemarkError } from "../core/errors.ts";
import { topicNameFault } from "../core/topic-name.ts";

/**
 * Kafka takes letters, digits, `.`, `_` and `-`; each other UTF-16 unit becomes `_uXXXX`.
 *
 * @throws TidemarkError CONFIG_INVALID for a name that Kafka refuses for its length or as a whole.
 */
export function topicName(template: string, table: { database: string; table: string }): string {
  const name = template
    .replace(/\{(database|table)\}/g, (_, part: "database" | "table") => table[part])
    .replace(/[^A-Za-z0-9._-]/g, escapeUnit);
  const fault = topicNameFault(name);
  if (fault === undefined) return name;
  throw new TidemarkError(
    "CONFIG_INVALID",
    `The topic template "${template}" makes "${name}" of ${table.database}.${table.table}: ` +
      `${fault}. Choose another sink.topic, or exclude the table.`,
  );
}

function escapeUnit(unit: string): string {
  return `_u${unit.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
}
