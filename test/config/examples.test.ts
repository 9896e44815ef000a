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

test.each(readdirSync(folder))("%s is a valid configuration", name => {
  const text = readFileSync(join(folder, name), "utf8");
  expect(parse(withoutFiles(text), { environment }).config.pipelines.length).toBeGreaterThan(0);
});
