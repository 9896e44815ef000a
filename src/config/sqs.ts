/** The settings of a sink of type sqs that depend on one another. */
import { isFifoQueue, isQueueUrl, queueFault } from "../core/queue-name.ts";
import type { SqsSinkConfig } from "./config.ts";
import { isLoopback } from "./broker.ts";
import type { Path } from "./faults.ts";
import { printPath } from "./faults.ts";
import type { Collector } from "./files.ts";
import type { SqsSinkSettings } from "./schema.ts";

/** What is wrong with a queue template; undefined if nothing is. */
export function queueTemplateFault(template: string): string | undefined {
  const fixed = template.replaceAll("{database}", "x").replaceAll("{table}", "x");
  if (/[{}]/.test(fixed)) return "the only placeholders are {database} and {table}";
  return queueFault(fixed);
}

/** What is wrong with an endpoint; undefined if nothing is. */
export function endpointFault(endpoint: string): string | undefined {
  const isPlain = /^https?:\/\/[^/?#@\s]+\/?$/.test(endpoint) && URL.canParse(endpoint);
  return isPlain ? undefined : "expected an address such as https://sqs.eu-west-1.amazonaws.com";
}

export function normaliseSqs(
  settings: SqsSinkSettings,
  path: Path,
  { faults, warnings }: Collector,
): SqsSinkConfig {
  const { queue, region, endpoint, group, max_message_bytes, in_flight } = settings;
  if (group !== undefined && !isFifoQueue(queue)) {
    faults.add([...path, "group"], "is for a FIFO queue, whose name ends in .fifo");
  }
  const places = [endpoint ?? "", isQueueUrl(queue) ? queue : ""];
  const open = places.find(url => url.startsWith("http:") && !isLoopback(new URL(url).hostname));
  if (open !== undefined) {
    warnings.push(`${printPath(path, undefined)}: messages go to SQS unencrypted.`);
  }
  return {
    type: "sqs",
    queue,
    region,
    endpoint,
    group: group ?? "key",
    maxMessageBytes: max_message_bytes,
    inFlight: in_flight,
    delivery: "at-least-once",
  };
}
