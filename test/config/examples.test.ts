import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { root } from "../support/bundle.ts";
import { parse } from "./support.ts";

const folder = join(root, "examples");
const environment = {
  MYSQL_PASSWORD: "x",
  RABBITMQ_PASSWORD: "x",
  WEBHOOK_SECRET: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
};

/** The files that an example names belong to the machine that it is for. */
const withoutFiles = (text: string): string =>
  text
    .replaceAll(/^( *)tls:\n(?: +(?:mode|ca|cert|key): .*\n)+/gm, "$1tls: {}\n")
    .replaceAll(/password_file: .*$/gm, "password: x");

test.each(readdirSync(folder).filter(name => name.endsWith(".yaml")))(
  "%s is a valid configuration",
  name => {
    const text = readFileSync(join(folder, name), "utf8");
    expect(parse(withoutFiles(text), { environment }).config.pipelines.length).toBeGreaterThan(0);
  },
);

test("table-cdc.yaml takes the words of its variables", () => {
  const text = readFileSync(join(folder, "table-cdc.yaml"), "utf8");
  const modeOf = (INITIAL_SNAPSHOT: string, FORCE_SNAPSHOT: string): string =>
    parse(text, { environment: { ...environment, INITIAL_SNAPSHOT, FORCE_SNAPSHOT } }).config.source
      .snapshot.mode;
  expect(modeOf("true", "false")).toBe("initial");
  expect(modeOf("true", "true")).toBe("always");
  expect(modeOf("false", "true")).toBe("never");
  expect(modeOf("", "")).toBe("never");
  const replica = { INITIAL_SNAPSHOT: "true", MYSQL_SNAPSHOT_HOST: "replica.example.com" };
  const { snapshot } = parse(text, { environment: { ...environment, ...replica } }).config.source;
  expect(snapshot.replica).toEqual({ host: "replica.example.com", port: 3306 });
});
