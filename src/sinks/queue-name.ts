/** Queues made from the template, such as `{database}-{table}.fifo`. */
import { TidemarkError } from "../core/errors.ts";
import { escapeUnits, fillTemplate, type TableName } from "../core/name-template.ts";
import { queueFault } from "../core/queue-name.ts";

/**
 * Queue names have letters, digits, `-` and `_`; each other UTF-16 unit becomes `_uXXXX`.
 *
 * @throws TidemarkError CONFIG_INVALID for a name that SQS refuses for its length.
 */
export function queueName(template: string, table: TableName): string {
  const queue = fillTemplate(template, table, part => escapeUnits(part, /[^A-Za-z0-9_-]/g));
  const fault = queueFault(queue);
  if (fault === undefined) return queue;
  throw new TidemarkError(
    "CONFIG_INVALID",
    `The queue template "${template}" makes "${queue}" of ${table.database}.${table.table}: ` +
      `${fault}. Choose another sink.queue, or exclude the table.`,
  );
}
