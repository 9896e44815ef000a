/** Tells whether two runs of a pipeline would make the same messages and send them to the same places. */
import { createHash, createHmac } from "node:crypto";
import type { ColumnsConfig, FormatConfig, PipelineConfig, SinkConfig } from "./config.ts";

/** Raised when a release makes other messages from the same configuration. */
const OUTPUT_VERSION = 1;

function routing(sink: SinkConfig): object {
  switch (sink.type) {
    case "kafka":
      return { type: sink.type, topic: sink.topic };
    case "sqs":
      return { type: sink.type, queue: sink.queue, group: sink.group };
    case "rabbitmq":
      return { type: sink.type, exchange: sink.exchange, routingKey: sink.routingKey };
    case "webhook":
      return {
        type: sink.type,
        routes: sink.routes.map(({ id, tables, events }) => ({
          id,
          tables: [...new Set(tables)].sort(),
          events: [...new Set(events)].sort(),
        })),
      };
    case "file":
      return { type: sink.type, path: sink.path, envelope: sink.envelope };
    case "stdout":
      return { type: sink.type, envelope: sink.envelope };
  }
}

/** Heartbeats have no place in the order of messages. */
function formatOf(format: FormatConfig): object {
  return format.type === "row-events" ? { type: format.type } : format;
}

/** Another key makes other hashes, but cannot be learnt from here. */
function columnsOf({ hashKey, ...patterns }: ColumnsConfig): object {
  const key = createHmac("sha256", hashKey).update("output").digest("hex");
  return { ...patterns, key };
}

/**
 * Hash of tables, events, columns, format and routing: what decides which messages come out, and where.
 * Brokers, passwords, queue sizes and the like are left out, as is the order of patterns and events.
 */
export function outputHash(pipeline: PipelineConfig): string {
  const output = {
    version: OUTPUT_VERSION,
    tables: [...new Set(pipeline.tables)].sort(),
    events: [...new Set(pipeline.events)].sort(),
    columns: pipeline.columns === undefined ? null : columnsOf(pipeline.columns),
    filter: pipeline.filter,
    // However long the window is, nothing that it made is compared with a replay.
    dedupe: pipeline.dedupe && true,
    format: formatOf(pipeline.format),
    schemaTopic: pipeline.schemaTopic,
    routing: routing(pipeline.sink),
  };
  return createHash("sha256").update(JSON.stringify(output)).digest("hex").slice(0, 32);
}
