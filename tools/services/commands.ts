/** Runs a program to its end. Its output is shown only if it fails. */
import { spawn } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { exitCodes, ServicesError } from "./failure.ts";
import { keptEnvironment } from "./keeper.ts";

const outputCharsMax = 1_000_000;
const shownCharsMax = 3_000;

export interface CommandOptions {
  readonly cwd?: string;
  /** Without it the program ends with this process, through the keeper. */
  readonly env?: NodeJS.ProcessEnv;
  /** What it reads from stdin. */
  readonly input?: string;
}

export async function runCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: options.env ?? keptEnvironment(),
    stdio: ["pipe", "pipe", "pipe"],
  });
  child.stdin.on("error", () => undefined); // It ended without reading all; its exit code tells.
  child.stdin.end(options.input ?? "");
  let output = "";
  const collect = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-outputCharsMax);
  };
  child.stdout.on("data", collect);
  child.stderr.on("data", collect);
  const end = await new Promise<string>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve(code === 0 ? "" : `${signal ?? code}`));
  });
  if (end === "") return output;
  const shown = output.trim().slice(-shownCharsMax);
  const message = `${[command, ...args.slice(0, 6)].join(" ")} … ended with ${end}:\n${shown}`;
  throw new ServicesError(message, exitCodes.temporary);
}

/** Where the shell would find a program. */
export function findProgram(name: string): string | undefined {
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  return [...folders, "/usr/sbin", "/sbin"].map(folder => join(folder, name)).find(isProgram);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
