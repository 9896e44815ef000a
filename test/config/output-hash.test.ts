import { describe, expect, test } from "vitest";
import type { PipelineConfig, SinkConfig } from "../../src/config/config.ts";
import { outputHash } from "../../src/config/output-hash.ts";

const tls = { mode: "disabled", ca: undefined, cert: undefined, key: undefined } as const;
const sink = {
  type: "kafka",
  brokers: ["a:9092"],
  topic: "{database}.{table}",
  delivery: "effectively-once",
  compression: "none",
  createTopics: { partitions: 1, replicationFactor: -1, config: {} },
  tls,
  sasl: undefined,
} as const satisfies SinkConfig;
const pipeline: PipelineConfig = {
  name: "shop",
  tables: ["shop.*", "!shop.x"],
  events: ["insert", "update", "delete"],
  format: { type: "debezium", tombstones: true },
  sink,
  deadLetter: undefined,
  commitLog: { type: "kafka", topic: "tidemark.commit-log" },
};
const file: SinkConfig = { type: "file", path: "a", envelope: false, delivery: "at-least-once" };
const rabbitmq: SinkConfig = {
  ...{ type: "rabbitmq", host: "a", port: 5672, vhost: "/", user: "u", password: "p", tls },
  ...{ exchange: "", routingKey: "{database}.{table}", persistent: true, heartbeatS: 30 },
  declare: { exchangeType: undefined, queues: false, queueType: "classic" },
  delivery: "at-least-once",
};
const stdout: SinkConfig = { type: "stdout", envelope: false, delivery: "at-least-once" };

describe("outputHash", () => {
  // A checkpoint that was written by an earlier build must still be known.
  test("does not change from build to build", () => {
    expect(outputHash(pipeline)).toBe("789ded414cf83347cd35ef841ebe6ff7");
  });

  test.each<[string, Partial<PipelineConfig>]>([
    ["order of patterns", { tables: ["!shop.x", "shop.*"] }],
    ["order of events", { events: ["delete", "insert", "update"] }],
    ["name", { name: "other" }],
    ["brokers", { sink: { ...sink, brokers: ["b:9092"] } }],
    ["login", { sink: { ...sink, sasl: { mechanism: "plain", username: "u", password: "p" } } }],
    ["compression", { sink: { ...sink, compression: "lz4" } }],
    ["delivery", { sink: { ...sink, delivery: "at-least-once" } }],
    ["commit log", { commitLog: { type: "file", dir: "x" } }],
  ])("does not depend on the %s", (_, change) => {
    expect(outputHash({ ...pipeline, ...change })).toBe(outputHash(pipeline));
  });

  test("differs with everything that decides what comes out and where", () => {
    const variants: PipelineConfig[] = [
      pipeline,
      { ...pipeline, tables: ["shop.*"] },
      { ...pipeline, events: ["insert"] },
      { ...pipeline, format: { type: "debezium", tombstones: false } },
      { ...pipeline, format: { type: "maxwell" } },
      { ...pipeline, format: { type: "row-events", heartbeatMs: 1 } },
      { ...pipeline, sink: { ...sink, topic: "all" } },
      { ...pipeline, sink: file },
      { ...pipeline, sink: { ...file, path: "b" } },
      { ...pipeline, sink: { ...file, envelope: true } },
      { ...pipeline, sink: rabbitmq },
      { ...pipeline, sink: { ...rabbitmq, exchange: "changes" } },
      { ...pipeline, sink: { ...rabbitmq, routingKey: "all" } },
      { ...pipeline, schemaTopic: "changes" },
      { ...pipeline, dedupe: { windowMs: 1, maxMemoryBytes: 1 } },
      { ...pipeline, sink: stdout },
      { ...pipeline, sink: { ...stdout, envelope: true } },
    ];
    expect(new Set(variants.map(outputHash)).size).toBe(variants.length);
  });
});
