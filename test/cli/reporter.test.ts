import { spawnSync } from "node:child_process";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Reporter } from "../../src/cli/reporter.ts";
import { TidemarkError } from "../../src/core/errors.ts";
import { createLogger } from "../../src/core/logger.ts";

describe("Reporter", () => {
  let written = "";
  beforeEach(() => {
    written = "";
    vi.spyOn(process.stderr, "write").mockImplementation(chunk => {
      written += String(chunk);
      return true;
    });
  });
  afterEach(() => {
    vi.restoreAllMocks();
  });

  const withLogger = (level: "info" | "debug"): Reporter => {
    const reporter = new Reporter();
    const write = (line: string): void => void (written += line);
    reporter.useLogger(createLogger({ level, format: "json", colors: false, write }));
    return reporter;
  };

  test("says one of our errors in one line, and returns its exit code", () => {
    const code = new Reporter().report(new TidemarkError("TAKEN_OVER", "Another one runs."));
    expect([code, written]).toEqual([75, "tidemark: [TAKEN_OVER] Another one runs.\n"]);
  });

  test("uses the log once there is one", () => {
    expect(withLogger("info").report(new TidemarkError("ACCESS_DENIED", "No."))).toBe(77);
    expect(JSON.parse(written)).toMatchObject({
      level: "error",
      code: "ACCESS_DENIED",
      exit_code: 77,
      message: "No.",
    });
  });

  test("says an error once, with the pipeline that ended first", () => {
    const reporter = withLogger("info");
    const error = new TidemarkError("ACCESS_DENIED", "No.");
    expect([reporter.report(error, { pipeline: "shop" }), reporter.report(error)]).toEqual([
      77, 77,
    ]);
    expect(JSON.parse(written)).toMatchObject({ pipeline: "shop", message: "No." });
  });

  test("asks to report what nobody foresaw, without its stack", () => {
    const error = new TypeError("x of undefined at mysql://cdc:hunter2@db");
    expect(new Reporter().report(error)).toBe(70);
    expect(withLogger("info").report(error)).toBe(70);
    expect(written).toContain("This is a bug in Tidemark");
    expect(written).not.toContain("hunter2");
    expect(written).not.toContain("reporter.test.ts");
  });

  test("shows the stack at level debug", () => {
    expect(withLogger("debug").report(new TypeError("x"))).toBe(70);
    expect(written).toContain("reporter.test.ts");
  });

  test("tells of a process that has nothing left to do before its work has ended", () => {
    const module = JSON.stringify(new URL("../../src/cli/reporter.ts", import.meta.url).href);
    const script = `import { Reporter } from ${module};
      const reporter = new Reporter();
      reporter.watchProcess();
      await reporter.expectEnd(Promise.resolve());
      await reporter.expectEnd(new Promise(() => undefined));`;
    const args = ["--import", "tsx", "--input-type=module", "--eval", script];
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
    expect([status, stderr.split(".")[0]]).toEqual([
      70,
      "tidemark: [BUG] Something is awaited that can no longer happen",
    ]);
  });

  test("an end that is in order is no error", () => {
    expect(withLogger("info").report(new TidemarkError("STDOUT_CLOSED", "Closed."))).toBe(0);
    expect(JSON.parse(written)).toMatchObject({ level: "info", code: "STDOUT_CLOSED" });
  });

  test.each([[undefined], [null], ["text"], [{ a: 1 }], [Symbol("x")]])(
    "takes whatever is thrown: %s",
    thrown => {
      expect(new Reporter().report(thrown)).toBe(70);
      expect(written).toMatch(/^tidemark: \[BUG\] .*\n$/);
    },
  );
});
