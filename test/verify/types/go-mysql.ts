/**
 * A decoder that shares nothing with ours: go-mysql, with a small program around it (go-mysql/main.go),
 * built once and kept among the downloads.
 */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { cached, cacheFolder } from "../../../tools/services/cache.ts";
import { runCommand } from "../../../tools/services/commands.ts";
import { exitCodes, ServicesError } from "../../../tools/services/failure.ts";
import { keptEnvironment } from "../../../tools/services/keeper.ts";
import { step } from "../../../tools/services/progress.ts";

const SOURCE = fileURLToPath(new URL("go-mysql", import.meta.url));
const FILES = ["go.mod", "go.sum", "main.go"] as const;
const VERSION = "1.13.0";
const GO_MINOR_MIN = 23;

/** One rows event, its images in the order of the log: of an update, before and after in turn. */
export interface GoMysqlRows {
  readonly table: string;
  readonly op: "insert" | "update" | "delete";
  readonly rows: readonly (readonly (string | null)[])[];
}

export class GoMysql {
  readonly #program: string;

  private constructor(program: string) {
    this.#program = program;
  }

  static async prepare(): Promise<GoMysql> {
    const hash = createHash("sha256");
    for (const file of FILES) hash.update(readFileSync(join(SOURCE, file)));
    const name = `go-mysql-${VERSION}-${hash.digest("hex").slice(0, 12)}`;
    const folder = await cached(name, async building => {
      requireGo();
      await step(`building go-mysql ${VERSION}`, () => build(building));
    });
    return new GoMysql(join(folder, "rows"));
  }

  /** The rows events of one database, as they stand in the files. */
  async *rows(
    flavor: "mysql" | "mariadb",
    database: string,
    files: readonly string[],
  ): AsyncGenerator<GoMysqlRows> {
    const child = spawn(this.#program, [flavor, database, ...files], {
      env: keptEnvironment(),
      stdio: ["ignore", "pipe", "pipe"],
    });
    let complaint = "";
    child.stderr.on("data", (chunk: Buffer) => (complaint += chunk.toString()));
    const exit = new Promise<number | null>(resolve => child.once("close", resolve));
    try {
      for await (const line of createInterface({ input: child.stdout })) {
        yield JSON.parse(line) as GoMysqlRows;
      }
      const code = await exit;
      if (code !== 0) throw new Error(`go-mysql ended with ${code}: ${complaint.slice(0, 1_000)}`);
    } finally {
      child.kill("SIGKILL");
    }
  }
}

function requireGo(): void {
  const { stdout, status } = spawnSync("go", ["env", "GOVERSION"], { encoding: "utf8" });
  const minor = status === 0 ? Number(/^go1\.(\d+)/.exec(stdout)?.[1] ?? 0) : 0;
  if (minor >= GO_MINOR_MIN) return;
  const message = `Go 1.${GO_MINOR_MIN} or newer must be installed first: go-mysql ${VERSION}, the second decoder, is built with it.`;
  throw new ServicesError(message, exitCodes.unavailable);
}

async function build(folder: string): Promise<void> {
  const source = join(folder, "source");
  mkdirSync(source);
  for (const file of FILES) copyFileSync(join(SOURCE, file), join(source, file));
  const env = {
    ...keptEnvironment(),
    // Nothing but what go.sum names, and every download beside the others.
    GOFLAGS: "-mod=readonly -modcacherw",
    GOTOOLCHAIN: "local",
    GOPATH: join(cacheFolder(), "go"),
    GOCACHE: join(folder, "build"),
    CGO_ENABLED: "0",
  };
  await runCommand("go", ["build", "-o", join(folder, "rows"), "."], { cwd: source, env });
  rmSync(env.GOCACHE, { recursive: true });
}
