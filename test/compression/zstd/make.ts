/**
 * Packs the files in this folder anew, by the program `zstd`.
 *
 *   node tools/run.mjs test/compression/zstd/make.ts
 */
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { contents } from "./contents.ts";

const options: Readonly<Record<string, readonly string[]>> = {
  "words-1": ["-1"],
  "words-19": ["-19"],
  "words-checked": ["-9", "--check"],
  "rows-22": ["--ultra", "-22"],
  "far-apart": ["-19", "--long=22"],
};

function packed(bytes: Buffer, name: string): Buffer {
  const args = ["-q", "-c", "--no-check", ...(options[name] ?? ["-3"])];
  const { status, stdout, stderr } = spawnSync("zstd", args, { input: bytes });
  if (status !== 0) throw new Error(stderr.toString());
  return stdout;
}

for (const [name, content] of Object.entries(contents)) {
  const bytes = content();
  const frames =
    name === "two-frames" ? [bytes.subarray(0, 2_000), bytes.subarray(2_000)] : [bytes];
  const path = new URL(`${name}.zst`, import.meta.url);
  writeFileSync(path, Buffer.concat(frames.map(frame => packed(frame, name))));
}
