import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { errorCodes } from "../src/core/errors.ts";
import { configurationPage } from "../tools/docs/configuration.ts";
import { generatedFiles } from "../tools/generate-docs.ts";
import { root } from "./support/bundle.ts";

test.each([...(await generatedFiles())])("%s is what the source says", (path, contents) => {
  const file = join(root, path);
  expect(existsSync(file)).toBe(true);
  expect(readFileSync(file, "utf8"), "run: node tools/run.mjs tools/generate-docs.ts").toBe(
    contents,
  );
});

test("every code has a row, and every field a description", async () => {
  const errors = (await generatedFiles()).get("docs/errors.md") ?? "";
  for (const code of Object.keys(errorCodes)) expect(errors).toContain(`| \`${code}\` |`);
  const bare = configurationPage()
    .split("\n")
    .filter(
      line => line.startsWith("| `") && !line.startsWith("| `type` |") && /\| +\|$/.test(line),
    );
  expect(bare).toEqual([]);
});
