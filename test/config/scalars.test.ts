import { describe, expect, test } from "vitest";
import { brokerHost, isLoopback, parseBroker } from "../../src/config/broker.ts";
import { formatSize, parseSize } from "../../src/config/scalars.ts";
import { topicTemplateFault } from "../../src/config/topic.ts";
import { topicNameFault } from "../../src/core/topic-name.ts";

describe("sizes", () => {
  test.each<[string | number, number | undefined]>([
    ["64MB", 67_108_864],
    ["64 mb", 67_108_864],
    ["1KB", 1024],
    ["2GB", 2_147_483_648],
    ["512", 512],
    ["512B", 512],
    [512, 512],
    [1.5, undefined],
    ["1.5GB", undefined],
    ["-1MB", undefined],
    ["MB", undefined],
    ["64MiB", undefined],
    ["999999999999999GB", undefined],
    ["", undefined],
  ])("%j is %s bytes", (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  test.each([0, 1, 1023, 1024, 4 * 1024 ** 2, 1024 ** 3, 1024 ** 3 + 1])(
    "%d survives being written",
    bytes => {
      expect(parseSize(formatSize(bytes))).toBe(bytes);
    },
  );
});

describe("brokers", () => {
  test.each([
    ["kafka", "kafka:9092"],
    ["127.0.0.1:9093", "127.0.0.1:9093"],
    ["[::1]:9092", "[::1]:9092"],
    ["[::1]", "[::1]:9092"],
  ])("%s is %s", (text, broker) => {
    expect(parseBroker(text)).toBe(broker);
  });

  test.each(["", "a b", "kafka://a", "a:9092/x", "u:p@a", "a:99999", "a:0", "a:b", ":9092"])(
    "%j is none",
    text => {
      expect(parseBroker(text)).toBeUndefined();
    },
  );

  test.each([
    ["localhost", true],
    ["127.0.0.1", true],
    ["127.8.9.10", true],
    ["::1", true],
    [brokerHost("[::1]:9092"), true],
    ["127.0.0.1.example.com", false],
    ["localhost.example.com", false],
    ["10.0.0.1", false],
  ])("%s is on this machine: %s", (host, expected) => {
    expect(isLoopback(host)).toBe(expected);
  });
});

describe("topics", () => {
  test.each(["{database}.{table}", "cdc", "a_{table}-b", "{table}"])("%s is a template", text => {
    expect(topicTemplateFault(text)).toBeUndefined();
  });

  test.each(["{db}", "{database", "a b", "{}", "{{table}}", "ä", "..", "a/b", "x".repeat(250)])(
    "%s is none",
    text => {
      expect(topicTemplateFault(text)).toBeDefined();
    },
  );

  test("a name has no placeholders", () => {
    expect(topicNameFault("tidemark.commit-log")).toBeUndefined();
    expect(topicNameFault("{table}")).toBeDefined();
  });
});
