import { describe, expect, test } from "vitest";
import { faultsOf, MINIMAL, parse } from "./support.ts";

const withSink = (sink: string): string =>
  MINIMAL.replace("type: kafka\n      brokers: [kafka]", `type: sqs\n      ${sink}`);
const sinkOf = (sink: string): unknown => parse(withSink(sink)).config.pipelines[0]?.sink;

describe("a sink of type sqs", () => {
  test("has defaults for everything but its queue", () => {
    expect(sinkOf("queue: changes.fifo")).toEqual({
      type: "sqs",
      queue: "changes.fifo",
      region: undefined,
      endpoint: undefined,
      group: "key",
      maxMessageBytes: 1_048_576,
      inFlight: 16,
      delivery: "at-least-once",
    });
  });

  test("keeps its checkpoints in a file", () => {
    const [pipeline] = parse(withSink("queue: q")).config.pipelines;
    expect(pipeline?.commitLog).toEqual({ type: "file", dir: "tidemark-state" });
  });

  test.each([
    "a b",
    "q.fifo.x",
    "{schema}",
    "https://user:secret@sqs.eu-west-1.amazonaws.com/1/q",
    "https://sqs.eu-west-1.amazonaws.com/",
    "x".repeat(81),
  ])("refuses %s as a queue, without repeating it", queue => {
    const faults = faultsOf(() => sinkOf(`queue: "${queue}"`));
    expect(faults).toHaveLength(1);
    expect(faults[0]).toMatch(/^pipelines\.shop\.sink\.queue: /);
    expect(faults[0]).not.toContain("secret");
  });

  test("takes a group for a FIFO queue only", () => {
    expect(faultsOf(() => sinkOf("queue: q\n      group: table"))).toEqual([
      "pipelines.shop.sink.group: is for a FIFO queue, whose name ends in .fifo",
    ]);
  });

  test("warns of an endpoint that is not encrypted, unless it is this machine", () => {
    const warningsOf = (endpoint: string): readonly string[] =>
      parse(withSink(`queue: q\n      endpoint: ${endpoint}`)).warnings;
    expect(warningsOf("http://127.0.0.1:9324")).toEqual([]);
    expect(warningsOf("https://sqs.internal")).toEqual([]);
    expect(warningsOf("http://sqs.internal")).toEqual([
      "pipelines[0].sink: messages go to SQS unencrypted.",
    ]);
  });
});
