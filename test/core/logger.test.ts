import { describe, expect, test } from "vitest";
import { createLogger, silentLogger, type LoggerOptions } from "../../src/core/logger.ts";

function capture(options: Partial<LoggerOptions> = {}) {
  const lines: string[] = [];
  const write = (line: string): number => lines.push(line);
  const logger = createLogger({
    level: "info",
    format: "json",
    colors: false,
    ...options,
    write: line => void write(line),
  });
  return { logger, lines, last: () => JSON.parse(lines.at(-1) ?? "") as Record<string, unknown> };
}

describe("json", () => {
  test("is one object a line, with level, time, message and fields", () => {
    const { logger, lines, last } = capture();
    logger.child({ pipeline: "shop" }).child({ stage: "reader" }).warn({ tries: 2 }, "waits");
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/^\{.*\}\n$/);
    expect(last()).toMatchObject({
      level: "warn",
      pipeline: "shop",
      stage: "reader",
      tries: 2,
      message: "waits",
    });
    expect(last()["time"]).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  });

  test("leaves out what is below the level", () => {
    const { logger, lines } = capture({ level: "warn" });
    logger.debug({}, "a");
    logger.info({}, "b");
    logger.warn({}, "c");
    logger.error({}, "d");
    expect(lines).toHaveLength(2);
  });
});

describe("text", () => {
  test("is a line for people", () => {
    const { logger, lines } = capture({ format: "text" });
    logger.child({ pipeline: "shop" }).info({ file: "binlog.000003", note: "a b" }, "begins");
    expect(lines[0]).toMatch(
      /^\d{4}-\d\d-\d\dT[\d:.]+Z INFO {2}shop: begins {2}file=binlog\.000003 note="a b"\n$/,
    );
  });

  test("has colours only where they are asked for", () => {
    const plain = capture({ format: "text" });
    const coloured = capture({ format: "text", colors: true });
    plain.logger.error({}, "x");
    coloured.logger.error({}, "x");
    expect(plain.lines[0]).not.toContain("\u001B");
    expect(coloured.lines[0]).toContain("\u001B[31mERROR\u001B[0m");
  });

  test("lets no name begin a line or reach the terminal", () => {
    const { logger, lines } = capture({ format: "text" });
    const name = "x\n2026-01-01 ERROR forged\u001B[2J\u202E\u2028";
    logger.child({ pipeline: name }).info({ [name]: name, list: [name] }, name);
    expect(lines).toHaveLength(1);
    const line = lines[0]?.trimEnd() ?? "";
    for (const character of "\n\u001B\u202E\u2028") expect(line).not.toContain(character);
  });
});

describe("secrets", () => {
  test.each(["json", "text"] as const)("never reach the log (%s)", format => {
    const { logger, lines } = capture({ format, level: "debug" });
    const secret = "hunter2";
    const error = new Error(`mysql://cdc:${secret}@db/shop refused`);
    Object.assign(error, { sql: secret, code: "ER_X", sqlMessage: secret });
    logger.info({ password: secret, sasl: { username: "u", password: secret } }, "a");
    logger.info({ config: { source: { Password: secret } } }, "b");
    logger.info({ row: Buffer.from(secret), url: `kafka://u:${secret}@h` }, "c");
    logger.info({ error }, "d");
    logger.info(error, `at mysql://cdc:${secret}@db`);
    logger.info({ pem: `-----BEGIN PRIVATE KEY-----\n${secret}` }, "e");
    logger.child({ token: secret }).info({}, "f");
    logger.info({}, `signed with whsec_${secret}`);
    expect(lines).toHaveLength(8);
    expect(lines.join("")).not.toContain(secret);
    expect(lines[3]).toContain("ER_X");
  });

  test("stacks are for level debug", () => {
    for (const level of ["info", "debug"] as const) {
      const { logger, lines } = capture({ level });
      logger.error({ error: new Error("x", { cause: new Error("y") }) }, "z");
      expect(lines[0]?.includes('"stack"')).toBe(level === "debug");
      expect(lines[0]).toContain('"message":"y"');
    }
  });
});

test("nothing that is logged makes it throw", () => {
  const circle: Record<string, unknown> = { n: 1n, f: () => 1, s: Symbol("x"), d: new Date(NaN) };
  circle["self"] = circle;
  for (const format of ["json", "text"] as const) {
    const { logger, lines } = capture({ format });
    logger.info(circle, "x".repeat(10_000));
    expect(lines).toHaveLength(1);
    expect(lines[0]?.length).toBeLessThan(10_000);
  }
  silentLogger.child({}).error(circle, "x");
});
