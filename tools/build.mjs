/**
 * Bundles src/main.ts into one self-contained file.
 *
 *   node tools/build.mjs                          → dist/tidemark.mjs
 *   node tools/build.mjs --mutant forget-tail     → dist/mutants/forget-tail.mjs, for `npm run verify`
 *
 * A mutant is a build that is wrong on purpose. `__MUTANT__` is replaced at compile time, so the real
 * bundle holds none of that code: test/build.test.ts looks.
 *
 * The bundle is ASCII without comments: one other character in a comment makes V8 keep two bytes for each of
 * the bundle's, and both together cost 17 MB of memory and a tenth of the start. Lines stay short, so that
 * the place in a stack trace says something.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { parseArgs } from "node:util";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const { values } = parseArgs({ options: { mutant: { type: "string", default: "" } } });
const root = fileURLToPath(new URL("..", import.meta.url));
const { version } = JSON.parse(readFileSync(`${root}/package.json`, "utf8"));

const { outputFiles } = await build({
  absWorkingDir: root,
  write: false,
  entryPoints: ["src/main.ts"],
  outfile: values.mutant === "" ? "dist/tidemark.mjs" : `dist/mutants/${values.mutant}.mjs`,
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node20",
  minifySyntax: true,
  minifyWhitespace: true,
  lineLimit: 160,
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

for (const { path, text } of outputFiles) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, ascii(text));
}

/** What esbuild leaves as it is stands in regular expressions. */
function ascii(text) {
  return text.replace(
    /[^\0-\x7f]/g,
    character => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
