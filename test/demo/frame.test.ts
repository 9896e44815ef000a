import { describe, expect, test } from "vitest";
import { frame, plainLine, sparkline, type Figures } from "../../tools/demo/frame.ts";

const figures: Figures = {
  target: "kafka",
  written: 12_345,
  delivered: 12_000,
  released: 11_000,
  rowsPerSecond: 1_500,
  elapsedS: 8.2,
  seconds: 20,
  pid: 4711,
  isStopped: false,
  starts: 2,
};
const options = {
  width: 80,
  hasColors: false,
  history: [0, 700, 1_345],
  events: ["kill -9 hit Tidemark"],
  eventsShown: 4,
  tick: 3,
};

describe("frame", () => {
  test("shows every stage, what is between them, and whether Tidemark lives", () => {
    const text = frame(figures, options).join("\n");
    for (const part of ["12,345", "12,000", "11,000", "345  on the way ▒▒▒▒", "pid 4711"]) {
      expect(text).toContain(part);
    }
    expect(frame({ ...figures, pid: undefined }, options).join("\n")).toContain("dead");
    const stopped = frame({ ...figures, pid: undefined, isStopped: true }, options).join("\n");
    expect(stopped).not.toContain("dead");
  });

  test.each([20, 40, 80, 100])("has lines of at most %i columns, always as many", width => {
    const much = { ...figures, delivered: 0, released: 0 };
    const events = ["x".repeat(200), "y"];
    for (const shown of [figures, much]) {
      const lines = frame(shown, { ...options, width, events });
      expect(lines).toHaveLength(frame(figures, options).length);
      for (const line of lines) expect(Array.from(line).length).toBeLessThan(width);
    }
  });
});

test("the sparkline ends with now, and its peak is the most", () => {
  expect(sparkline([0, 50, 100], 10)).toBe("▁▅█");
  expect(sparkline([900, 0, 0], 2)).toBe("▁▁");
  expect(sparkline([], 10)).toBe("");
});

test("a plain line says it all", () => {
  expect(plainLine(figures)).toBe(
    "12,345 row changes written in MySQL, 12,000 in Kafka, 11,000 released (1,500/s)",
  );
  expect(plainLine({ ...figures, pid: undefined })).toContain("Tidemark is dead");
});
