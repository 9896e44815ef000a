/** Queues made from the template, such as `{database}-{table}.fifo`. */
import { TidemarkError } from "../core/errors.ts";
import { queueFault } from "../core/queue-name.ts";

/**
 * Queue names have letters, digits, `-` and `_`; each other UTF-16 unit becomes `_uXXXX`.
 *
 * @throws TidemarkError CONFIG_INVALID for a name that SQS refuses for its length.
 */
export function queueName(template: string, table: { database: string; table: string }): string {
  const queue = template.replace(/\{(database|table)\}/g, (_, part: "database" | "table") =>
    table[part].replace(/[^A-Za-z0-9_-]/g, escapeUnit),
  );
  const fault = queueFault(queue);
  if (fault === undefined) return queue;
  throw new TidemarkError(
    "CONFIG_INVALID",
    `The queue template "${template}" makes "${queue}" of ${table.database}.${table.table}: ` +
      `${fault}. Choose another sink.queue, or exclude the table.`,
  );
}

function escapeUnit(unit: string): string {
  return `_u${unit.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
}
