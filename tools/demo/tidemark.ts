/** Tidemark as a process of its own, from the built bundle: started, killed, asked to stop, weighed. */
import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync, readdirSync, statSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { stringify } from "yaml";
import { runCommand } from "../services/commands.ts";
import { keptEnvironment } from "../services/keeper.ts";
import { cpuSeconds, peakRssMb } from "../services/process-usage.ts";
import { Failure } from "./failure.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Builds the bundle first if it is missing, or older than what it is made from. */
export async function builtBundle(say: (text: string) => void): Promise<string> {
  const bundle = join(root, "dist", "tidemark.mjs");
  if (existsSync(bundle) && statSync(bundle).mtimeMs >= newestSource()) return bundle;
  say("building dist/tidemark.mjs");
  await runCommand(process.execPath, [join(root, "tools", "build.mjs")], { cwd: root });
  return bundle;
}

function newestSource(): number {
  const sources = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" });
  const files = [...sources.map(file => join("src", file)), "package.json", "tools/build.mjs"];
  return Math.max(...files.map(file => statSync(join(root, file)).mtimeMs));
}

export interface TidemarkOptions {
  readonly bundle: string;
  /** Holds configuration, log and file commit log. */
  readonly folder: string;
  readonly config: Readonly<Record<string, unknown>>;
  /** For Node itself, such as `--cpu-prof`. */
  readonly nodeArgs?: readonly string[];
}

interface Run {
  readonly child: ChildProcess;
  readonly exited: Promise<void>;
  isEnded: boolean;
  /** We ended it. */
  isExpected: boolean;
}

const STOP_PATIENCE_MS = 30_000;

export class Tidemark {
  readonly #options: TidemarkOptions;
  readonly #logFile: string;
  #run: Run | undefined;
  starts = 0;

  constructor(options: TidemarkOptions) {
    this.#options = options;
    this.#logFile = join(options.folder, "tidemark.log");
  }

  get pid(): number | undefined {
    return this.#run?.isEnded === false ? this.#run.child.pid : undefined;
  }

  async start(): Promise<void> {
    const { bundle, folder, config, nodeArgs = [] } = this.#options;
    const file = join(folder, "tidemark.yaml");
    await writeFile(file, stringify(config));
    const log = openSync(this.#logFile, "a");
    // A session of its own: Ctrl-C is ours to answer, and the keeper ends it when we are gone.
    const child = spawn(process.execPath, [...nodeArgs, bundle, "run", "--config", file], {
      cwd: folder,
      env: keptEnvironment(),
      stdio: ["ignore", log, log],
      detached: true,
    });
    closeSync(log);
    const run: Run = {
      child,
      isEnded: false,
      isExpected: false,
      exited: new Promise(resolve => {
        const ended = (): void => {
          run.isEnded = true;
          resolve();
        };
        child.once("exit", ended);
        child.once("error", ended);
      }),
    };
    this.#run = run;
    this.starts += 1;
  }

  /** SIGKILL. Resolves when the process is gone. */
  kill(): Promise<void> {
    return this.#end("SIGKILL");
  }

  /** SIGTERM. Resolves when it has ended, which must be with exit code 0. */
  async stop(): Promise<void> {
    const run = this.#run;
    const timer = setTimeout(() => run?.child.kill("SIGKILL"), STOP_PATIENCE_MS);
    await this.#end("SIGTERM");
    clearTimeout(timer);
    const { exitCode, signalCode } = run?.child ?? {};
    if (exitCode === 0) return;
    const how = signalCode ? `needed ${signalCode}` : `exit code ${exitCode ?? "?"}`;
    throw new Failure(`Tidemark did not stop cleanly (${how}); its log ends: ${this.logTail()}`);
  }

  /** @throws Failure if it ended without being asked to. */
  assertRuns(): void {
    const run = this.#run;
    if (!run?.isEnded || run.isExpected) return;
    const { exitCode, signalCode } = run.child;
    const how = signalCode ?? `exit code ${exitCode ?? "?"}`;
    throw new Failure(`Tidemark ended by itself (${how}); its log ends: ${this.logTail()}`);
  }

  /** What the process has used of the processors, in seconds. */
  cpuSeconds(): number {
    return cpuSeconds(this.#pid());
  }

  peakRssMb(): number {
    return peakRssMb(this.#pid());
  }

  logTail(lines = 1): string {
    const log = existsSync(this.#logFile) ? readFileSync(this.#logFile, "utf8").trim() : "";
    return log === "" ? "(nothing)" : log.split("\n").slice(-lines).join("\n");
  }

  #pid(): number {
    this.assertRuns();
    if (this.pid === undefined) throw new Error("Tidemark is not running");
    return this.pid;
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    this.assertRuns();
    const run = this.#run;
    if (!run || run.isEnded) return;
    run.isExpected = true;
    run.child.kill(signal);
    await run.exited;
  }
}
