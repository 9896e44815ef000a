/** How a message looks in RabbitMQ. */
import { createHash } from "node:crypto";
import type { Options } from "amqplib";
import { TidemarkError } from "../core/errors.ts";
import { fillTemplate, type TableName } from "../core/name-template.ts";
import type { Message } from "./sink.ts";

const SHORT_BYTES_MAX = 255;

/** The headers are those of a record in Kafka. */
export function propertiesOf(
  message: Message,
  { pipeline, persistent }: { readonly pipeline: string; readonly persistent: boolean },
): Options.Publish {
  const { id, transaction, position, key } = message;
  const headers: Record<string, string> = { id, pipeline, transaction, position };
  if (key !== null) headers["key"] = key.toString();
  return {
    mandatory: true,
    persistent,
    messageId: shortId(id),
    contentType: "application/json",
    headers,
  };
}

/** AMQP takes 255 bytes; a longer id is hashed. The header has it whole. */
export function shortId(id: string): string {
  return Buffer.byteLength(id) <= SHORT_BYTES_MAX
    ? id
    : createHash("sha256").update(id).digest("hex");
}

/**
 * The routing key that the template makes of a table.
 *
 * @throws TidemarkError CONFIG_INVALID for one that AMQP cannot carry.
 */
export function routingKey(template: string, table: TableName): string {
  const key = fillTemplate(template, table);
  const bytes = Buffer.byteLength(key);
  if (bytes <= SHORT_BYTES_MAX) return key;
  throw new TidemarkError(
    "CONFIG_INVALID",
    `The routing key "${template}" makes "${key}" of ${table.database}.${table.table}: ${bytes} bytes, and ` +
      `RabbitMQ takes ${SHORT_BYTES_MAX}. Choose another sink.routing_key, or exclude the table.`,
  );
}
