/** Topic names made from the template, such as `{database}.{table}`. */
import { TidemarkError } from "../core/errors.ts";
import { escapeUnits, fillTemplate, type TableName } from "../core/name-template.ts";
import { topicNameFault } from "../core/topic-name.ts";

/**
 * Kafka takes letters, digits, `.`, `_` and `-`; each other UTF-16 unit becomes `_uXXXX`.
 *
 * @throws TidemarkError CONFIG_INVALID for a name that Kafka refuses for its length or as a whole.
 */
export function topicName(template: string, table: TableName): string {
  const name = escapeUnits(fillTemplate(template, table), /[^A-Za-z0-9._-]/g);
  const fault = topicNameFault(name);
  if (fault === undefined) return name;
  throw new TidemarkError(
    "CONFIG_INVALID",
    `The topic template "${template}" makes "${name}" of ${table.database}.${table.table}: ` +
      `${fault}. Choose another sink.topic, or exclude the table.`,
  );
}
