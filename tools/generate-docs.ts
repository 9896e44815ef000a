/**
 * Writes the pages that are made from the source, so that they cannot differ from it:
 *
 *   src/config/schema.ts ──▶ docs/configuration.md, docs/configuration.schema.json
 *   src/core/errors.ts   ──▶ docs/errors.md
 *   src/metrics          ──▶ docs/metrics.md
 *
 *   node tools/run.mjs tools/generate-docs.ts
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { format } from "prettier";
import { configurationPage, configurationSchema } from "./docs/configuration.ts";
import { errorsPage } from "./docs/errors.ts";
import { metricsPage } from "./docs/metrics.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Path from the repository's root → contents. */
export async function generatedFiles(): Promise<ReadonlyMap<string, string>> {
  const errorsSource = readFileSync(`${root}/src/core/errors.ts`, "utf8");
  const schema = await format(JSON.stringify(configurationSchema()), {
    parser: "json",
    printWidth: 100,
  });
  return new Map([
    ["docs/configuration.md", configurationPage()],
    ["docs/configuration.schema.json", schema],
    ["docs/errors.md", errorsPage(errorsSource)],
    ["docs/metrics.md", metricsPage()],
  ]);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [path, contents] of await generatedFiles()) writeFileSync(`${root}/${path}`, contents);
}
