import { describe, expect, test } from "vitest";
import { briefly, Failure } from "../../tools/demo/failure.ts";
import { parseOptions } from "../../tools/demo/options.ts";
import { failures, holds, summary } from "../../tools/demo/summary.ts";

describe("the demo's options", () => {
  test("have defaults", () => {
    const defaults = { seconds: 20, mysql: "mysql-9", target: "kafka", seed: 1, json: false };
    expect(parseOptions([])).toEqual(defaults);
    expect(parseOptions(["--help"])).toBeUndefined();
  });

  test.each([
    [["--seconds", "soon"]],
    [["--seconds", "1"]],
    [["--mysql", "mysql-5"]],
    [["--target", "sqs"]],
    [["--colour"]],
    [["kafka"]],
  ])("refuse %j in one sentence", args => {
    expect(() => parseOptions(args)).toThrow(Failure);
    expect(() => parseOptions(args)).toThrow(/^[^\n]{10,120}\.$/);
  });
});

test("a failed command is told in one line", () => {
  const failure = new Error("mvn --batch-mode … ended with 1:\n[INFO] hm\n[ERROR] no network.\n");
  expect(briefly(failure)).toBe("mvn: [ERROR] no network");
  expect(briefly(new Error("This is a machine without Java."))).toBe(
    "This is a machine without Java",
  );
});

const perfect = {
  target: "kafka",
  written: 10,
  delivered: 10,
  lost: 0,
  duplicated: 0,
  out_of_order: 0,
  phantom: 0,
  kills: 1,
  kills_in_flight: 1,
  in_flight_at_kill: 4,
  rows_per_s: 5,
  rows_compared: 3,
  rows_different: 0,
  examples: [],
} as const;

describe("the verdict", () => {
  test("holds where nothing is wrong", () => {
    expect(holds(perfect)).toBe(true);
    expect(summary(perfect).at(-1)).toContain("Every row change arrived");
  });

  test.each([
    { lost: 1 },
    { duplicated: 1 },
    { out_of_order: 1 },
    { phantom: 1 },
    { rows_different: 1 },
    { kills_in_flight: 0 },
  ])("does not hold with %j", fault => {
    expect(holds({ ...perfect, ...fault })).toBe(false);
    expect(failures({ ...perfect, ...fault })).toHaveLength(1);
    expect(summary({ ...perfect, ...fault }).join("\n")).toContain("✗");
  });
});
