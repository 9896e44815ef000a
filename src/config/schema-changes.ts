/** `schema_changes` of a pipeline: where statements are told of. */
import { z } from "zod";
import { queueFault } from "../core/queue-name.ts";
import { topicNameFault } from "../core/topic-name.ts";
import type { CommitLogConfig, SinkConfig } from "./config.ts";
import { routingKeyFault } from "./rabbitmq.ts";
import { text } from "./scalars.ts";

export const schemaChangesSchema = z
  .strictObject({
    topic: text().describe(
      "Topic of these messages, without placeholders; with `sqs` the queue, with `rabbitmq` the routing key, with " +
        "`webhook` the id of a route. `file` and `stdout` write them among the rows, and name this in the envelope.",
    ),
  })
  .optional()
  .describe(
    "Whether CREATE, ALTER, RENAME, DROP and TRUNCATE of captured tables give a message too: see " +
      "[formats.md](formats.md#schema-changes). Default: none.",
  );

/** What is wrong with the topic; undefined if nothing is. */
export function schemaTopicFault(
  topic: string,
  sink: SinkConfig,
  commitLog: CommitLogConfig,
): string | undefined {
  if (/[{}]/.test(topic)) return "takes no placeholders: a statement may name several tables";
  switch (sink.type) {
    case "kafka":
      if (commitLog.type === "kafka" && commitLog.topic === topic) {
        return "this is the topic of the commit log";
      }
      return sink.topic === topic ? "this is the topic of the rows" : topicNameFault(topic);
    case "sqs":
      return queueFault(topic);
    case "rabbitmq":
      return routingKeyFault(topic);
    case "webhook":
      return sink.routes.some(({ id }) => id === topic)
        ? undefined
        : "expected the id of one of sink.routes";
    case "file":
    case "stdout":
      return undefined;
  }
}
