/**
 * Our side of the keeper (keeper.mjs): starts it before the first server, tells it the temporary
 * folders, and marks the environment of everything that must not outlive this process.
 */
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdirSync, realpathSync, rmSync } from "node:fs";
import { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

interface Keeper {
  readonly runId: string;
  tell(folder: string): void;
}

let running: Keeper | undefined;
const folders = new Set<string>();

function keeper(): Keeper {
  running ??= startKeeper();
  return running;
}

function startKeeper(): Keeper {
  const runId = randomUUID();
  const script = fileURLToPath(new URL("keeper.mjs", import.meta.url));
  // Detached: its own session, so that Ctrl-C at a terminal reaches us and not the keeper.
  const child = spawn(process.execPath, [script, runId], {
    stdio: ["pipe", "ignore", "inherit"],
    detached: true,
    env: { PATH: process.env["PATH"] },
  });
  const { stdin } = child;
  stdin.on("error", () => undefined); // Somebody ended the keeper: the servers go on.
  child.unref();
  if (stdin instanceof Socket) stdin.unref();
  return { runId, tell: folder => stdin.write(`${folder}\n`) };
}

/** The environment for a process that has to end with this one. */
export function keptEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, TIDEMARK_SERVICES_RUN: keeper().runId };
}

/** A new temporary folder that is removed when this process ends. */
export function keptFolder(kind: string): string {
  const folder = join(realpathSync(tmpdir()), `tidemark-${kind}-${randomUUID().slice(0, 8)}`);
  keeper().tell(folder); // Before it exists: there is no moment in which nobody knows it.
  folders.add(folder);
  mkdirSync(folder, { mode: 0o700 });
  return folder;
}

/** For when their servers have ended. */
export function removeKeptFolders(): void {
  for (const folder of folders) {
    rmSync(folder, { recursive: true, force: true });
    folders.delete(folder);
  }
}
