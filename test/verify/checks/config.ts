/**
 * Configurations by the thousand, valid ones and ones with known faults at known places: each loads, or is
 * refused with 78 and the path of every fault. All of them go to the loader, in a process of its own, and
 * a part of them to the built bundle. A password that was planted in them may be printed nowhere, nor may
 * the one of a pipeline that runs: in no log, no error, no page.
 */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { generated, PLANTED, type Generated } from "../../config/generated.ts";
import type { Loaded } from "../../config/load-many.ts";
import type { Outcome } from "../campaign.ts";
import { rounds } from "../options.ts";
import { builtBundle } from "../product.ts";
import { progress } from "../progress.ts";
import { holdsSecret } from "../secrets.ts";
import type { CheckContext } from "./check.ts";
import { pagesAndLogs } from "./secret-pages.ts";

const CONFIGURATIONS = 10_000;
const WITH_BUNDLE = 500;
const AT_A_TIME = 2;
const SHOWN_MAX = 5;
const EXIT_CONFIG = 78;

interface Figures {
  configurations: number;
  valid: number;
  faults: number;
  by_bundle: number;
  wrong: number;
  leaks: number;
}

export async function config({ options, servers }: CheckContext): Promise<Outcome> {
  const startedMs = performance.now();
  const dir = mkdtempSync(join(tmpdir(), "tidemark-verify-config-"));
  const figures: Figures = {
    ...{ configurations: 0, valid: 0, faults: 0, by_bundle: 0, wrong: 0, leaks: 0 },
  };
  const planned = rounds(options, CONFIGURATIONS);
  const withBundle = rounds(options, WITH_BUNDLE);
  try {
    const secret = join(dir, "secret");
    writeFileSync(secret, `${PLANTED}\n`, { mode: 0o600 });
    const arbitrary = generated({ secret, missing: join(dir, "missing") });
    const all = fc.sample(arbitrary, { numRuns: planned, seed: options.seed });
    const loaded = await loadAll(dir, all);
    for (const [index, one] of all.entries()) {
      const result = loaded[index];
      if (result === undefined) break;
      figures.configurations += 1;
      figures.faults += one.faults.length;
      if (one.faults.length === 0) figures.valid += 1;
      judge(one, result, figures);
    }
    progress(`config: ${figures.configurations} loaded, ${figures.wrong} wrong`);
    const step = Math.max(1, Math.floor(planned / withBundle));
    const some = all.filter((_, index) => index % step === 0).slice(0, withBundle);
    await runSome(dir, some, figures);
    progress(`config: ${figures.by_bundle} of them with the bundle, ${figures.wrong} wrong`);
    const live = await pagesAndLogs(servers, dir);
    for (const place of live.leaks) progress(`config: the password is in ${place}`);
    figures.leaks += live.leaks.length;
    return {
      ok: figures.wrong === 0 && figures.leaks === 0,
      void: figures.configurations < planned || figures.by_bundle < withBundle,
      figures: {
        seed: options.seed,
        ...figures,
        outputs_searched: live.searched,
        seconds: Math.round((performance.now() - startedMs) / 1000),
      },
    };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function judge(one: Generated, { exitCode, output }: Loaded, figures: Figures): void {
  const isPrinted = holdsSecret(output, PLANTED);
  const faults = faultsOf(one, { exitCode, output });
  if (isPrinted) figures.leaks += 1;
  if (faults.length > 0) figures.wrong += 1;
  if ((!isPrinted && faults.length === 0) || figures.wrong + figures.leaks > SHOWN_MAX) return;
  progress(
    `config: ${faults.join(", ")}${isPrinted ? ", prints the password" : ""}\n` +
      `${one.text}\n--set ${one.overrides.join(" --set ")}\nexpected: ${one.faults.join(", ")}\n${output}`,
  );
}

/** What is not as it has to be. */
function faultsOf(one: Generated, { exitCode, output }: Loaded): readonly string[] {
  const stack = /\n\s+at .*:\d+:\d+/.test(output) ? ["prints a stack"] : [];
  if (one.faults.length === 0) {
    if (exitCode !== 0) return [...stack, `a valid one ends with ${exitCode}`];
    const missing = one.names.filter(name => !new RegExp(`name: "?${name}"?\n`).test(output));
    return [...stack, ...missing.map(name => `pipeline ${name} is not there`)];
  }
  const paths = Array.from(output.matchAll(/^ {2}([^\s:]+): /gm), ([, path]) => path).sort();
  return [
    ...stack,
    ...(exitCode === EXIT_CONFIG ? [] : [`ends with ${exitCode}`]),
    ...(paths.join() === one.faults.join() ? [] : [`names ${paths.join(", ")}`]),
  ];
}

/** In a process of its own: nothing here knows the source. */
async function loadAll(dir: string, all: readonly Generated[]): Promise<readonly Loaded[]> {
  const file = join(dir, "generated.jsonl");
  writeFileSync(file, all.map(one => `${JSON.stringify(one)}\n`).join(""));
  const script = fileURLToPath(new URL("../../config/load-many.ts", import.meta.url));
  const { exitCode, output } = await finished(["--import", "tsx", script, file], {
    env: process.env,
  });
  if (exitCode !== 0) throw new Error(`The loader ended with ${exitCode}: ${output.slice(-2_000)}`);
  return output
    .trimEnd()
    .split("\n")
    .map(line => JSON.parse(line) as Loaded);
}

async function runSome(dir: string, some: readonly Generated[], figures: Figures): Promise<void> {
  const bundle = builtBundle(undefined);
  const left = [...some.entries()];
  const work = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const [index, one] = next;
      const cwd = join(dir, String(index));
      mkdirSync(cwd);
      writeFileSync(join(cwd, "tidemark.yaml"), one.text);
      // Only config ends by itself with a valid one.
      const command = one.faults.length === 0 ? "config" : ["config", "check", "run"][index % 3];
      const overrides = one.overrides.flatMap(override => ["--set", override]);
      const args = [bundle, command ?? "config", ...overrides];
      judge(one, await finished(args, { cwd, env: one.environment }), figures);
      figures.by_bundle += 1;
      rmSync(cwd, { recursive: true });
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, work));
}

function finished(
  args: readonly string[],
  options: { readonly cwd?: string; readonly env: NodeJS.ProcessEnv },
): Promise<Loaded> {
  const child = spawn(process.execPath, args, { ...options, stdio: ["ignore", "pipe", "pipe"] });
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => chunks.push(chunk));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", code =>
      resolve({ exitCode: code ?? -1, output: Buffer.concat(chunks).toString() }),
    );
  });
}
