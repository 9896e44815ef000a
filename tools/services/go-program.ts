/** A small program of ours around go-mysql, built once and kept among the downloads. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { cached, cacheFolder } from "./cache.ts";
import { runCommand } from "./commands.ts";
import { exitCodes, ServicesError } from "./failure.ts";
import { keptEnvironment } from "./keeper.ts";
import { step } from "./progress.ts";

const FILES = ["go.mod", "go.sum", "main.go"] as const;
const GO_MINOR_MIN = 23;

/** @returns its path. `source` is the folder that holds its three files. */
export async function goProgram(name: string, source: string): Promise<string> {
  const hash = createHash("sha256");
  for (const file of FILES) hash.update(readFileSync(join(source, file)));
  const folder = await cached(`${name}-${hash.digest("hex").slice(0, 12)}`, async building => {
    requireGo(name);
    await step(`building ${name}`, () => build(source, building));
  });
  return join(folder, "program");
}

function requireGo(name: string): void {
  const { stdout, status } = spawnSync("go", ["env", "GOVERSION"], { encoding: "utf8" });
  const minor = status === 0 ? Number(/^go1\.(\d+)/.exec(stdout)?.[1] ?? 0) : 0;
  if (minor >= GO_MINOR_MIN) return;
  const message = `Go 1.${GO_MINOR_MIN} or newer must be installed first: ${name} is built with it.`;
  throw new ServicesError(message, exitCodes.unavailable);
}

async function build(from: string, folder: string): Promise<void> {
  const source = join(folder, "source");
  mkdirSync(source);
  for (const file of FILES) copyFileSync(join(from, file), join(source, file));
  const env = {
    ...keptEnvironment(),
    // Nothing but what go.sum names, and every download beside the others.
    GOFLAGS: "-mod=readonly -modcacherw",
    GOTOOLCHAIN: "local",
    GOPATH: join(cacheFolder(), "go"),
    GOCACHE: join(folder, "build"),
    CGO_ENABLED: "0",
  };
  await runCommand("go", ["build", "-o", join(folder, "program"), "."], { cwd: source, env });
  rmSync(env.GOCACHE, { recursive: true });
}
