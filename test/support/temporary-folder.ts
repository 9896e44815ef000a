import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Gives a whole test run one temporary folder of its own, and removes it with everything in it. */
export default function setup(): () => void {
  const folder = mkdtempSync(join(tmpdir(), "tidemark-tests-"));
  process.env["TMPDIR"] = folder;
  return () => rmSync(folder, { recursive: true, force: true });
}
