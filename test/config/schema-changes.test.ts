import { describe, expect, test } from "vitest";
import { faultsOf, MINIMAL, parse } from "./support.ts";

const told = (topic: string): string => `${MINIMAL}    schema_changes: { topic: "${topic}" }\n`;

describe("schema_changes", () => {
  test("names a topic", () => {
    expect(parse(told("shop.changes")).config.pipelines[0]?.schemaTopic).toBe("shop.changes");
  });

  test.each([
    ["{database}", "takes no placeholders: a statement may name several tables"],
    ["tidemark.commit-log", "this is the topic of the commit log"],
    ["a b", "a topic name can have A-Z, a-z, 0-9, . _ and - only"],
  ])("refuses %s", (topic, fault) => {
    expect(faultsOf(() => parse(told(topic)))).toEqual([
      `pipelines.shop.schema_changes.topic: ${fault}`,
    ]);
  });
});
