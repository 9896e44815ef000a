/** What a destination and a commit log in files need: a folder that can be written, and a regular file. */
import { access, constants, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { fault, good, type Finding } from "../core/finding.ts";
import { systemCode } from "../core/files.ts";

export async function fileFinding(path: string): Promise<Finding> {
  const check = "file.destination";
  const kind = await kindOf(path);
  if (kind === "other") {
    return fault(
      "SINK_SETTING",
      check,
      `${path} is not a regular file.`,
      "sink.path: another path",
    );
  }
  const folder = dirname(resolve(path));
  const isThere = kind === "file";
  if (await isWritable(isThere ? path : folder)) return good(check, `${path} can be written.`);
  const found = isThere ? `${path} cannot be written.` : `${path} cannot be made in ${folder}.`;
  return fault("SINK_SETTING", check, found, permit(isThere ? path : folder, isThere));
}

/** The folder is made when it is needed, so the next one above that exists counts. */
export async function commitLogFolderFinding(dir: string): Promise<Finding> {
  const check = "file.commit_log";
  let folder = resolve(dir);
  while ((await kindOf(folder)) === "none" && dirname(folder) !== folder) folder = dirname(folder);
  if (await isWritable(folder)) return good(check, `The commit log can be kept in ${dir}.`);
  return fault(
    "SINK_SETTING",
    check,
    `The commit log cannot be written in ${dir}.`,
    permit(resolve(dir), false),
  );
}

function permit(path: string, isFile: boolean): string {
  const user = process.getuid?.() ?? "";
  return isFile ? `chown ${user} ${path}` : `mkdir -p ${path} && chown ${user} ${path}`;
}

async function kindOf(path: string): Promise<"file" | "other" | "none"> {
  try {
    return (await stat(path)).isFile() ? "file" : "other";
  } catch (error) {
    if (systemCode(error) === "ENOENT" || systemCode(error) === "ENOTDIR") return "none";
    return "other";
  }
}

const FORBIDDEN = new Set(["EACCES", "EPERM", "ENOENT", "ENOTDIR"]);

/** What passes by itself, as a file system that is read-only for a while, is waited for by a run. */
async function isWritable(path: string): Promise<boolean> {
  try {
    await access(path, constants.W_OK);
    return true;
  } catch (error) {
    return !FORBIDDEN.has(systemCode(error) ?? "");
  }
}
