/**
 * The first minute of somebody new: an empty folder with the one file, a MySQL with a table and a user as the
 * tutorial makes it, a Kafka. `check`, `run`, and a plain consumer sees the first record.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { copyFileSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Outcome } from "../campaign.ts";
import { Consumer } from "../consumer.ts";
import { builtBundle } from "../product.ts";
import { progress } from "../progress.ts";
import { holdsSecret } from "../secrets.ts";
import { withConnection } from "../servers.ts";
import { until } from "../wait.ts";
import type { CheckContext } from "./check.ts";

const SECONDS_MAX = 30;
const EXIT_USAGE = 64;
const PASSWORD = "tut0rial-Pa55";
const DATABASE = "newcomer";

export async function newcomer({ options, servers }: CheckContext): Promise<Outcome> {
  const [mysql, kafka] = [await servers.mysql(), await servers.kafka(1)];
  const dir = mkdtempSync(join(tmpdir(), "tidemark-verify-newcomer-"));
  copyFileSync(builtBundle(undefined), join(dir, "tidemark.mjs"));
  const consumer = new Consumer(kafka.brokers, topic => topic === `${DATABASE}.orders`);
  let running: Program | undefined;
  try {
    await withConnection(mysql, async connection => {
      for (const statement of SETUP) await connection.query(statement);
    });
    const lost = await new Program(dir, ["run"]).ended;
    const beginning = readdirSync(dir);

    const startedMs = performance.now();
    const source = `mysql://newcomer@${mysql.host}:${mysql.port}/${DATABASE}`;
    const target = `kafka://${kafka.brokers[0] ?? ""}`;
    const check = await new Program(dir, ["check", source, target]).ended;
    progress(`newcomer: check ended with ${check.code}\n${check.output}`);
    running = new Program(dir, ["run", source, target]);
    const program = running;
    const first = await firstRecord(consumer, program, () =>
      withConnection(mysql, connection =>
        connection.query(`INSERT INTO ${DATABASE}.orders (item) VALUES ('lantern')`),
      ),
    );
    const seconds = Math.round((performance.now() - startedMs) / 100) / 10;
    program.stop();
    const run = await program.ended;
    const conditions = {
      usage: lost.code === EXIT_USAGE && isHelp(lost.output),
      only_the_file: beginning.join() === "tidemark.mjs",
      check: check.code === 0,
      record: first.includes('"op":"c"') && first.includes('"item":"lantern"'),
      run: run.code === 0,
      no_stack: ![lost, check, run].some(({ output }) => /\n\s+at .*:\d+:\d+/.test(output)),
      no_password: ![check, run].some(({ output }) => holdsSecret(output, PASSWORD)),
      in_time: seconds < SECONDS_MAX,
    };
    const broken = Object.entries(conditions).flatMap(([name, holds]) => (holds ? [] : [name]));
    if (broken.length > 0) progress(`newcomer: ${lost.output}\n${run.output}\n${first}`);
    return {
      ok: broken.length === 0,
      void: false,
      figures: { seed: options.seed, seconds, exit_without_arguments: lost.code, ...named(broken) },
    };
  } finally {
    running?.kill();
    consumer.close();
    rmSync(dir, { recursive: true, force: true });
    await withConnection(mysql, async connection => {
      await connection.query(`DROP DATABASE IF EXISTS ${DATABASE}`);
      await connection.query("DROP USER IF EXISTS newcomer");
    });
  }
}

const SETUP = [
  `CREATE DATABASE ${DATABASE}`,
  `CREATE TABLE ${DATABASE}.orders (id INT AUTO_INCREMENT PRIMARY KEY, item VARCHAR(50))`,
  `INSERT INTO ${DATABASE}.orders (item) VALUES ('rope'), ('map')`,
  `CREATE USER newcomer IDENTIFIED BY '${PASSWORD}'`,
  "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO newcomer",
  `GRANT SELECT ON ${DATABASE}.* TO newcomer`,
];

/** Says what to type. */
function isHelp(output: string): boolean {
  return output.includes("tidemark run mysql://") && output.includes("--help");
}

function named(broken: readonly string[]): Record<string, string> {
  return broken.length === 0 ? {} : { broken: broken.join(", ") };
}

const EACH_MS = 250;

/** Changes a row again and again, as somebody does who waits for the first sign; gives the first record. */
async function firstRecord(
  consumer: Consumer,
  program: Program,
  change: () => Promise<unknown>,
): Promise<string> {
  let first: string | undefined;
  await until(
    async () => {
      if (program.hasEnded) throw new Error(`run ended by itself:\n${program.output}`);
      await change();
      await consumer.readToEnd(({ value }) => (first ??= value?.toString()));
      return first !== undefined;
    },
    { what: "the first record", timeoutMs: 2 * SECONDS_MAX * 1_000, intervalMs: EACH_MS },
  );
  return first ?? "";
}

interface Ended {
  readonly code: number | null;
  readonly output: string;
}

/** `node tidemark.mjs …` in the folder, with the password where the README has it. */
class Program {
  readonly #child: ChildProcess;
  readonly ended: Promise<Ended>;
  output = "";
  hasEnded = false;

  constructor(dir: string, args: readonly string[]) {
    const env = { TIDEMARK_MYSQL_PASSWORD: PASSWORD };
    const command = ["tidemark.mjs", ...args];
    const child = spawn(process.execPath, command, {
      cwd: dir,
      env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk: Buffer) => (this.output += chunk.toString()));
    }
    this.ended = new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", code => {
        this.hasEnded = true;
        resolve({ code, output: this.output });
      });
    });
  }

  stop(): void {
    this.#child.kill("SIGTERM");
  }

  kill(): void {
    if (!this.hasEnded) this.#child.kill("SIGKILL");
  }
}
