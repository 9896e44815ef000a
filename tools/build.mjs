/**
 * Bundles src/main.ts into one self-contained file.
 *
 *   node tools/build.mjs                          → dist/tidemark.mjs
 *   node tools/build.mjs --mutant forget-tail     → dist/mutants/forget-tail.mjs, for `npm run verify`
 *
 * A mutant is a build that is wrong on purpose. `__MUTANT__` is replaced at compile time, so the real
 * bundle holds none of that code: test/build.test.ts looks.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const { values } = parseArgs({ options: { mutant: { type: "string", default: "" } } });
const root = fileURLToPath(new URL("..", import.meta.url));
const { version } = JSON.parse(readFileSync(`${root}/package.json`, "utf8"));

await build({
  absWorkingDir: root,
  entryPoints: ["src/main.ts"],
  outfile: values.mutant === "" ? "dist/tidemark.mjs" : `dist/mutants/${values.mutant}.mjs`,
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node20",
  minifySyntax: true,
  legalComments: "none",
  logLevel: "warning",
  define: {
    __MUTANT__: JSON.stringify(values.mutant),
    __VERSION__: JSON.stringify(version),
    // AWS's client would tell which versions of Node its next releases need: the user has this one.
    "process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED": '"true"',
  },
  banner: {
    js: [
      "#!/usr/bin/env node",
      'import { createRequire as __createRequire } from "node:module";',
      'import { dirname as __pathDirname } from "node:path";',
      'import { fileURLToPath as __fileURLToPath } from "node:url";',
      "const require = __createRequire(import.meta.url);",
      "const __filename = __fileURLToPath(import.meta.url);",
      "const __dirname = __pathDirname(__filename);",
    ].join("\n"),
  },
});
