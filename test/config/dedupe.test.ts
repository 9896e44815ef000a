import { expect, test } from "vitest";
import { parse } from "./support.ts";

const text = (pipeline: string, sink = "{ type: file, path: out }", memory = "64MB"): string => `
source: { host: 127.0.0.1, user: cdc }
queue: { memory: ${memory} }
pipelines:
  - name: shop
    tables: ["shop.*"]
    sink: ${sink}
${pipeline}`;

test("is off, and changes nothing, unless it is asked for", () => {
  const { config, settings } = parse(text(""));
  expect(config.pipelines[0]).not.toHaveProperty("dedupe");
  expect(config.pipelines[0]?.sink.delivery).toBe("effectively-once");
  expect(settings.pipelines[0]?.sink).toMatchObject({ delivery: "effectively-once" });
});

test("makes delivery at-least-once, and takes a quarter of the memory", () => {
  const { config, settings } = parse(text("    dedupe: { window_ms: 500 }"));
  expect(config.pipelines[0]?.dedupe).toEqual({ windowMs: 500, maxMemoryBytes: 16 * 1024 ** 2 });
  expect(config.pipelines[0]?.sink.delivery).toBe("at-least-once");
  expect(settings.pipelines[0]).toMatchObject({
    dedupe: { window_ms: 500, max_memory: "16MB" },
    sink: { delivery: "at-least-once" },
  });
});

test("leaves the destination of dead letters as it is", () => {
  const letters = "    on_refused: { dead_letter: { type: file, path: letters } }";
  const { config } = parse(text(`    dedupe: { window_ms: 500 }\n${letters}`));
  expect(config.pipelines[0]?.deadLetter?.delivery).toBe("effectively-once");
});

test.each([
  ["no window", "dedupe: {}", undefined, "dedupe.window_ms: is required"],
  ["a window of an hour", "dedupe: { window_ms: 3600000 }", undefined, "from 1 to 300000"],
  [
    "too much memory",
    "dedupe: { window_ms: 500, max_memory: 40MB }",
    undefined,
    "dedupe.max_memory: may be half of the pipeline's share of queue.memory, which is 32MB",
  ],
  [
    "effectively-once",
    "dedupe: { window_ms: 500 }",
    "{ type: file, path: out, delivery: effectively-once }",
    "sink.delivery: `dedupe` merges what is sent again after a crash in another way than before it",
  ],
  [
    "effectively-once in Kafka",
    "dedupe: { window_ms: 500 }",
    "{ type: kafka, brokers: [kafka], delivery: effectively-once }",
    "sink.delivery: `dedupe` merges",
  ],
  [
    "the format of events",
    "format: activity\n    dedupe: { window_ms: 500 }",
    undefined,
    "dedupe: the format activity tells of events and not of rows",
  ],
])("refuses %s", (_, pipeline, sink, fault) => {
  expect(() => parse(text(`    ${pipeline}`, sink))).toThrow(fault);
});
