/** A database, a user and a configuration for tests that run the program against real servers. */
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { holdsSecret } from "../verify/secrets.ts";
import { ask } from "../../tools/services/mysql-statements.ts";
import type { KafkaAddress, MysqlAddress } from "../../tools/services/shared.ts";

export interface Found {
  readonly check: string;
  readonly level: "error" | "warning";
  readonly ok: boolean;
  readonly found: string;
  readonly fix: string;
  readonly exit_code: number;
}

export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Started {
  readonly ended: Promise<Ended>;
  readonly kill: (signal: NodeJS.Signals) => void;
  /** As when the program that it is piped into ends. */
  readonly closeOutput: () => void;
  /** What it has written so far. */
  readonly output: () => Omit<Ended, "status">;
}

/** Of the user. */
const PASSWORD = "Pa$$-word'1";
/** For a configuration that has another one than the user. */
export const WRONG_PASSWORD = "another-Pa55";
/** Nothing that is started here may print one of these. */
const SECRETS = [PASSWORD, WRONG_PASSWORD];

export class Place {
  readonly folder = mkdtempSync(join(tmpdir(), "tidemark-check-"));
  readonly id = randomUUID().slice(0, 8);
  readonly database = `check_${this.id}`;
  readonly user = `cdc_${this.id}`;
  readonly password = PASSWORD;
  readonly commitLogTopic = `commit-log-${this.id}`;
  readonly #bundle: string;

  constructor(bundle: string) {
    this.#bundle = bundle;
  }

  /** A user with just what Tidemark needs, and a database with one table. */
  async prepare(mysql: MysqlAddress, privileges = "REPLICATION SLAVE, REPLICATION CLIENT") {
    const { database, user, password } = this;
    await ask(
      mysql,
      `CREATE DATABASE ${database}`,
      `CREATE TABLE ${database}.orders (id INT PRIMARY KEY, note VARCHAR(50))`,
      `CREATE USER ${user}@'%' IDENTIFIED BY '${password.replaceAll("'", "''")}'`,
      `GRANT SELECT ON ${database}.* TO ${user}@'%'`,
    );
    if (privileges !== "") await ask(mysql, `GRANT ${privileges} ON *.* TO ${user}@'%'`);
  }

  get pipeline(): string {
    return `p-${this.id}`;
  }

  get topic(): string {
    return `${this.database}.orders`;
  }

  /** Writes the configuration; `sink` undefined is Kafka, with the commit log there too. */
  configure(
    mysql: Pick<MysqlAddress, "host" | "port">,
    options: { kafka?: KafkaAddress; source?: object; sink?: object; commitLog?: object },
  ): void {
    const { kafka, source = {}, sink, commitLog } = options;
    const isKafka = sink === undefined || !("type" in sink);
    const log = commitLog ?? (isKafka ? { type: "kafka", topic: this.commitLogTopic } : undefined);
    const brokers = kafka?.brokers ?? ["127.0.0.1:1"];
    const config = {
      source: {
        ...{ host: mysql.host, port: mysql.port, user: this.user, password: "${PASSWORD}" },
        ...source,
      },
      pipelines: [
        {
          name: this.pipeline,
          tables: [`${this.database}.*`],
          sink: isKafka ? { type: "kafka", brokers, ...sink } : sink,
          ...(log === undefined ? {} : { commit_log: log }),
        },
      ],
    };
    writeFileSync(join(this.folder, "tidemark.yaml"), JSON.stringify(config));
  }

  /** With everything that was written into its folder. */
  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  start(args: readonly string[], password = this.password): Started {
    const child = spawn(process.execPath, [this.#bundle, ...args], {
      cwd: this.folder,
      env: { PASSWORD: password, TIDEMARK_MYSQL_PASSWORD: password },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    const ended = new Promise<Ended>((resolve, reject) => {
      child.on("close", status => {
        const isPrinted = SECRETS.some(secret => holdsSecret(stdout + stderr, secret));
        if (isPrinted) reject(new Error(`a password was printed: ${stdout}${stderr}`));
        else resolve({ status, stdout, stderr });
      });
    });
    return {
      ended,
      kill: signal => child.kill(signal),
      closeOutput: () => child.stdout.destroy(),
      output: () => ({ stdout, stderr }),
    };
  }

  run(args: readonly string[], password = this.password): Promise<Ended> {
    return this.start(args, password).ended;
  }

  async check(
    args: readonly string[] = [],
    password = this.password,
  ): Promise<{ status: number | null; found: readonly Found[]; bad: readonly Found[] }> {
    const { status, stdout, stderr } = await this.run(["check", "--json", ...args], password);
    if (stdout === "") throw new Error(`check printed nothing: ${stderr}`);
    const found = JSON.parse(stdout) as readonly Found[];
    return { status, found, bad: found.filter(({ ok }) => !ok) };
  }
}

export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  timeoutMs = 30_000,
): Promise<void> {
  const endMs = Date.now() + timeoutMs;
  while (!(await holds())) {
    if (Date.now() > endMs) throw new Error(`not in time: ${what}`);
    await new Promise(resolve => setTimeout(resolve, 100));
  }
}
