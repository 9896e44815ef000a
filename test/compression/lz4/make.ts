/**
 * Packs the files in this folder anew, by the program `lz4`.
 *
 *   node tools/run.mjs test/compression/lz4/make.ts
 */
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { content, options } from "./content.ts";

for (const [name, args] of Object.entries(options)) {
  const { status, stdout, stderr } = spawnSync("lz4", ["-q", "-c", ...args], { input: content() });
  if (status !== 0) throw new Error(stderr.toString());
  writeFileSync(new URL(`${name}.lz4`, import.meta.url), stdout);
}
