import { expect, test } from "vitest";
import { z } from "zod";
import { printSettings, REDACTED, redact } from "../../src/config/redact.ts";
import { configSchema } from "../../src/config/schema.ts";
import { MINIMAL, parse } from "./support.ts";

const SASL = "      sasl: { mechanism: scram-sha-256, username: u, password: kafka-secret }\n";

test("secrets are hidden by their field, wherever it stands", () => {
  const { settings } = parse(`${MINIMAL.replace("password: pw", "password: cdc")}${SASL}`);
  expect(redact(settings)).toMatchObject({
    source: { user: "cdc", password: REDACTED },
    pipelines: [{ sink: { sasl: { username: "u", password: REDACTED } } }],
  });
  expect(printSettings(settings)).not.toContain("kafka-secret");
});

test("an empty password looks like any other", () => {
  const { settings } = parse(MINIMAL.replace("password: pw", 'password: ""'));
  expect(redact(settings)).toMatchObject({ source: { password: REDACTED } });
});

test("what is printed is a valid configuration that results in the same", () => {
  const { settings, config } = parse(MINIMAL);
  const again = parse(printSettings(settings), { overrides: ["source.password=pw"] });
  expect(again.config).toEqual(config);
});

interface Node {
  readonly secret?: boolean;
}

// Goal: a field that is added later cannot be forgotten.
test("every field that is called a password is marked as secret", () => {
  const found: [name: string, isSecret: boolean][] = [];
  const walk = (node: unknown): void => {
    if (typeof node !== "object" || node === null) return;
    for (const [name, child] of Object.entries(node) as [string, unknown][]) {
      if (name === "password") found.push([name, (child as Node).secret === true]);
      walk(child);
    }
  };
  walk(z.toJSONSchema(configSchema, { unrepresentable: "any" }));
  expect(found.length).toBeGreaterThan(2);
  expect(found.filter(([, isSecret]) => !isSecret)).toEqual([]);
});
