/** The program under test: a process of its own, started from the built bundle, killed without warning. */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { fileHoldsSecret } from "./secrets.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Builds the bundle, or a mutant of it, if it is missing or older than the source. */
export function builtBundle(mutant: string | undefined): string {
  const bundle = join(
    root,
    "dist",
    mutant === undefined ? "tidemark.mjs" : `mutants/${mutant}.mjs`,
  );
  if (!existsSync(bundle) || statSync(bundle).mtimeMs < newestSource()) {
    const args = mutant === undefined ? [] : ["--mutant", mutant];
    const build = spawnSync(process.execPath, [join(root, "tools/build.mjs"), ...args], {
      encoding: "utf8",
    });
    if (build.status !== 0) throw new Error(`The build failed:\n${build.stdout}${build.stderr}`);
  }
  return bundle;
}

function newestSource(): number {
  const files = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" });
  return Math.max(...files.map(file => statSync(join(root, "src", file)).mtimeMs));
}

export interface ProductExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

interface Run {
  readonly child: ChildProcess;
  readonly startedAtMs: number;
  readonly exit: Promise<ProductExit>;
  ended: ProductExit | undefined;
}

const SAMPLE_INTERVAL_MS = 200;

export class Product {
  readonly bundle: string;
  readonly #dir: string;
  readonly #preload: string | undefined;
  readonly #command: readonly string[];
  /** Added to our own at each start. */
  readonly environment: Record<string, string>;
  readonly logFile: string;
  #run: Run | undefined;
  #sampler: NodeJS.Timeout | undefined;
  peakRssMb = 0;
  starts = 0;

  constructor(options: {
    bundle: string;
    config: string;
    dir: string;
    preload?: string | undefined;
    /** Words in the place of `run --config FILE`. */
    command?: readonly string[] | undefined;
    environment?: Readonly<Record<string, string>> | undefined;
  }) {
    this.bundle = options.bundle;
    this.#dir = options.dir;
    this.#preload = options.preload;
    this.#command = options.command ?? ["run", "--config", options.config];
    this.environment = { ...options.environment };
    this.logFile = join(options.dir, "product.log");
  }

  get isRunning(): boolean {
    return this.#run !== undefined && this.#run.ended === undefined;
  }

  /** How the last run ended; undefined while it runs. */
  get ended(): ProductExit | undefined {
    return this.#run?.ended;
  }

  get startedAtMs(): number {
    return this.#run?.startedAtMs ?? 0;
  }

  start(): void {
    if (this.isRunning) throw new Error("It runs already.");
    const log = openSync(this.logFile, "a");
    const node = this.#preload === undefined ? [] : ["--import", this.#preload];
    const args = [...node, this.bundle, ...this.#command];
    const child = spawn(process.execPath, args, {
      cwd: this.#dir,
      env: { ...process.env, ...this.environment },
      stdio: ["ignore", log, log],
    });
    closeSync(log);
    const exit = new Promise<ProductExit>(resolve => {
      child.once("exit", (code, signal) => {
        run.ended = { code, signal };
        resolve(run.ended);
      });
    });
    const run: Run = { child, startedAtMs: performance.now(), exit, ended: undefined };
    this.#run = run;
    this.starts += 1;
    this.#sampler ??= setInterval(() => this.#sample(), SAMPLE_INTERVAL_MS);
  }

  /** SIGKILL. Resolves when the process is gone. */
  async kill(): Promise<void> {
    const run = this.#running();
    this.#sample();
    run.child.kill("SIGKILL");
    await run.exit;
  }

  /** SIGTERM. Resolves with how it ended and how long that took; after `patienceMs` it is killed. */
  async terminate(patienceMs = 30_000): Promise<ProductExit & { readonly tookMs: number }> {
    const run = this.#running();
    this.#sample();
    const startedAtMs = performance.now();
    run.child.kill("SIGTERM");
    const timer = setTimeout(() => run.child.kill("SIGKILL"), patienceMs);
    const exit = await run.exit;
    clearTimeout(timer);
    return { ...exit, tookMs: performance.now() - startedAtMs };
  }

  /** Sends a signal and leaves it at that. */
  signal(signal: NodeJS.Signals): void {
    this.#running().child.kill(signal);
  }

  async exit(): Promise<ProductExit> {
    if (!this.#run) throw new Error("It was never started.");
    return this.#run.exit;
  }

  /** Ends whatever still runs. */
  async dispose(): Promise<void> {
    clearInterval(this.#sampler);
    if (this.isRunning) await this.kill();
  }

  /** The end of its log. */
  logTail(lines = 40): string {
    if (!existsSync(this.logFile)) return "";
    return readFileSync(this.logFile, "utf8").trimEnd().split("\n").slice(-lines).join("\n");
  }

  /** Whether it stands anywhere in its log, or in what it wrote to its standard output. */
  hasPrinted(secret: string): boolean {
    return fileHoldsSecret(this.logFile, secret);
  }

  #running(): Run {
    if (this.#run?.ended !== undefined || !this.#run) {
      const { code = null, signal = null } = this.#run?.ended ?? {};
      throw new Error(`Tidemark is not running: it ended by itself (${code ?? signal ?? "?"}).`);
    }
    return this.#run;
  }

  /** The kernel keeps the peak, but only as long as the process lives. */
  #sample(): void {
    const pid = this.#run?.child.pid;
    if (!this.isRunning || pid === undefined) return;
    try {
      const status = readFileSync(`/proc/${pid}/status`, "utf8");
      const peak = /^VmHWM:\s+(\d+) kB/m.exec(status)?.[1];
      this.peakRssMb = Math.max(this.peakRssMb, Math.round(Number(peak ?? 0) / 1024));
    } catch {
      // It ended between the question and the answer.
    }
  }
}
