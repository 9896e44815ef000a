/**
 * Servers that stay up after the command that started them.
 *
 *   up ──spawns──▶ holder (one per service) ──starts──▶ server        <cache>/running/<name>.json
 *
 * The holder is an ordinary process of this program that does nothing but own its server: whatever
 * ends the holder, be it `down` or a SIGKILL, the keeper ends the server.
 */
import { spawn, type ChildProcess } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cacheFolder, lockFile } from "./cache.ts";
import { exitCodes, ServicesError } from "./failure.ts";
import type { ServiceName } from "./interfaces.ts";
import { withLock } from "./lock.ts";
import { identify, isAlive, type ProcessIdentity } from "./processes.ts";
import { startElasticmq, startKafka, startMysql, startRabbitmq, stopAll } from "./services.ts";
import { poll } from "./wait.ts";

/** Of a server whose address is a URL: MySQL, RabbitMQ, ElasticMQ. */
export interface UrlAnswer {
  readonly url: string;
  readonly pid: number;
  readonly dir: string;
}

export interface KafkaAnswer {
  readonly brokers: readonly string[];
  readonly pid: number;
  readonly dir: string;
}

export type Answer = UrlAnswer | KafkaAnswer;

interface Running {
  readonly holder: ProcessIdentity;
  readonly servers: readonly ProcessIdentity[];
  readonly answer: Answer;
}

const startTimeoutMs = 300_000;
const endTimeoutMs = 30_000;
const root = fileURLToPath(new URL("../..", import.meta.url));

/** `started` is false if it was up already. */
export async function up(name: ServiceName): Promise<{ answer: Answer; started: boolean }> {
  return exclusively(name, async () => {
    const present = read(name);
    if (present && isUp(present)) return { answer: present.answer, started: false };
    if (present) await end(name, present); // A holder without its server, or the other way round.
    return { answer: await startHolder(name), started: true };
  });
}

/** What it ended, if there was anything. */
export async function down(name: ServiceName): Promise<Answer | undefined> {
  if (!existsSync(stateFile(name))) return undefined;
  return exclusively(name, async () => {
    const present = read(name);
    if (!present) return undefined;
    const wasUp = isUp(present);
    await end(name, present);
    return wasUp ? present.answer : undefined;
  });
}

export function status(name: ServiceName): Answer | undefined {
  const present = read(name);
  return present && isUp(present) ? present.answer : undefined;
}

/** The life of a holder. Resolves when it was told to end and its server is gone. */
export async function hold(name: ServiceName): Promise<void> {
  const told = new Promise<void>(resolve => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => resolve());
  });
  // Pending promises keep no process alive; this handle does.
  const alive = setInterval(() => undefined, 60_000);
  try {
    const starting = start(name);
    const running = await Promise.race([starting, told]);
    if (!running) return;
    write(name, running);
    await told;
  } finally {
    await stopAll();
    clearInterval(alive);
  }
}

async function start(name: ServiceName): Promise<Running> {
  const holder = identify(process.pid);
  if (!holder) throw new Error("/proc does not know this process");
  const { answer, pids } = await startServers(name);
  const servers = pids.map(identify).filter(server => server !== undefined);
  return { holder, servers, answer };
}

async function startServers(name: ServiceName): Promise<{ answer: Answer; pids: number[] }> {
  if (name === "kafka" || name === "kafka-3") {
    const { brokers, pid, dir, nodes } = await startKafka({ brokers: name === "kafka" ? 1 : 3 });
    return { answer: { brokers, pid, dir }, pids: nodes.map(node => node.pid) };
  }
  const { url, pid, dir } = await startWithUrl(name);
  return { answer: { url, pid, dir }, pids: [pid] };
}

function startWithUrl(name: Exclude<ServiceName, "kafka" | "kafka-3">): Promise<UrlAnswer> {
  if (name === "rabbitmq") return startRabbitmq();
  return name === "elasticmq" ? startElasticmq() : startMysql(name);
}

async function startHolder(name: ServiceName): Promise<Answer> {
  const logFile = join(cacheFolder(), "running", `${name}.log`);
  mkdirSync(join(cacheFolder(), "running"), { recursive: true });
  const log = openSync(logFile, "w");
  const main = fileURLToPath(new URL("main.ts", import.meta.url));
  const holder = spawn(process.execPath, ["--import", "tsx", main, "hold", name], {
    cwd: root,
    detached: true,
    stdio: ["ignore", log, log],
  });
  closeSync(log);
  const ready = await untilReady(name, holder);
  holder.unref();
  if (ready) return ready.answer;
  const message = `${name} did not start:\n${readFileSync(logFile, "utf8").trim()}`;
  throw new ServicesError(message, holder.exitCode ?? exitCodes.temporary);
}

/** If this command is ended meanwhile, so is the start. */
async function untilReady(name: ServiceName, holder: ChildProcess): Promise<Running | undefined> {
  let ended = false;
  const onEnd = (): void => {
    ended = true;
  };
  holder.once("exit", onEnd);
  holder.once("error", onEnd);
  const cancel = (): void => {
    holder.kill("SIGTERM");
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, cancel);
  try {
    const answer = await poll(() => (ended ? false : read(name)), startTimeoutMs);
    if (answer) return answer;
    cancel();
    return undefined;
  } finally {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.off(signal, cancel);
  }
}

async function end(name: ServiceName, { holder, servers, answer }: Running): Promise<void> {
  const gone = (): true | undefined =>
    !isAlive(holder) && !servers.some(isAlive) && !existsSync(answer.dir) ? true : undefined;
  signal(holder, "SIGTERM");
  if (!(await poll(gone, endTimeoutMs))) {
    for (const identity of [holder, ...servers]) signal(identity, "SIGKILL");
    if (!(await poll(gone, endTimeoutMs))) {
      const message = `${name} (pid ${answer.pid}, ${answer.dir}) does not end`;
      throw new ServicesError(message, exitCodes.temporary);
    }
  }
  rmSync(stateFile(name), { force: true });
}

function signal(identity: ProcessIdentity, name: NodeJS.Signals): void {
  if (!isAlive(identity)) return;
  try {
    process.kill(identity.pid, name);
  } catch {
    // Ended between the look and the signal.
  }
}

function isUp({ holder, servers }: Running): boolean {
  return isAlive(holder) && servers.every(isAlive);
}

function stateFile(name: ServiceName): string {
  return join(cacheFolder(), "running", `${name}.json`);
}

function read(name: ServiceName): Running | undefined {
  const file = stateFile(name);
  if (!existsSync(file)) return undefined;
  return JSON.parse(readFileSync(file, "utf8")) as Running;
}

function write(name: ServiceName, running: Running): void {
  const file = stateFile(name);
  writeFileSync(`${file}.new`, JSON.stringify(running));
  renameSync(`${file}.new`, file);
}

function exclusively<T>(name: ServiceName, run: () => Promise<T>): Promise<T> {
  const waitingFor = `another command that starts or ends ${name}`;
  return withLock(lockFile(`running-${name}`), waitingFor, run);
}
